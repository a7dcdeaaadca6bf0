//! Making bindings, and finding them again.
//!
//! Two bindings are the same when source, destination and key are, and the arguments to the type of each value. The order
//! of arguments does not count, but that inside their values does (M-09). So arguments are kept sorted by name and encoded,
//! and compared as bytes.

use std::hash::{BuildHasher, Hash, Hasher};

use leveret_protocol::{FieldTable, Table};

use super::{Binding, Queue, QueueKey, Topology, TopologyError};
use crate::broker::exchange::{BindingId, Destination, ExchangeId, Place, Target};

/// What makes a binding the same as another.
pub(super) struct Identity<'a> {
    source: ExchangeId,
    destination: Destination,
    key: &'a [u8],
    arguments: Vec<u8>,
}

impl Topology {
    /// Binds an exchange to an exchange (M-07). Gives whether the binding is new.
    ///
    /// # Errors
    /// The default exchange on either side, a missing exchange (the source is named first), then what the type of the
    /// source refuses.
    pub fn bind_exchange(
        &mut self,
        destination: &str,
        source: &str,
        key: &str,
        arguments: Table<'_>,
    ) -> Result<bool, TopologyError> {
        if destination.is_empty() || source.is_empty() {
            return Err(TopologyError::DefaultExchange);
        }
        let source = self.existing(source)?;
        let destination = Destination::Exchange(self.existing(destination)?);
        let key = key.as_bytes();
        self.exchanges[source.0].bindings.check(key, arguments)?;
        Ok(self.insert_binding(identity(source, destination, key, arguments)))
    }

    /// Binds a queue to an exchange (M-09). Gives whether the binding is new.
    ///
    /// `queue` is what the vhost knows under `queue_name`, none if there is no such queue.
    ///
    /// # Errors
    /// As [`check_bind_queue`](Self::check_bind_queue).
    pub fn bind_queue(
        &mut self,
        queue_name: &str,
        queue: Option<QueueKey>,
        source: &str,
        key: &str,
        arguments: Table<'_>,
    ) -> Result<bool, TopologyError> {
        let (source, queue) = self.checked_bind_queue(queue_name, queue, source, key, arguments)?;
        let destination = Destination::Queue(queue);
        Ok(self.insert_binding(identity(source, destination, key.as_bytes(), arguments)))
    }

    /// The checks of [`bind_queue`](Self::bind_queue) alone: RabbitMQ asks only after them whether the queue is another
    /// connection's (M-09).
    ///
    /// # Errors
    /// The default exchange, the exchange is missing, the queue is missing, then what the type of the exchange refuses.
    pub fn check_bind_queue(
        &self,
        queue_name: &str,
        queue: Option<QueueKey>,
        source: &str,
        key: &str,
        arguments: Table<'_>,
    ) -> Result<(), TopologyError> {
        self.checked_bind_queue(queue_name, queue, source, key, arguments).map(|_| ())
    }

    /// Whether a queue has exactly this binding (M-10).
    pub fn is_bound(&self, queue: QueueKey, source: &str, key: &str, arguments: Table<'_>) -> bool {
        let Some(source) = self.exchange_id(source.as_bytes()) else {
            return false;
        };
        let destination = Destination::Queue(queue);
        self.find_binding(&identity(source, destination, key.as_bytes(), arguments)).is_some()
    }

    pub(super) fn existing(&self, name: &str) -> Result<ExchangeId, TopologyError> {
        self.exchange_id(name.as_bytes()).ok_or_else(|| TopologyError::NoExchange(self.exchange_ref(name.as_bytes())))
    }

    pub(super) fn find_binding(&self, wanted: &Identity<'_>) -> Option<BindingId> {
        let same_hash = self.identities.get(&self.identity_hash(wanted))?;
        same_hash.iter().copied().find(|id| is_same(&self.bindings[id.0], wanted))
    }

    fn checked_bind_queue(
        &self,
        queue_name: &str,
        queue: Option<QueueKey>,
        source: &str,
        key: &str,
        arguments: Table<'_>,
    ) -> Result<(ExchangeId, QueueKey), TopologyError> {
        if source.is_empty() {
            return Err(TopologyError::DefaultExchange);
        }
        let source = self.existing(source)?;
        let queue = queue
            .filter(|queue| self.queues.contains_key(queue))
            .ok_or_else(|| TopologyError::NoQueue(self.queue_ref(queue_name)))?;
        let bindings = &self.exchanges[source.0].bindings;
        bindings.check(key.as_bytes(), arguments)?;
        Ok((source, queue))
    }

    /// Adds a binding unless it is there.
    fn insert_binding(&mut self, wanted: Identity<'_>) -> bool {
        let hash = self.identity_hash(&wanted);
        let same_hash = self.identities.entry(hash).or_default();
        if same_hash.iter().any(|id| is_same(&self.bindings[id.0], &wanted)) {
            return false;
        }
        self.generation += 1;
        let Identity { source, destination, key, arguments } = wanted;
        let id = BindingId(self.bindings.insert(Binding {
            source,
            destination,
            key: key.into(),
            arguments: arguments.into(),
            identity: hash,
            place: Place::default(),
            outgoing_slot: 0,
            incoming_slot: 0,
        }));
        same_hash.push(id);
        self.connect(id);
        self.record_binding_made(id);
        true
    }

    /// Enters a new binding in the lists of its two ends.
    fn connect(&mut self, id: BindingId) {
        let binding = &mut self.bindings[id.0];
        let source = &mut self.exchanges[binding.source.0];
        let arguments = Table::parse(&binding.arguments).unwrap_or_default();
        let target = Target { destination: binding.destination, binding: id };
        binding.place = source.bindings.bind(&binding.key, arguments, target);
        binding.outgoing_slot = source.outgoing.len();
        source.outgoing.push(id);
        let incoming = match binding.destination {
            Destination::Exchange(exchange) => &mut self.exchanges[exchange.0].incoming,
            Destination::Queue(queue) => match self.queues.get_mut(&queue) {
                Some(Queue { incoming, .. }) => incoming,
                None => unreachable!("the queue was looked up before"),
            },
        };
        binding.incoming_slot = incoming.len();
        incoming.push(id);
    }

    fn identity_hash(&self, identity: &Identity<'_>) -> u64 {
        let mut hasher = self.identity_hasher.build_hasher();
        identity.source.hash(&mut hasher);
        identity.destination.hash(&mut hasher);
        hasher.write(identity.key);
        hasher.write(&identity.arguments);
        hasher.finish()
    }
}

pub(super) fn identity<'a>(
    source: ExchangeId,
    destination: Destination,
    key: &'a [u8],
    arguments: Table<'_>,
) -> Identity<'a> {
    Identity { source, destination, key, arguments: sorted(arguments) }
}

fn is_same(binding: &Binding, wanted: &Identity<'_>) -> bool {
    binding.source == wanted.source
        && binding.destination == wanted.destination
        && *binding.key == *wanted.key
        && *binding.arguments == *wanted.arguments
}

/// The arguments encoded in order of their names; those of the same name stay in order.
fn sorted(arguments: Table<'_>) -> Vec<u8> {
    if arguments.is_empty() {
        return Vec::new();
    }
    let mut entries = arguments.iter().collect::<Vec<_>>();
    entries.sort_by_key(|(name, _)| *name);
    let entries = entries.into_iter().map(|(name, value)| (name, value.to_owned()));
    entries.collect::<FieldTable>().encode()
}
