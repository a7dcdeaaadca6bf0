//! From options to queues, bindings, publishers and consumers.

use super::args::{Flush, MessageArgs};
use super::block::MessageKind;
use super::consumer::ConsumerLoad;
use super::error::{Error, Result};
use super::publisher::PublisherLoad;
use super::topology::{Binding, Topology};

/// What a run with messages consists of.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// What has to exist.
    pub topology: Topology,
    /// Who publishes.
    pub publishers: Vec<PublisherLoad>,
    /// Who consumes.
    pub consumers: Vec<ConsumerLoad>,
    /// How many queues get each message.
    pub copies: u64,
}

impl Plan {
    /// Reads the options.
    pub(super) fn new(args: &MessageArgs) -> Result<Self> {
        let queues = queue_names(args)?;
        let routing = Routing::new(args, &queues);
        let consumers = args.consumers.unwrap_or_else(|| {
            let connections = |queues: usize| queues.min(FANOUT_CONNECTIONS);
            args.fanout.map_or(1, connections)
        });
        if args.prefetch > 0 && args.ack > args.prefetch.into() {
            return usage("--ack must not be more than --prefetch");
        }
        Ok(Self {
            publishers: shares(&routing.keys, args.publishers)
                .map(|keys| publisher(args, &routing.exchange, keys))
                .collect(),
            consumers: shares(&queues, consumers)
                .map(|queues| ConsumerLoad { queues, ack: args.ack, prefetch: args.prefetch })
                .collect(),
            copies: routing.copies,
            topology: Topology {
                exchange: routing.kind.map(|kind| (routing.exchange, kind)),
                arguments: args.queue_args.iter().cloned().collect(),
                durable: args.durable,
                bindings: routing.bindings,
                queues,
            },
        })
    }
}

fn publisher(args: &MessageArgs, exchange: &str, routing_keys: Vec<String>) -> PublisherLoad {
    PublisherLoad {
        message: MessageKind {
            exchange: exchange.to_owned(),
            routing_keys,
            size: args.size,
            persistent: args.persistent,
            expiration: args.expiration,
            priorities: args.priorities,
        },
        confirm: args.confirm,
        flush_each: args.flush == Flush::Each,
        count: args.count,
        rate: args.rate,
    }
}

fn queue_names(args: &MessageArgs) -> Result<Vec<String>> {
    let count = args.fanout.unwrap_or(args.queues);
    if count == 0 {
        return usage("there must be a queue");
    }
    if count > 1 && !args.queue_pattern.contains("%d") {
        return usage("--queue-pattern must have a %d for the number of the queue");
    }
    let name = |index: usize| args.queue_pattern.replace("%d", &index.to_string());
    Ok((0..count).map(name).collect())
}

/// How messages get to the queues.
struct Routing {
    exchange: String,
    /// The type of the exchange, if it is our own.
    kind: Option<&'static str>,
    keys: Vec<String>,
    bindings: Vec<Binding>,
    copies: u64,
}

impl Routing {
    fn new(args: &MessageArgs, queues: &[String]) -> Self {
        if let Some(count) = args.topic_bindings {
            return Self::topic(count.max(1), queues);
        }
        if args.fanout.is_some() {
            return Self::fanout(queues);
        }
        let mut keys = match &args.routing_key {
            Some(key) => vec![key.clone(); queues.len()],
            None => queues.to_vec(),
        };
        let bind = |(queue, key): (&String, &String)| binding(&args.exchange, queue, key);
        let bound = !args.exchange.is_empty();
        let bindings = queues.iter().zip(&keys).map(bind).filter(|_| bound).collect();
        let shared = bound && args.routing_key.is_some();
        if args.routing_key.is_some() {
            keys.truncate(1);
        }
        Self {
            exchange: args.exchange.clone(),
            kind: None,
            keys,
            bindings,
            copies: if shared { queues.len() as u64 } else { 1 },
        }
    }

    fn fanout(queues: &[String]) -> Self {
        let exchange = "perf-fanout";
        Self {
            exchange: exchange.to_owned(),
            kind: Some("fanout"),
            keys: vec![String::new()],
            bindings: queues.iter().map(|queue| binding(exchange, queue, "")).collect(),
            copies: queues.len() as u64,
        }
    }

    /// A third of the patterns each have the word that tells them apart first, in the middle and last.
    fn topic(count: usize, queues: &[String]) -> Self {
        let exchange = "perf-topic";
        let pattern = |n: usize| match n % 3 {
            0 => format!("w{n:06}.*.end"),
            1 => format!("*.w{n:06}.end"),
            _ => format!("#.w{n:06}"),
        };
        let key = |n: usize| match n % 3 {
            0 => format!("w{n:06}.x.end"),
            1 => format!("x.w{n:06}.end"),
            _ => format!("x.end.w{n:06}"),
        };
        let queue = |n: usize| queues[n % queues.len()].as_str();
        let keys = count.min(TOPIC_KEYS);
        Self {
            exchange: exchange.to_owned(),
            kind: Some("topic"),
            keys: (0..keys).map(|n| key(n * count / keys)).collect(),
            bindings: (0..count).map(|n| binding(exchange, queue(n), &pattern(n))).collect(),
            copies: 1,
        }
    }
}

fn binding(exchange: &str, queue: &str, routing_key: &str) -> Binding {
    Binding { exchange: exchange.to_owned(), queue: queue.to_owned(), routing_key: routing_key.to_owned() }
}

/// Deals `things` out to `count` takers: taker i gets thing i mod n, and where there are more things
/// than takers, each count-th from there on.
fn shares(things: &[String], count: usize) -> impl Iterator<Item = Vec<String>> {
    let share = move |taker: usize| {
        let own = things.iter().skip(taker % things.len()).step_by(count.max(1));
        let limit = if count < things.len() { usize::MAX } else { 1 };
        own.take(limit).cloned().collect()
    };
    (0..count).map(share)
}

fn usage<T>(text: &str) -> Result<T> {
    Err(Error::Usage(text.to_owned()))
}

/// Connections of a fan-out's consumers, unless said otherwise.
const FANOUT_CONNECTIONS: usize = 4;
/// Different routing keys published to a topic exchange.
const TOPIC_KEYS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn dealt(things: usize, takers: usize) -> Vec<Vec<String>> {
        let things: Vec<_> = (0..things).map(|n| n.to_string()).collect();
        shares(&things, takers).collect()
    }

    #[test]
    fn takers_share_things_by_turns() {
        assert_eq!(dealt(2, 3), [["0"], ["1"], ["0"]]);
        assert_eq!(dealt(3, 3), [["0"], ["1"], ["2"]]);
        assert_eq!(dealt(5, 2), [vec!["0", "2", "4"], vec!["1", "3"]]);
        assert!(dealt(1, 0).is_empty());
    }

    #[test]
    fn topic_keys_are_spread_over_all_bindings() {
        let routing = Routing::topic(1000, &["q0".to_owned(), "q1".to_owned()]);
        assert_eq!((routing.keys.len(), routing.bindings.len()), (64, 1000));
        assert_eq!(routing.bindings[3].routing_key, "w000003.*.end");
        assert_eq!(routing.bindings[3].queue, "q1");
        assert_eq!(routing.keys[63], "w000984.x.end");
    }
}
