//! Random histories, compared with a list of bindings that is searched from end to end.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

const EXCHANGES: [&str; 7] = ["a", "b", "c", "d", "e", "amq.topic", "amq.headers"];
const QUEUES: u32 = 5;
const TYPES: [&str; 4] = ["direct", "fanout", "topic", "headers"];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Queue(u32),
    Exchange(&'static str),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Link {
    source: &'static str,
    destination: End,
    key: String,
    arguments: Vec<(&'static str, i32)>,
}

#[derive(Debug, Clone)]
enum Step {
    Declare(&'static str, &'static str, bool, Option<&'static str>),
    Delete(&'static str, bool),
    Bind(Link),
    Unbind(Link),
    UnbindAny(prop::sample::Index),
    AddQueue(u32),
    RemoveQueue(u32),
    Route(&'static str, Vec<String>, Vec<(&'static str, i32)>),
}

#[derive(Debug, Default)]
struct Model {
    /// Type, whether auto-delete, alternate.
    exchanges: BTreeMap<&'static str, (&'static str, bool, Option<&'static str>)>,
    queues: BTreeSet<u32>,
    links: BTreeSet<Link>,
}

impl Model {
    fn new() -> Self {
        let mut model = Self::default();
        model.exchanges.insert("amq.topic", ("topic", false, None));
        model.exchanges.insert("amq.headers", ("headers", false, None));
        model
    }

    fn has_ends(&self, link: &Link) -> bool {
        self.exchanges.contains_key(link.source)
            && match link.destination {
                End::Queue(queue) => self.queues.contains(&queue),
                End::Exchange(name) => self.exchanges.contains_key(name),
            }
    }

    /// Removes links, then what is auto-delete and has lost its last one, until nothing changes.
    fn unlink(&mut self, gone: impl Fn(&Link) -> bool) {
        let lost = self.links.iter().filter(|l| gone(l)).cloned().collect::<Vec<_>>();
        self.links.retain(|link| !gone(link));
        for link in lost {
            let is_source = self.links.iter().any(|other| other.source == link.source);
            let auto_delete = self.exchanges.get(link.source).is_some_and(|x| x.1);
            if auto_delete && !is_source {
                self.remove_exchange(link.source);
            }
        }
    }

    fn remove_exchange(&mut self, name: &'static str) {
        self.exchanges.remove(name);
        self.unlink(|link| link.source == name || link.destination == End::Exchange(name));
    }

    fn route(&self, exchange: &str, keys: &[String], headers: &[(&str, i32)]) -> BTreeSet<u32> {
        let mut out = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut waiting = vec![exchange];
        while let Some(name) = waiting.pop() {
            let Some((exchange_type, _, alternate)) = self.exchanges.get(name) else {
                continue;
            };
            if !seen.insert(name) {
                continue;
            }
            let mut matched = false;
            for link in self.links.iter().filter(|link| link.source == name) {
                if !is_match(exchange_type, link, keys, headers) {
                    continue;
                }
                matched = true;
                match link.destination {
                    End::Queue(queue) => drop(out.insert(queue)),
                    End::Exchange(name) => waiting.push(name),
                }
            }
            waiting.extend(alternate.filter(|_| !matched));
        }
        out
    }
}

fn is_match(exchange_type: &str, link: &Link, keys: &[String], headers: &[(&str, i32)]) -> bool {
    match exchange_type {
        "fanout" => true,
        "direct" => keys.contains(&link.key),
        "topic" => keys.iter().any(|key| is_topic_match(&words(&link.key), &words(key))),
        _ => {
            let has = |wanted: &(&str, i32)| {
                let last = headers.iter().rfind(|(name, _)| *name == wanted.0);
                last.is_some_and(|(_, value)| wanted.1 < 0 || *value == wanted.1)
            };
            let any = link.arguments.contains(&("x-match", 0));
            let mut wanted = link.arguments.iter().filter(|(name, _)| *name != "x-match");
            if any { wanted.any(has) } else { wanted.all(has) }
        }
    }
}

fn is_topic_match(pattern: &[&str], key: &[&str]) -> bool {
    match (pattern, key) {
        ([], _) => key.is_empty(),
        (["#", rest @ ..], _) => is_topic_match(rest, key) || (!key.is_empty() && is_topic_match(pattern, &key[1..])),
        (_, []) => false,
        ([word, rest @ ..], [first, others @ ..]) => (*word == "*" || word == first) && is_topic_match(rest, others),
    }
}

fn words(key: &str) -> Vec<&str> {
    if key.is_empty() { vec![] } else { key.split('.').collect() }
}

fn arguments(entries: &[(&str, i32)]) -> EncodedTable {
    let entries = entries.iter().map(|(name, value)| match (*name, *value) {
        ("x-match", 0) => (*name, "any".into()),
        ("x-match", _) => (*name, "all".into()),
        (_, ..0) => (*name, FieldValue::Void),
        (_, value) => (*name, FieldValue::from(value)),
    });
    EncodedTable::from(&entries.collect::<FieldTable>())
}

fn key() -> impl Strategy<Value = String> {
    let word = select(vec!["a", "b", "*", "#", ""]);
    let many = vec(word, 0..5).prop_map(|words| words.join("."));
    many.prop_filter("at most two", |key| words(key).iter().filter(|w| **w == "#").count() <= 2)
}

fn entries() -> impl Strategy<Value = Vec<(&'static str, i32)>> {
    let names = select(vec!["x-match", "h", "i", "j"]);
    vec((names, -1..2), 0..4).prop_map(|entries| {
        // Sorted and each name once, so that what is equal here is equal there.
        entries.into_iter().collect::<BTreeMap<_, _>>().into_iter().collect()
    })
}

fn link() -> impl Strategy<Value = Link> {
    let destination = prop_oneof![(0..QUEUES).prop_map(End::Queue), select(&EXCHANGES[..]).prop_map(End::Exchange),];
    (select(&EXCHANGES[..]), destination, key(), entries()).prop_map(|(source, destination, key, arguments)| Link {
        source,
        destination,
        key,
        arguments,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let name = || select(&EXCHANGES[..5]);
    let headers = vec((select(vec!["h", "i", "j", "k"]), 0..2), 0..4);
    prop_oneof![
        4 => (name(), select(&TYPES[..]), any::<bool>(), prop::option::of(select(&EXCHANGES[..])))
            .prop_map(|(n, t, auto, alternate)| Step::Declare(n, t, auto, alternate)),
        1 => (name(), any::<bool>()).prop_map(|(n, unused)| Step::Delete(n, unused)),
        12 => link().prop_map(Step::Bind),
        2 => link().prop_map(Step::Unbind),
        4 => any::<prop::sample::Index>().prop_map(Step::UnbindAny),
        3 => (0..QUEUES).prop_map(Step::AddQueue),
        1 => (0..QUEUES).prop_map(Step::RemoveQueue),
        12 => (select(&EXCHANGES[..]), vec(key(), 1..3), headers)
            .prop_map(|(n, keys, headers)| Step::Route(n, keys, headers)),
    ]
}

/// Both sides of a history.
struct Pair {
    model: Model,
    topology: Topology,
    scratch: RouteScratch,
}

impl Pair {
    fn declare(
        &mut self,
        name: &'static str,
        exchange_type: &'static str,
        auto_delete: bool,
        alternate: Option<&'static str>,
    ) {
        if self.model.exchanges.contains_key(name) {
            return;
        }
        self.model.exchanges.insert(name, (exchange_type, auto_delete, alternate));
        let arguments = alternate.map(|name| ("alternate-exchange", name));
        let arguments = EncodedTable::from(&arguments.into_iter().collect::<FieldTable>());
        let declared = self.topology.declare_exchange(&Declare {
            name,
            exchange_type,
            passive: false,
            flags: ExchangeFlags { auto_delete, ..PLAIN },
            arguments: arguments.as_table(),
        });
        assert_eq!(declared, Ok(true));
    }

    fn delete(&mut self, name: &'static str, if_unused: bool) {
        let used = self.model.links.iter().any(|link| link.source == name);
        let deleted = self.topology.delete_exchange(name, if_unused);
        assert_eq!(deleted.is_err(), if_unused && used);
        if deleted.is_ok() {
            self.model.remove_exchange(name);
        }
    }

    fn bind(&mut self, link: Link) {
        let arguments = arguments(&link.arguments);
        let arguments = arguments.as_table();
        let (source, key) = (link.source, link.key.as_str());
        let bound = match link.destination {
            End::Queue(queue) => self.topology.bind_queue("q", Some(QueueKey(queue)), source, key, arguments),
            End::Exchange(name) => self.topology.bind_exchange(name, source, key, arguments),
        };
        if self.model.has_ends(&link) {
            assert_eq!(bound, Ok(self.model.links.insert(link)));
        } else {
            assert!(bound.is_err());
        }
    }

    fn unbind(&mut self, link: &Link) {
        let arguments = arguments(&link.arguments);
        let arguments = arguments.as_table();
        let (source, key) = (link.source, link.key.as_str());
        let removed = match link.destination {
            End::Queue(queue) => self.topology.unbind_queue(Some(QueueKey(queue)), source, key, arguments),
            End::Exchange(name) => self.topology.unbind_exchange(name, source, key, arguments),
        };
        let was_there = self.model.links.contains(link);
        assert_eq!(removed.unwrap().bindings > 0, was_there);
        self.model.unlink(|other| other == link);
    }

    fn route(&mut self, exchange: &str, keys: &[String], headers: &[(&'static str, i32)]) {
        let table = arguments(headers);
        let bytes = keys.iter().map(String::as_bytes).collect::<Vec<_>>();
        let subject = RoutingKeys { main: bytes[0], others: &bytes[1..] };
        let mut out = Vec::new();
        let routed =
            self.topology.route(exchange.as_bytes(), &subject, Some(table.as_table()), &mut self.scratch, &mut out);
        assert_eq!(routed.is_ok(), self.model.exchanges.contains_key(exchange));
        let found = out.iter().map(|queue| queue.0).collect::<BTreeSet<_>>();
        assert_eq!(found.len(), out.len(), "each queue once");
        assert_eq!(found, self.model.route(exchange, keys, headers));
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Declare(name, kind, auto, alternate) => self.declare(name, kind, auto, alternate),
            Step::Delete(name, if_unused) => self.delete(name, if_unused),
            Step::Bind(link) => self.bind(link),
            Step::Unbind(link) => self.unbind(&link),
            Step::UnbindAny(index) => {
                let links = self.model.links.iter().cloned().collect::<Vec<_>>();
                if !links.is_empty() {
                    self.unbind(index.get(&links));
                }
            }
            Step::AddQueue(queue) => {
                if self.model.queues.insert(queue) {
                    self.topology.add_queue(&format!("q{queue}"), QueueKey(queue), true);
                }
            }
            Step::RemoveQueue(queue) => {
                self.model.queues.remove(&queue);
                self.model.unlink(|link| link.destination == End::Queue(queue));
                self.topology.remove_queue(QueueKey(queue));
            }
            Step::Route(exchange, keys, headers) => self.route(exchange, &keys, &headers),
        }
        assert_eq!(self.topology.bindings().count(), self.model.links.len());
        // The six predeclared and the default one, of which the model has two.
        assert_eq!(self.topology.exchanges().count(), self.model.exchanges.len() + 5);
    }
}

proptest! {
    #[test]
    fn any_history_routes_as_the_model_and_leaves_nothing_behind(steps in vec(step(), 1..120)) {
        let mut pair = Pair {
            model: Model::new(),
            topology: Topology::new("/"),
            scratch: RouteScratch::default(),
        };
        for queue in 0..3 {
            pair.apply(Step::AddQueue(queue));
        }
        for step in steps {
            pair.apply(step);
        }
        let links = pair.model.links.iter().cloned().collect::<Vec<_>>();
        for link in links {
            pair.unbind(&link);
        }
        prop_assert!(pair.topology.is_unbound());
    }
}
