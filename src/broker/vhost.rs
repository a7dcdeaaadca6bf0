//! A vhost: its exchanges and queues, and what every operation on them checks.
//!
//! Lock order: the graph, then a queue, then an outbox. Routing takes the graph for reading; changes take it for writing, one at a
//! time, so that topology and queues always agree.

mod lasting;
mod policies;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use foldhash::fast::RandomState;
use leveret_protocol::{FieldTable, Table};
use parking_lot::RwLock;

use super::arguments::{self, ConsumerArguments, QueueReference, QueueType, ReceivedDeclare};
use super::compat::Compat;
use super::connection::ConnectionId;
use super::definitions::VHostDefinition;
use super::durability::Durability;
use super::effects::Effects;
use super::error::BrokerError;
use super::exchange::RoutingKeys;
use super::memory::Memory;
use super::policy::Policies;
use super::queue::{Begin, ConsumeError, DeleteRefused, Home, Queue};
use super::timers::Timers;
use super::topology::{Declare, NoSuchExchange, QueueKey, QueueRef, Removed, RouteScratch, Topology, TopologyError};

pub use self::policies::PolicyDeclare;

/// See the module.
pub struct VHost {
    /// Its name.
    pub name: Arc<str>,
    compat: Compat,
    node_default_type: QueueType,
    default_type: RwLock<Option<QueueType>>,
    durability: Option<Arc<Durability>>,
    home: Arc<Home>,
    queues: DashMap<Box<str>, Arc<Queue>, RandomState>,
    graph: RwLock<Graph>,
    policies: RwLock<Policies>,
    /// The topology's generation, to be read without the lock.
    generation: AtomicU64,
}

struct Graph {
    topology: Topology,
    /// Queues by key; a key is used again after its queue is gone.
    slots: Vec<Option<Arc<Queue>>>,
    free: Vec<QueueKey>,
}

/// A queue.declare that is not passive.
pub struct QueueDeclare<'a> {
    /// The name, without line ends; the generated one if the client sent none.
    pub name: &'a str,
    /// Whether the client left the name to the broker.
    pub server_named: bool,
    /// The flag as received.
    pub durable: bool,
    /// The flag as received.
    pub exclusive: bool,
    /// The flag as received.
    pub auto_delete: bool,
    /// As received.
    pub arguments: &'a FieldTable,
}

/// Where a message goes.
#[derive(Default)]
pub struct Found {
    /// Each queue once.
    pub queues: Vec<Arc<Queue>>,
    /// Another message with the same exchange and key may go elsewhere.
    pub depends_on_headers: bool,
}

impl VHost {
    /// A vhost with the predeclared exchanges.
    pub fn new(
        name: &str,
        compat: Compat,
        node_default_type: QueueType,
        memory: Arc<Memory>,
        timers: Arc<Timers>,
        durability: Option<Arc<Durability>>,
    ) -> Arc<Self> {
        let mut topology = Topology::new(name);
        if durability.is_some() {
            topology.record_changes();
        }
        Arc::new_cyclic(|me| Self {
            name: name.into(),
            compat,
            node_default_type,
            default_type: RwLock::new(None),
            durability,
            home: Arc::new(Home { memory, timers, vhost: me.clone(), compat }),
            queues: DashMap::default(),
            generation: AtomicU64::new(topology.generation()),
            policies: RwLock::default(),
            graph: RwLock::new(Graph { topology, slots: Vec::new(), free: Vec::new() }),
        })
    }

    /// The line of RabbitMQ that it follows.
    pub fn compat(&self) -> Compat {
        self.compat
    }

    /// The type of a durable queue that is declared without one.
    pub fn default_queue_type(&self) -> QueueType {
        self.default_type.read().unwrap_or(self.node_default_type)
    }

    /// Sets that type, for queues declared from now on; without one it is the node's. It is durable when
    /// [`Broker::durable`](super::Broker::durable) is done.
    pub fn set_default_queue_type(&self, default_queue_type: Option<QueueType>, fx: &mut Effects) {
        let _one_change_at_a_time = self.graph.write();
        *self.default_type.write() = default_queue_type;
        self.log_vhost(&VHostDefinition { default_queue_type }, fx);
    }

