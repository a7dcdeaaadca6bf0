//! Removing bindings, exchanges and queues, and what goes with them.

use leveret_protocol::Table;

use super::bind::{Identity, identity};
use super::{Change, QueueKey, Topology, TopologyError};
use crate::broker::exchange::{BindingId, Destination, ExchangeId};

/// What was removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Removed {
    /// How many bindings, those of removed exchanges included; without the implicit one to the default exchange.
    pub bindings: usize,
    /// The exchanges in the order they went: the deleted one, then those that were auto-delete.
    pub exchanges: Vec<Box<str>>,
}

impl Topology {
    /// Deletes an exchange with all its bindings; one that is not there is no error (M-06).
    ///
    /// # Errors
    /// The default exchange, a name with the reserved prefix, or `if_unused` and it is the source of a binding.
    pub fn delete_exchange(&mut self, name: &str, if_unused: bool) -> Result<Removed, TopologyError> {
        if name.is_empty() {
            return Err(TopologyError::DefaultExchange);
        }
        if name.starts_with("amq.") {
            let exchange = self.exchange_ref(name.as_bytes());
            return Err(TopologyError::SystemExchange(exchange));
        }
        let mut removed = Removed::default();
        let Some(id) = self.exchange_id(name.as_bytes()) else {
            return Ok(removed);
        };
        if if_unused && !self.exchanges[id.0].outgoing.is_empty() {
            return Err(TopologyError::InUse(self.exchange_ref(name.as_bytes())));
        }
        self.remove_exchanges(vec![id], &mut removed);
        Ok(removed)
    }

    /// Removes a binding between exchanges; nothing there to remove is no error (M-07).
    ///
    /// # Errors
    /// The default exchange on either side.
    pub fn unbind_exchange(
        &mut self,
        destination: &str,
        source: &str,
        key: &str,
        arguments: Table<'_>,
    ) -> Result<Removed, TopologyError> {
        if destination.is_empty() || source.is_empty() {
            return Err(TopologyError::DefaultExchange);
        }
        let source = self.exchange_id(source.as_bytes());
        let destination = self.exchange_id(destination.as_bytes());
        let (Some(source), Some(destination)) = (source, destination) else {
            return Ok(Removed::default());
        };
        let destination = Destination::Exchange(destination);
        Ok(self.remove_same(&identity(source, destination, key.as_bytes(), arguments)))
    }

    /// Removes a binding of a queue; nothing there to remove, or no such queue, is no error (M-10).
    ///
    /// # Errors
    /// The default exchange.
    pub fn unbind_queue(
        &mut self,
        queue: Option<QueueKey>,
        source: &str,
        key: &str,
        arguments: Table<'_>,
    ) -> Result<Removed, TopologyError> {
        if source.is_empty() {
            return Err(TopologyError::DefaultExchange);
        }
        let (Some(queue), Some(source)) = (queue, self.exchange_id(source.as_bytes())) else {
            return Ok(Removed::default());
        };
        let destination = Destination::Queue(queue);
        Ok(self.remove_same(&identity(source, destination, key.as_bytes(), arguments)))
    }

    /// Forgets a queue and its bindings. One that is not known is no error.
    pub fn remove_queue(&mut self, queue: QueueKey) -> Removed {
        let mut removed = Removed::default();
        for at in 0..self.queues.get(&queue).map_or(0, |gone| gone.incoming.len()) {
            self.record_binding_gone(self.queues[&queue].incoming[at]);
        }
        let Some(gone) = self.queues.remove(&queue) else {
            return removed;
        };
        self.generation += 1;
        self.queue_names.remove(gone.name.as_bytes());
        let mut unused = Vec::new();
        for id in gone.incoming {
            self.detach_from_source(id, &mut unused);
            self.forget_binding(id);
            removed.bindings += 1;
        }
        self.remove_exchanges(unused, &mut removed);
        removed
    }

    fn remove_same(&mut self, wanted: &Identity<'_>) -> Removed {
        let mut removed = Removed::default();
        let Some(id) = self.find_binding(wanted) else {
            return removed;
        };
        self.generation += 1;
        self.record_binding_gone(id);
        let mut unused = Vec::new();
        self.detach_from_source(id, &mut unused);
        self.detach_from_destination(id);
        self.forget_binding(id);
        removed.bindings = 1;
        self.remove_exchanges(unused, &mut removed);
        removed
    }

    /// Removes these exchanges, and then those that are auto-delete and have nothing left to lead to.
    fn remove_exchanges(&mut self, mut waiting: Vec<ExchangeId>, removed: &mut Removed) {
        while let Some(id) = waiting.pop() {
            self.generation += 1;
            // First what it leads to: then a binding to itself is gone from both its lists.
            for binding in std::mem::take(&mut self.exchanges[id.0].outgoing) {
                self.record_binding_gone(binding);
                self.detach_from_destination(binding);
                self.forget_binding(binding);
                removed.bindings += 1;
            }
            for binding in std::mem::take(&mut self.exchanges[id.0].incoming) {
                self.record_binding_gone(binding);
                self.detach_from_source(binding, &mut waiting);
                self.forget_binding(binding);
                removed.bindings += 1;
            }
            let exchange = self.exchanges.remove(id.0);
            let name = exchange.definition.name;
            self.exchange_names.remove(name.as_bytes());
            self.record(|| Change::ExchangeGone(name.clone()));
            removed.exchanges.push(name);
        }
    }

    /// Takes a binding from its source. If that was the last of an auto-delete exchange, that goes to `unused`: once, as
    /// only the last binding can be the last.
    fn detach_from_source(&mut self, id: BindingId, unused: &mut Vec<ExchangeId>) {
        let binding = &self.bindings[id.0];
        let (source_id, slot, place) = (binding.source, binding.outgoing_slot, binding.place);
        let source = &mut self.exchanges[source_id.0];
        let arguments = Table::parse(&binding.arguments).unwrap_or_default();
        let moved = source.bindings.unbind(&binding.key, arguments, place);
        source.outgoing.swap_remove(slot);
        if source.outgoing.is_empty() && source.definition.flags.auto_delete {
            unused.push(source_id);
        }
        if let Some(&follower) = source.outgoing.get(slot) {
            self.bindings[follower.0].outgoing_slot = slot;
        }
        if let Some(moved) = moved {
            self.bindings[moved.0].place.slot = place.slot;
        }
    }

    fn detach_from_destination(&mut self, id: BindingId) {
        let binding = &self.bindings[id.0];
        let slot = binding.incoming_slot;
        let incoming = match binding.destination {
            Destination::Exchange(exchange) => &mut self.exchanges[exchange.0].incoming,
            Destination::Queue(queue) => match self.queues.get_mut(&queue) {
                Some(queue) => &mut queue.incoming,
                None => return,
            },
        };
        incoming.swap_remove(slot);
        if let Some(&follower) = incoming.get(slot) {
            self.bindings[follower.0].incoming_slot = slot;
        }
    }

    /// The last step of a removal: the binding itself, and its identity.
    fn forget_binding(&mut self, id: BindingId) {
        let hash = self.bindings.remove(id.0).identity;
        let Some(same_hash) = self.identities.get_mut(&hash) else {
            return;
        };
        same_hash.retain(|other| *other != id);
        if same_hash.is_empty() {
            self.identities.remove(&hash);
        }
    }
}
