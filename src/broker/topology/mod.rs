//! The exchanges and bindings of one vhost: what may be declared and bound, and where a message goes.
//!
//! A [`Topology`] is a plain value. Changes take `&mut self`, routing takes `&self`; whoever shares it puts a lock around
//! it. It knows queues only by the [`QueueKey`] that the vhost gives and by name; whether a queue may be used is
//! the vhost's question.
//!
//! Invariants:
//! - A binding is in three lists, and leaves them together: that of its source, that of its destination, and its
//!   source's `Bindings`. Its positions are kept with it, so it leaves each in constant time.
//! - Every destination and every source of a binding exists.
//! - The default exchange has no bindings: it routes by the names of the queues.

mod bind;
mod changes;
mod declare;
mod error;
mod read;
mod remove;
mod route;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use foldhash::fast::RandomState;
use leveret_protocol::FieldTable;
use smallvec::SmallVec;

use super::exchange::{BindingId, Bindings, Destination, ExchangeId, ExchangeType, Place};
use super::slab::Slab;

pub use self::changes::{BoundPair, Change};
pub use self::declare::Declare;
pub use self::error::{ExchangeRef, QueueRef, TopologyError};
pub use self::read::{BindingEntry, Endpoint};
pub use self::remove::Removed;
pub use self::route::{NoSuchExchange, RouteScratch, Routed};

/// The vhost's number for a queue. Small numbers that are used again after a queue is gone, as in a slab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueKey(pub u32);

/// What `exchange.declare` says of an exchange besides its type and arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExchangeFlags {
    /// Kept and compared. As in RabbitMQ 4.3, an exchange without it survives a restart too.
    pub durable: bool,
    /// Goes with the last binding of which it is the source.
    pub auto_delete: bool,
    /// Clients may not publish to it.
    pub internal: bool,
}

/// An exchange as it was declared.
#[derive(Debug, Clone, PartialEq)]
pub struct ExchangeDefinition {
    /// Empty for the default exchange.
    pub name: Box<str>,
    /// Its type.
    pub exchange_type: ExchangeType,
    /// Its flags.
    pub flags: ExchangeFlags,
    /// All arguments, as first declared.
    pub arguments: FieldTable,
}

/// All exchanges and bindings of one vhost.
#[derive(Debug)]
pub struct Topology {
    vhost: Box<str>,
    generation: u64,
    exchange_names: HashMap<Box<[u8]>, ExchangeId, RandomState>,
    exchanges: Slab<Exchange>,
    queue_names: HashMap<Box<[u8]>, QueueKey, RandomState>,
    queues: HashMap<QueueKey, Queue, RandomState>,
    bindings: Slab<Binding>,
    /// Bindings by the hash of what makes them the same (M-09).
    identities: HashMap<u64, SmallVec<[BindingId; 2]>, RandomState>,
    identity_hasher: RandomState,
    /// None if nobody wants to know.
    changes: Option<Vec<Change>>,
}

#[derive(Debug)]
struct Exchange {
    definition: ExchangeDefinition,
    /// The name in `alternate-exchange`.
    alternate: Option<Box<[u8]>>,
    bindings: Bindings,
    /// The bindings of which it is the source.
    outgoing: Vec<BindingId>,
    /// The bindings of which it is the destination.
    incoming: Vec<BindingId>,
}

#[derive(Debug)]
struct Queue {
    name: Box<str>,
    /// It is there after a restart, and so are its bindings.
    lasting: bool,
    incoming: Vec<BindingId>,
}

#[derive(Debug)]
struct Binding {
    source: ExchangeId,
    destination: Destination,
    key: Box<[u8]>,
    /// Encoded, sorted by name; see [`bind`].
    arguments: Box<[u8]>,
    identity: u64,
    place: Place,
    /// Position in the source's `outgoing`.
    outgoing_slot: usize,
    /// Position in the destination's `incoming`.
    incoming_slot: usize,
}

/// The exchanges that every vhost has, besides the default one.
const PREDECLARED: [(&str, ExchangeType, bool); 6] = [
    ("amq.direct", ExchangeType::Direct, false),
    ("amq.fanout", ExchangeType::Fanout, false),
    ("amq.headers", ExchangeType::Headers, false),
    ("amq.match", ExchangeType::Headers, false),
    ("amq.rabbitmq.trace", ExchangeType::Topic, true),
    ("amq.topic", ExchangeType::Topic, false),
];

impl Topology {
    /// The predeclared exchanges and nothing else. `vhost` is the name for explanations.
    pub fn new(vhost: &str) -> Self {
        let mut topology = Self {
            vhost: vhost.into(),
            generation: 0,
            exchange_names: HashMap::default(),
            exchanges: Slab::new(),
            queue_names: HashMap::default(),
            queues: HashMap::default(),
            bindings: Slab::new(),
            identities: HashMap::default(),
            identity_hasher: RandomState::default(),
            changes: None,
        };
        topology.predeclare("", ExchangeType::Direct, false);
        for (name, exchange_type, internal) in PREDECLARED {
            topology.predeclare(name, exchange_type, internal);
        }
        topology
    }

    /// Grows with each change that may change a route; a route found under a generation holds as long as it stays.
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Makes a queue known, which binds it to the default exchange by its name.
    ///
    /// Neither name nor key may be in use. `lasting` says that it is there after a restart.
    pub fn add_queue(&mut self, name: &str, queue: QueueKey, lasting: bool) {
        self.generation += 1;
        let by_name = self.queue_names.insert(name.as_bytes().into(), queue);
        let by_key = self.queues.insert(queue, Queue { name: name.into(), lasting, incoming: Vec::new() });
        debug_assert!(by_name.is_none() && by_key.is_none(), "a queue added twice");
    }

    fn predeclare(&mut self, name: &str, exchange_type: ExchangeType, internal: bool) {
        self.insert_exchange(ExchangeDefinition {
            name: name.into(),
            exchange_type,
            flags: ExchangeFlags { durable: true, auto_delete: false, internal },
            arguments: FieldTable::new(),
        });
    }

    /// Whether nothing of any binding is left, inside the exchanges too.
    #[cfg(test)]
    fn is_unbound(&self) -> bool {
        self.bindings.is_empty()
            && self.identities.is_empty()
            && self.queues.values().all(|queue| queue.incoming.is_empty())
            && self.exchanges.iter().all(|(_, exchange)| {
                exchange.bindings.is_empty() && exchange.outgoing.is_empty() && exchange.incoming.is_empty()
            })
    }

    fn exchange_id(&self, name: &[u8]) -> Option<ExchangeId> {
        self.exchange_names.get(name).copied()
    }
}