    /// Changes whenever a route may change.
    #[inline]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The queues that a message goes to (P-01); what was in `found` is lost.
    pub fn route(
        &self,
        exchange: &[u8],
        keys: &RoutingKeys<'_>,
        headers: Option<Table<'_>>,
        scratch: &mut RouteScratch,
        found: &mut Found,
    ) -> Result<(), TopologyError> {
        found.queues.clear();
        let graph = self.graph.read();
        let mut queue_keys = std::mem::take(scratch.queue_keys());
        let routed = graph.topology.route(exchange, keys, headers, scratch, &mut queue_keys);
        found.queues.extend(queue_keys.iter().filter_map(|key| graph.slots.get(key.0 as usize)?.clone()));
        *scratch.queue_keys() = queue_keys;
        match routed {
            Ok(routed) => found.depends_on_headers = routed.depends_on_headers,
            Err(NoSuchExchange) => return Err(TopologyError::NoExchange(graph.topology.exchange_ref(exchange))),
        }
        Ok(())
    }

    /// Whether clients may not publish to an exchange.
    pub fn is_internal(&self, exchange: &[u8]) -> Result<bool, TopologyError> {
        let graph = self.graph.read();
        match graph.topology.exchange(exchange) {
            Some(definition) => Ok(definition.flags.internal),
            None => Err(TopologyError::NoExchange(graph.topology.exchange_ref(exchange))),
        }
    }

    /// Declares an exchange, or checks that it is there.
    pub fn declare_exchange(&self, declare: &Declare<'_>, fx: &mut Effects) -> Result<(), BrokerError> {
        if declare.passive {
            self.graph.write().topology.declare_exchange(declare)?;
            return Ok(()); // only a look, which promises nothing
        }
        self.change(fx, |graph| {
            if graph.topology.declare_exchange(declare)? {
                let policies = self.policies.read();
                graph.topology.set_policy_alternate(declare.name, policies.alternate_of(declare.name));
            }
            Ok::<_, TopologyError>(())
        })
    }

    /// Deletes an exchange (M-06).
    pub fn delete_exchange(&self, name: &str, if_unused: bool, fx: &mut Effects) -> Result<(), BrokerError> {
        self.change(fx, |graph| graph.topology.delete_exchange(name, if_unused).map(drop::<Removed>))
    }

    /// Binds an exchange to an exchange (M-07).
    pub fn bind_exchange(
        &self,
        destination: &str,
        source: &str,
        key: &str,
        arguments: Table<'_>,
        fx: &mut Effects,
    ) -> Result<(), BrokerError> {
        self.change(fx, |graph| graph.topology.bind_exchange(destination, source, key, arguments).map(drop))
    }

    /// Removes such a binding (M-07).
    pub fn unbind_exchange(
        &self,
        destination: &str,
        source: &str,
        key: &str,
        arguments: Table<'_>,
        fx: &mut Effects,
    ) -> Result<(), BrokerError> {
        self.change(fx, |graph| {
            graph.topology.unbind_exchange(destination, source, key, arguments).map(drop::<Removed>)
        })
    }

    /// Binds a queue (M-09).
    pub fn bind_queue(
        &self,
        queue: &str,
        source: &str,
        key: &str,
        arguments: Table<'_>,
        by: ConnectionId,
        fx: &mut Effects,
    ) -> Result<(), BrokerError> {
        self.change(fx, |graph| {
            let found = self.queue(queue); // within the change: a queue's key may be another's afterwards
            let queue_key = found.as_ref().map(|found| found.key);
            graph.topology.check_bind_queue(queue, queue_key, source, key, arguments)?;
            self.check_owner(found.as_deref(), by)?;
            graph.topology.bind_queue(queue, queue_key, source, key, arguments)?;
            Ok::<_, BrokerError>(())
        })
    }

    /// Removes a queue's binding (M-10).
    pub fn unbind_queue(
        &self,
        queue: &str,
        source: &str,
        key: &str,
        arguments: Table<'_>,
        by: ConnectionId,
        fx: &mut Effects,
    ) -> Result<(), BrokerError> {
        self.change(fx, |graph| {
            let found = self.queue(queue);
            let bound = found.as_ref().is_some_and(|found| graph.topology.is_bound(found.key, source, key, arguments));
            if bound {
                self.check_owner(found.as_deref(), by)?;
            }
            graph.topology.unbind_queue(found.as_ref().map(|found| found.key), source, key, arguments)?;
            Ok::<_, BrokerError>(())
        })
    }

