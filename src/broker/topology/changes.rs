//! What changed of exchanges and bindings, told to whoever keeps it over a restart.

use super::{ExchangeDefinition, Topology};
use crate::broker::exchange::{BindingId, Destination};

/// A change that a restart must not undo.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// An exchange was declared.
    ExchangeMade(ExchangeDefinition),
    /// An exchange is gone.
    ExchangeGone(Box<str>),
    /// A binding was made.
    BindingMade(BoundPair),
    /// A binding is gone.
    BindingGone(BoundPair),
}

/// A binding by what it ties together. Not one to a queue that a restart takes away: it goes with its queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundPair {
    /// The exchange that messages come from.
    pub source: Box<str>,
    /// Name of the queue or exchange they go to.
    pub destination: Box<str>,
    /// The destination is a queue.
    pub to_queue: bool,
    /// The binding key.
    pub key: Box<[u8]>,
    /// Encoded, sorted by name.
    pub arguments: Box<[u8]>,
}

impl Topology {
    /// From now on changes are kept for [`Topology::take_changes`].
    pub fn record_changes(&mut self) {
        self.changes.get_or_insert_default();
    }

    /// The changes since they were last taken, in order; none if they are not recorded.
    pub fn take_changes(&mut self) -> Vec<Change> {
        self.changes.as_mut().map(std::mem::take).unwrap_or_default()
    }

    pub(super) fn record(&mut self, change: impl FnOnce() -> Change) {
        if let Some(changes) = &mut self.changes {
            changes.push(change());
        }
    }

    pub(super) fn record_binding_made(&mut self, id: BindingId) {
        if self.changes.is_some()
            && let Some(pair) = self.lasting_pair(id)
        {
            self.record(|| Change::BindingMade(pair));
        }
    }

    /// To be called while both ends are there.
    pub(super) fn record_binding_gone(&mut self, id: BindingId) {
        if self.changes.is_some()
            && let Some(pair) = self.lasting_pair(id)
        {
            self.record(|| Change::BindingGone(pair));
        }
    }

    fn lasting_pair(&self, id: BindingId) -> Option<BoundPair> {
        let binding = self.bindings.get(id.0)?;
        let (destination, to_queue) = match binding.destination {
            Destination::Exchange(id) => (self.exchanges[id.0].definition.name.clone(), false),
            Destination::Queue(key) => (self.queues.get(&key).filter(|queue| queue.lasting)?.name.clone(), true),
        };
        Some(BoundPair {
            source: self.exchanges[binding.source.0].definition.name.clone(),
            destination,
            to_queue,
            key: binding.key.clone(),
            arguments: binding.arguments.clone(),
        })
    }
}
