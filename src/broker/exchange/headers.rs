//! Headers exchanges: the binding arguments are conditions on the message's headers.
//!
//! Each different condition (a name, and the value that it must have) is kept once, with the bindings to look at when a
//! message meets it: a binding that wants any of its conditions is listed at each of them, one that wants all of them only
//! at the one that had the fewest bindings. So a message costs a look-up for each of its headers, and further work only
//! for bindings that it meets at least in part.

mod condition;

use std::collections::HashMap;

use foldhash::fast::RandomState;
use leveret_protocol::Table;
use smallvec::SmallVec;

use self::condition::{Conditions, Mode, PRESENT, write_message_value};
use super::{BindingId, Place, Sink, Target, Targets};
use crate::broker::slab::Slab;
use crate::broker::topology::TopologyError;

const NONE: u32 = u32::MAX;

#[derive(Debug)]
pub(crate) struct Headers {
    /// The header names of all conditions.
    names: HashMap<Box<[u8]>, Name, RandomState>,
    free_names: Vec<u32>,
    /// The conditions by number of the name and encoded value.
    by_value: HashMap<Box<[u8]>, u32, RandomState>,
    conditions: Slab<Condition>,
    rules: Slab<Rule>,
    /// Bindings without conditions that want all of them.
    always: Targets,
}

#[derive(Debug)]
struct Name {
    id: u32,
    conditions: u32,
}

#[derive(Debug, Default)]
struct Condition {
    /// How many rules have it.
    uses: u32,
    /// The rules to look at when it is met.
    rules: Vec<u32>,
}

/// A binding with conditions.
#[derive(Debug)]
struct Rule {
    target: Target,
    mode: Mode,
    /// Each condition once, with the rule's position in its list (`NONE` where it is not listed).
    conditions: SmallVec<[(u32, u32); 3]>,
}

/// Working memory of one message.
#[derive(Debug, Default)]
pub(crate) struct HeadersScratch {
    key: Vec<u8>,
    /// Where in `found` a header name is, by the number of the name; valid if that entry says so too.
    position: Vec<u32>,
    /// For each header with a known name: its number and the conditions met by its presence and by its value.
    found: Vec<(u32, [u32; 2])>,
    /// The conditions met, sorted.
    met: Vec<u32>,
}

impl Headers {
    pub(crate) fn new() -> Self {
        Self {
            names: HashMap::default(),
            free_names: Vec::new(),
            by_value: HashMap::default(),
            conditions: Slab::new(),
            rules: Slab::new(),
            always: Targets::default(),
        }
    }

    pub(crate) fn check(arguments: Table<'_>) -> Result<(), TopologyError> {
        Mode::parse(arguments).map(|_| ())
    }

    /// `place.node` is the rule, or `NONE` for a binding without conditions.
    pub(crate) fn bind(&mut self, arguments: Table<'_>, target: Target) -> Place {
        let wanted = Conditions::parse(arguments);
        if wanted.entries.is_empty() && wanted.mode == Mode::All {
            let slot = self.always.push(target);
            return Place { node: NONE, slot };
        }
        let mut conditions = SmallVec::new();
        for (name, value) in &wanted.entries {
            let condition = self.condition_or_new(name, value);
            self.conditions[condition].uses += 1;
            conditions.push((condition, NONE));
        }
        let rule = self.rules.insert(Rule { target, mode: wanted.mode, conditions });
        self.list(rule);
        Place { node: rule, slot: 0 }
    }

    pub(crate) fn unbind(&mut self, arguments: Table<'_>, place: Place) -> Option<BindingId> {
        if place.node == NONE {
            return self.always.remove(place.slot);
        }
        let rule = self.rules.remove(place.node);
        for &(condition, slot) in &rule.conditions {
            self.conditions[condition].uses -= 1;
            if slot != NONE {
                self.unlist(condition, slot);
            }
        }
        for (name, value) in &Conditions::parse(arguments).entries {
            self.forget_unused(name, value);
        }
        None
    }