    /// The queue of this name.
    pub fn queue(&self, name: &str) -> Option<Arc<Queue>> {
        self.queues.get(name).map(|queue| queue.clone())
    }

    /// The queue of this name, if it exists (404) and is not another connection's (405).
    pub fn accessible_queue(&self, name: &str, by: ConnectionId) -> Result<Arc<Queue>, BrokerError> {
        let queue = self.queue(name).ok_or_else(|| self.no_queue(name))?;
        self.check_owner(Some(&queue), by)?;
        self.check_readable(&queue)?;
        Ok(queue)
    }

    /// Declares a queue. Tells whether it is new.
    pub fn declare_queue(
        &self,
        declare: &QueueDeclare<'_>,
        by: ConnectionId,
        fx: &mut Effects,
    ) -> Result<(Arc<Queue>, bool), BrokerError> {
        if !declare.server_named && declare.name.starts_with("amq.") {
            return Err(BrokerError::ReservedQueueName(declare.name.to_owned()));
        }
        let received = ReceivedDeclare {
            queue: QueueReference { vhost: &self.name, name: declare.name },
            server_named: declare.server_named,
            durable: declare.durable,
            exclusive: declare.exclusive,
            auto_delete: declare.auto_delete,
            arguments: declare.arguments,
        };
        if let Some(queue) = self.redeclared(&received, by)? {
            queue.declared_again(fx);
            self.rests_on_its_declare(&queue, fx);
            return Ok((queue, false));
        }
        let settings = arguments::declare(&received, self.default_queue_type(), self.compat)?;
        let mut graph = self.graph.write();
        if let Some(queue) = self.redeclared(&received, by)? {
            self.rests_on_its_declare(&queue, fx);
            return Ok((queue, false));
        }
        let disk = self.durability.as_ref().map(|durability| durability.on_disk(durability.new_id(), &settings));
        let queue = graph.add_queue(declare.name, settings.durable, |key| {
            let owner = settings.exclusive.then_some(by);
            let policy = self.policies.read().say_to_queue(declare.name, settings.queue_type);
            let begin = Begin { policy: &policy, now: fx.now(), disk, recovered: Vec::new(), earlier_ttls: Vec::new() };
            Queue::new(declare.name.into(), key, settings, owner, self.home.clone(), begin)
        });
        queue.dispatch(fx); // registers when it is unused
        if let Some(durability) = &self.durability {
            durability.add(&queue);
            self.log_queue(durability, &queue, fx);
        }
        self.queues.insert(declare.name.into(), queue.clone()); // who finds it finds its definition in the log
        self.publish_generation(&graph);
        Ok((queue, true))
    }

    /// Deletes a queue and tells how many messages were in it; one that is not there is no error (M-12).
    pub fn delete_queue(
        &self,
        name: &str,
        if_unused: bool,
        if_empty: bool,
        by: ConnectionId,
        fx: &mut Effects,
    ) -> Result<usize, BrokerError> {
        let Some(queue) = self.queue(name) else {
            self.rests_on_changes(fx);
            return Ok(0);
        };
        self.check_owner(Some(&queue), by)?;
        let (queue_name, vhost) = (name.to_owned(), self.name.to_string());
        if queue.settings.queue_type == QueueType::Quorum && (if_unused || if_empty) {
            let flag = if if_unused { "if-unused" } else { "if-empty" };
            return Err(BrokerError::ConditionalQuorumDelete { queue: queue_name, vhost, flag });
        }
        match self.delete(&queue, if_unused, if_empty, fx) {
            Ok(messages) => Ok(messages),
            Err(DeleteRefused::Deleted) => {
                self.rests_on_changes(fx);
                Ok(0)
            }
            Err(DeleteRefused::InUse) => Err(BrokerError::QueueInUse { queue: queue_name, vhost }),
            Err(DeleteRefused::NotEmpty) => Err(BrokerError::QueueNotEmpty { queue: queue_name, vhost }),
        }
    }

    /// Deletes an auto-delete queue whose last consumer left, unless another has come.
    pub fn delete_unused(&self, queue: &Arc<Queue>, fx: &mut Effects) {
        let _ = self.delete(queue, true, false, fx);
    }

