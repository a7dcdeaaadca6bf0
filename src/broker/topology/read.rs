//! Reading what is there, as plain values: for rights, the management API and definitions.

use leveret_protocol::Table;

use super::{ExchangeDefinition, QueueKey, Topology};
use crate::broker::exchange::{BindingId, Destination};

/// One end of a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint<'a> {
    /// An exchange by name.
    Exchange(&'a str),
    /// A queue by name.
    Queue(&'a str),
}

/// A binding as it was made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BindingEntry<'a> {
    /// The exchange that messages come from; empty for the default exchange.
    pub source: &'a str,
    /// Where they go.
    pub destination: Endpoint<'a>,
    /// The binding key.
    pub key: &'a [u8],
    /// The arguments, sorted by name.
    pub arguments: Table<'a>,
}

impl Topology {
    /// The exchange of that name, if it is there; the empty name is the default exchange.
    pub fn exchange(&self, name: &[u8]) -> Option<&ExchangeDefinition> {
        let id = self.exchange_id(name)?;
        Some(&self.exchanges[id.0].definition)
    }

    /// All exchanges, predeclared ones included.
    pub fn exchanges(&self) -> impl Iterator<Item = &ExchangeDefinition> {
        self.exchanges.iter().map(|(_, exchange)| &exchange.definition)
    }

    /// All bindings that were made. The implicit ones to the default exchange are not among them: a queue has one, with its
    /// name as the key.
    pub fn bindings(&self) -> impl Iterator<Item = BindingEntry<'_>> {
        self.bindings.iter().filter_map(|(id, _)| self.entry(BindingId(id)))
    }

    /// The bindings of which the exchange is the source.
    pub fn bindings_from(&self, exchange: &str) -> impl Iterator<Item = BindingEntry<'_>> {
        let id = self.exchange_id(exchange.as_bytes());
        let ids = id.map_or(&[][..], |id| &self.exchanges[id.0].outgoing);
        ids.iter().filter_map(|id| self.entry(*id))
    }

    /// The bindings of which the exchange is the destination.
    pub fn bindings_to_exchange(&self, exchange: &str) -> impl Iterator<Item = BindingEntry<'_>> {
        let id = self.exchange_id(exchange.as_bytes());
        let ids = id.map_or(&[][..], |id| &self.exchanges[id.0].incoming);
        ids.iter().filter_map(|id| self.entry(*id))
    }

    /// The bindings of which the queue is the destination.
    pub fn bindings_to_queue(&self, queue: QueueKey) -> impl Iterator<Item = BindingEntry<'_>> {
        let ids = self.queues.get(&queue).map_or(&[][..], |queue| &queue.incoming);
        ids.iter().filter_map(|id| self.entry(*id))
    }

    fn entry(&self, id: BindingId) -> Option<BindingEntry<'_>> {
        let binding = self.bindings.get(id.0)?;
        let destination = match binding.destination {
            Destination::Exchange(id) => Endpoint::Exchange(&self.exchanges[id.0].definition.name),
            Destination::Queue(queue) => Endpoint::Queue(&self.queues.get(&queue)?.name),
        };
        Some(BindingEntry {
            source: &self.exchanges[binding.source.0].definition.name,
            destination,
            key: &binding.key,
            arguments: Table::parse(&binding.arguments).unwrap_or_default(),
        })
    }
}