    pub(crate) fn matches(&self, headers: Table<'_>, scratch: &mut HeadersScratch, sink: &mut Sink<'_>) {
        sink.extend(&self.always);
        if self.conditions.is_empty() {
            return;
        }
        self.meet(headers, scratch);
        for &condition in &scratch.met {
            for &rule in &self.conditions[condition].rules {
                let rule = &self.rules[rule];
                let is_met = |id: u32| scratch.met.binary_search(&id).is_ok();
                if rule.mode == Mode::Any || rule.conditions.iter().all(|(id, _)| is_met(*id)) {
                    sink.add(rule.target);
                }
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
            && self.by_value.is_empty()
            && self.conditions.is_empty()
            && self.rules.is_empty()
            && self.always.is_empty()
    }

    /// Finds the conditions that a message meets. Of headers with the same name the last counts.
    fn meet(&self, headers: Table<'_>, scratch: &mut HeadersScratch) {
        let HeadersScratch { key, position, found, met } = scratch;
        found.clear();
        met.clear();
        for (name, value) in headers {
            let Some(id) = self.names.get(name).map(|name| name.id) else {
                continue;
            };
            start_key(key, id);
            key.push(PRESENT);
            let by_presence = self.by_value.get(key.as_slice()).copied().unwrap_or(NONE);
            start_key(key, id);
            write_message_value(value, key);
            let by_value = self.by_value.get(key.as_slice()).copied().unwrap_or(NONE);
            let entry = (id, [by_presence, by_value]);
            if position.len() <= id as usize {
                position.resize(id as usize + 1, 0);
            }
            let at = &mut position[id as usize];
            match found.get_mut(*at as usize) {
                Some(earlier) if earlier.0 == id => *earlier = entry,
                _ => {
                    *at = u32::try_from(found.len()).unwrap_or(NONE);
                    found.push(entry);
                }
            }
        }
        met.extend(found.iter().flat_map(|(_, ids)| *ids).filter(|id| *id != NONE));
        met.sort_unstable();
    }

    /// Enters a new rule in the lists of its conditions.
    fn list(&mut self, rule: u32) {
        let Rule { mode, conditions, .. } = &mut self.rules[rule];
        let rarest = conditions.iter().map(|(id, _)| *id).min_by_key(|id| self.conditions[*id].rules.len());
        for (id, slot) in conditions {
            if *mode == Mode::Any || Some(*id) == rarest {
                let rules = &mut self.conditions[*id].rules;
                *slot = u32::try_from(rules.len()).unwrap_or(NONE);
                rules.push(rule);
            }
        }
    }

    /// Takes the rule at `slot` off a condition's list and notes the new slot of the one that fills the gap.
    fn unlist(&mut self, condition: u32, slot: u32) {
        let rules = &mut self.conditions[condition].rules;
        rules.swap_remove(slot as usize);
        let Some(&moved) = rules.get(slot as usize) else {
            return;
        };
        let mut entries = self.rules[moved].conditions.iter_mut();
        if let Some(entry) = entries.find(|(id, _)| *id == condition) {
            entry.1 = slot;
        }
    }

    fn condition_or_new(&mut self, name: &[u8], value: &[u8]) -> u32 {
        if !self.names.contains_key(name) {
            let id = self
                .free_names
                .pop()
                .unwrap_or_else(|| u32::try_from(self.names.len()).expect("memory ends before the numbers do"));
            self.names.insert(name.into(), Name { id, conditions: 0 });
        }
        let Some(known) = self.names.get_mut(name) else {
            unreachable!("it was inserted above");
        };
        let key = value_key(known.id, value);
        if let Some(&condition) = self.by_value.get(key.as_slice()) {
            return condition;
        }
        known.conditions += 1;
        let condition = self.conditions.insert(Condition::default());
        self.by_value.insert(key.into(), condition);
        condition
    }

    /// Removes a condition that no rule has, and its name if that was its last condition.
    fn forget_unused(&mut self, name: &[u8], value: &[u8]) {
        let Some(known) = self.names.get_mut(name) else {
            return;
        };
        let key = value_key(known.id, value);
        let Some(&condition) = self.by_value.get(key.as_slice()) else {
            return;
        };
        if self.conditions[condition].uses != 0 {
            return;
        }
        self.conditions.remove(condition);
        self.by_value.remove(key.as_slice());
        known.conditions -= 1;
        if known.conditions == 0 {
            self.free_names.push(known.id);
            self.names.remove(name);
        }
    }
}

fn start_key(key: &mut Vec<u8>, name: u32) {
    key.clear();
    key.extend_from_slice(&name.to_ne_bytes());
}

fn value_key(name: u32, value: &[u8]) -> Vec<u8> {
    [&name.to_ne_bytes(), value].concat()
}