    /// Deletes a queue because its connection ends.
    pub fn delete_owned(&self, queue: &Arc<Queue>, fx: &mut Effects) {
        let _ = self.delete(queue, false, false, fx);
    }

    /// Reads the arguments of a consumer (Q-31, S-18).
    pub fn consumer_arguments(&self, queue: &Queue, arguments: Table<'_>) -> Result<ConsumerArguments, BrokerError> {
        let reference = QueueReference { vhost: &self.name, name: &queue.name };
        Ok(ConsumerArguments::parse(reference, queue.settings.queue_type, &arguments.to_owned())?)
    }

    /// What a client is told when a queue refuses its consumer (S-05).
    pub fn consume_refused(&self, refused: ConsumeError, queue: &Queue) -> BrokerError {
        match refused {
            ConsumeError::Deleted => self.no_queue(&queue.name),
            ConsumeError::ExclusiveUse => {
                BrokerError::ExclusiveUse { queue: queue.name.to_string(), vhost: self.name.to_string() }
            }
        }
    }

    /// What a client is told about a queue that is not there.
    pub fn no_queue(&self, name: &str) -> BrokerError {
        TopologyError::NoQueue(QueueRef { name: name.into(), vhost: (*self.name).into() }).into()
    }

    /// All queues, in no order.
    pub fn queues(&self) -> Vec<Arc<Queue>> {
        self.queues.iter().map(|entry| entry.value().clone()).collect()
    }

    fn redeclared(&self, received: &ReceivedDeclare<'_>, by: ConnectionId) -> Result<Option<Arc<Queue>>, BrokerError> {
        let Some(queue) = self.queue(received.queue.name) else { return Ok(None) };
        self.check_owner(Some(&queue), by)?;
        self.check_readable(&queue)?;
        arguments::redeclare(&queue.settings, received, self.default_queue_type())?;
        Ok(Some(queue))
    }

    fn check_owner(&self, queue: Option<&Queue>, by: ConnectionId) -> Result<(), BrokerError> {
        match queue {
            Some(queue) if queue.owner.is_some_and(|owner| owner != by) => {
                Err(BrokerError::Locked { queue: queue.name.to_string(), vhost: self.name.to_string() })
            }
            _ => Ok(()),
        }
    }

    fn check_readable(&self, queue: &Queue) -> Result<(), BrokerError> {
        match queue.is_failed() {
            true => Err(BrokerError::Unreadable { queue: queue.name.to_string(), vhost: self.name.to_string() }),
            false => Ok(()),
        }
    }

    fn delete(
        &self,
        queue: &Arc<Queue>,
        if_unused: bool,
        if_empty: bool,
        fx: &mut Effects,
    ) -> Result<usize, DeleteRefused> {
        let mut graph = self.graph.write();
        let remains = queue.delete(if_unused, if_empty, fx)?;
        graph.remove_queue(queue.key);
        self.log_queue_gone(queue, fx);
        self.log_changes(&mut graph, fx);
        self.queues.remove(&*queue.name); // who does not find it is told so when the log has it
        self.publish_generation(&graph);
        drop(graph);
        Ok(remains.ready())
    }

    fn change<E: Into<BrokerError>>(
        &self,
        fx: &mut Effects,
        change: impl FnOnce(&mut Graph) -> Result<(), E>,
    ) -> Result<(), BrokerError> {
        let mut graph = self.graph.write();
        let result = change(&mut graph);
        if graph.topology.generation() == self.generation() {
            self.rests_on_changes(fx); // it was so already
        }
        self.log_changes(&mut graph, fx);
        self.publish_generation(&graph);
        result.map_err(Into::into)
    }

    fn publish_generation(&self, graph: &Graph) {
        self.generation.store(graph.topology.generation(), Ordering::Release);
    }
}

impl Graph {
    fn add_queue(&mut self, name: &str, lasting: bool, make: impl FnOnce(QueueKey) -> Queue) -> Arc<Queue> {
        let key = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            QueueKey((self.slots.len() - 1) as u32)
        });
        let queue = Arc::new(make(key));
        self.slots[key.0 as usize] = Some(queue.clone());
        self.topology.add_queue(name, key, lasting);
        queue
    }

    fn remove_queue(&mut self, key: QueueKey) {
        self.topology.remove_queue(key);
        self.slots[key.0 as usize] = None;
        self.free.push(key);
    }
}
