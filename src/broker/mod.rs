//! The core: vhosts, exchanges, queues, consumers and messages. No sockets, no files, no clock and no randomness of its own; whoever
//! calls gives what it needs and carries out the [`Effects`] that come back.

pub mod arguments;
pub mod compat;
mod connection;
mod dead_letter;
pub mod definitions;
mod durability;
mod effects;
mod error;
pub mod exchange;
pub mod fuzz;
pub mod journal;
mod kept;
mod memory;
mod message;
mod moment;
mod outbox;
pub mod policy;
mod queue;
mod reply;
mod slab;
mod timers;
pub mod topology;
mod vhost;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dashmap::DashMap;
use foldhash::fast::RandomState;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};

pub use connection::ConnectionId;
pub use durability::Durability;
pub use effects::Effects;
pub use error::BrokerError;
pub use kept::Kept;
pub use memory::Memory;
pub use message::{Body, Life, Message, MoreKeys, Parts};
pub use moment::Moment;
pub use outbox::{Delivery, Forced, OUTBOX_BYTES_MAX, Outbox, Outgoing, Taken};
pub use queue::{
    ChannelLimit, ConsumerKey, Counts, DeliveryCounts, Entry, Hold, Lane, OnDisk, Queue, Recovered, Refusable, Settled,
    Settlement, Subscriber,
};
pub use reply::{REPLY_TO, ReplyConsumers, ReplyRoute, is_reply_address};
pub use timers::{TimerKey, Timers};
pub use topology::RouteScratch;
pub use vhost::{Found, PolicyDeclare, QueueDeclare, VHost};

use self::arguments::QueueType;
use self::compat::Compat;
use self::journal::Journal;
use self::timers::Due;

/// Queues and connections whose moment has come that are served at once; then others get their turn.
const DUE_MAX: usize = 16;

/// What a broker is made with.
#[derive(Clone, Copy, Debug)]
pub struct BrokerSettings {
    /// The line of RabbitMQ to follow where they differ.
    pub compat: Compat,
    /// Memory for messages in bytes; above it publishers are blocked.
    pub memory_max: u64,
    /// The type of a queue that is declared without one, where its flags suit it.
    pub default_queue_type: QueueType,
    /// Makes generated names and secrets: a random number, or a fixed one for repeatable runs.
    pub seed: u64,
}

/// What survives a connection. A value: it can be made and dropped many times in a process, with or without sockets.
pub struct Broker {
    compat: Compat,
    default_queue_type: QueueType,
    timers: Arc<Timers>,
    vhosts: DashMap<Box<str>, Arc<VHost>, RandomState>,
    connections: DashMap<ConnectionId, Arc<Outbox>, RandomState>,
    memory: Arc<Memory>,
    durability: Option<Arc<Durability>>,
    replies: ReplyConsumers,
    random: Mutex<StdRng>,
}

impl Broker {
    /// A broker with the vhost `/`; without durability it forgets everything at its end.
    pub fn new(settings: BrokerSettings, durability: Option<Arc<Durability>>) -> Self {
        let mut random = StdRng::seed_from_u64(settings.seed);
        let broker = Self {
            compat: settings.compat,
            default_queue_type: settings.default_queue_type,
            timers: Arc::default(),
            vhosts: DashMap::default(),
            connections: DashMap::default(),
            memory: Arc::new(Memory::new(settings.memory_max)),
            durability,
            replies: ReplyConsumers::new(random.next_u64()),
            random: Mutex::new(random),
        };
        broker.add_vhost("/");
        broker
    }

    /// Adds an empty vhost unless it exists.
    pub fn add_vhost(&self, name: &str) -> Arc<VHost> {
        let (memory, timers, durability) = (self.memory.clone(), self.timers.clone(), self.durability.clone());
        let make = || VHost::new(name, self.compat, self.default_queue_type, memory, timers, durability);
        self.vhosts.entry(name.into()).or_insert_with(make).clone()
    }

    /// The vhost of this name.
    pub fn vhost(&self, name: &str) -> Option<Arc<VHost>> {
        self.vhosts.get(name).map(|vhost| vhost.clone())
    }

    /// The line of RabbitMQ that it follows.
    pub fn compat(&self) -> Compat {
        self.compat
    }

    /// The account of message memory.
    pub fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// The journal; none if nothing is kept.
    #[inline]
    pub fn journal(&self) -> Option<&Arc<Journal>> {
        self.durability.as_ref().map(|durability| &durability.journal)
    }

    /// Waits until what changed is durable; the [`Effects`] of the change tell which that is. For who has no connection to wait with.
    pub async fn durable(&self, fx: &mut Effects) {
        let position = fx.take_logged();
        if let Some(journal) = self.journal() {
            journal.durable(position).await;
        }
    }

    /// What ties it to a store; none if nothing is kept.
    pub fn durability(&self) -> Option<&Arc<Durability>> {
        self.durability.as_ref()
    }

    /// When to call [`Broker::on_time`].
    pub fn timers(&self) -> &Arc<Timers> {
        &self.timers
    }

    /// Does some of what is due now. True if there may be more.
    pub fn on_time(&self, fx: &mut Effects) -> bool {
        for due in self.timers.take_due(fx.now(), DUE_MAX) {
            match due {
                Due::Queue(queue) => queue.on_time(fx),
                Due::Connection(outbox) => {
                    if outbox.look_at_time() {
                        fx.wake(outbox);
                    }
                }
            }
        }
        fx.apply();
        self.timers.is_due(fx.now())
    }

    /// The reply consumers.
    pub fn replies(&self) -> &ReplyConsumers {
        &self.replies
    }

    /// Enters a connection that is open.
    pub fn add_connection(&self, id: ConnectionId, outbox: Arc<Outbox>) {
        self.connections.insert(id, outbox);
    }

    /// Forgets a connection.
    pub fn remove_connection(&self, id: ConnectionId) {
        self.connections.remove(&id);
    }

    /// How many connections are open.
    pub fn connection_count(&self) -> usize {
        self.connections.len()
    }

    /// Orders every connection to close with 320 and this text (C-29).
    pub fn close_connections(&self, why: &str) {
        let all: Vec<_> = self.connections.iter().map(|entry| entry.value().clone()).collect();
        for outbox in all {
            outbox.force_close(Forced(why.to_owned()));
        }
    }

    /// A name that is not in use: the prefix and 22 characters (Q-02, S-04).
    pub fn generate_name(&self, prefix: &str) -> String {
        let mut bytes = [0; 16];
        self.random.lock().fill_bytes(&mut bytes);
        format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}
