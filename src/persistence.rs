//! What lets a broker outlive its process: opens the store of a data directory, makes the broker again from what it holds, and carries
//! between the store's threads and the queues.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use thiserror::Error;
use tokio::sync::Notify;
use tracing::{error, info, warn};

use crate::broker::definitions::{self, Bytes, Definition, PolicyDefinition, QueueDefinition, VHostDefinition};
use crate::broker::journal::{Journal, Loaded, Op, Pager, QueueId, Request};
use crate::broker::topology::{BoundPair, ExchangeDefinition};
use crate::broker::{Broker, BrokerSettings, Durability, Effects, Kept, Lane, OnDisk, Queue};
use crate::connection::Clock;
use crate::store::{self, Recovered, RecoveredQueue, Sink, Store, StoreError};

/// Why a broker cannot be made from a data directory.
#[derive(Debug, Error)]
pub enum PersistenceError {
    /// The store cannot be opened, or is damaged.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a data directory is not left in order.
#[derive(Debug, Error)]
pub enum CloseError {
    /// The store has failed: what was not confirmed by then may be lost.
    #[error("the store failed, so the broker has ended: {0}")]
    Failed(String),
    /// The last checkpoint cannot be written.
    #[error(
        "the last checkpoint cannot be written: {0}; nothing that was confirmed is lost, and the next start reads it from the log"
    )]
    Checkpoint(StoreError),
}

/// The store of a running broker.
pub struct Persistence {
    journal: Arc<Journal>,
    pager: Arc<StorePager>,
    failure: Arc<Failure>,
}

/// The store has failed for good; nothing is confirmed any more.
#[derive(Default)]
struct Failure {
    error: Mutex<Option<String>>,
    happened: Notify,
}

/// Hands requests to the store. It is given to the queues before the store runs, and keeps what they ask for until then.
#[derive(Default)]
struct StorePager {
    store: OnceLock<Store<Kept>>,
    early: Mutex<Vec<Request<Kept>>>,
}

impl Pager for StorePager {
    fn request(&self, request: Request<Kept>) {
        match self.store.get() {
            Some(store) => store.request(request),
            None => self.early.lock().push(request),
        }
    }
}

/// Opens the store of a data directory and makes the broker that it holds.
///
/// # Errors
/// The directory cannot be used, another process uses it, or it is damaged where no single queue can be left out.
pub fn open(
    dir: &Path,
    options: store::Options,
    settings: BrokerSettings,
) -> Result<(Arc<Broker>, Persistence), PersistenceError> {
    let progress = |done: u64, of: u64| info!(done, of, "reading the data directory, bytes");
    let (opening, recovered) = store::open_dir(dir, options, progress)?;
    if let Some(cut) = &recovered.cut {
        warn!(%cut, "the end of the log was torn by a crash: cut off; nothing that was confirmed is in it");
    }
    if let Some(why) = &recovered.mended {
        warn!(%why, "the checkpoint was made again from its copy; nothing is lost, but the disk may be failing");
    }
    let journal = Arc::new(Journal::new());
    let pager = Arc::new(StorePager::default());
    let durability = Arc::new(Durability::new(journal.clone(), pager.clone(), recovered.next_queue_id));
    let broker = Arc::new(Broker::new(settings, Some(durability.clone())));
    let mut fx = Effects::default();
    fx.set_now(Clock::new().now());
    restore(&broker, &durability, recovered, &mut fx);
    let failure = Arc::new(Failure::default());
    let link = Link { broker: broker.clone(), durability, failure: failure.clone(), clock: Clock::new() };
    let store = opening.start(journal.clone(), Arc::new(link));
    std::mem::take(&mut *pager.early.lock()).into_iter().for_each(|request| store.request(request));
    let _ = pager.store.set(store);
    fx.apply();
    Ok((broker, Persistence { journal, pager, failure }))
}

impl Persistence {
    /// Waits until the store fails for good; gives why.
    pub async fn failed(&self) -> String {
        loop {
            let happened = self.failure.happened.notified();
            if let Some(error) = self.failure.error.lock().clone() {
                return error;
            }
            happened.await;
        }
    }

    /// Writes what is left, marks the directory clean and ends the store's threads. Blocks until that is done.
    ///
    /// # Errors
    /// See [`CloseError`].
    pub fn close(&self) -> Result<(), CloseError> {
        self.journal.close();
        let closed = self.pager.store.get().map_or(Ok(()), Store::close);
        match self.failure.error.lock().take() {
            Some(error) => Err(CloseError::Failed(error)),
            None => closed.map_err(CloseError::Checkpoint),
        }
    }
}

/// Definitions by what they define, in the order in which they are made again: each needs those before it.
#[derive(Default)]
struct Definitions {
    vhosts: Vec<(String, VHostDefinition)>,
    policies: Vec<(String, PolicyDefinition)>,
    exchanges: Vec<(Bytes, String, ExchangeDefinition)>,
    queues: Vec<(String, QueueDefinition)>,
    bindings: Vec<(Bytes, String, BoundPair)>,
    /// There are some that cannot be read.
    unreadable: bool,
}

impl Definitions {
    fn read(all: Vec<(Bytes, Bytes)>) -> Self {
        let mut read = Self::default();
        for (key, value) in all {
            match definitions::read(&key, &value) {
                Some(Definition::VHost(vhost, definition)) => read.vhosts.push((vhost, definition)),
                Some(Definition::Policy(vhost, policy)) => read.policies.push((vhost, policy)),
                Some(Definition::Exchange(vhost, definition)) => read.exchanges.push((key, vhost, definition)),
                Some(Definition::Queue(vhost, definition)) => read.queues.push((vhost, definition)),
                Some(Definition::Binding(vhost, pair)) => read.bindings.push((key, vhost, pair)),
                None => {
                    read.unreadable = true;
                    warn!(key = %String::from_utf8_lossy(&key), "a definition cannot be read: left as it is");
                }
            }
        }
        read
    }
}

/// Makes vhosts, policies, exchanges, queues and bindings again. What has no place any more is forgotten, and said.
fn restore(broker: &Broker, durability: &Durability, recovered: Recovered, fx: &mut Effects) {
    let mut messages: HashMap<QueueId, Vec<_>> = HashMap::new();
    for lane in recovered.queues {
        let (queue, number) = OnDisk::queue_of(lane.queue);
        messages.entry(queue).or_default().push((number, lane.into()));
    }
    let damaged = recovered.damaged.into_iter().map(|(lane, error)| (OnDisk::queue_of(lane).0, error));
    let mut damaged: HashMap<QueueId, StoreError> = damaged.collect();
    let read = Definitions::read(recovered.definitions);
    let Definitions { vhosts, policies, exchanges, queues, bindings, unreadable } = read;
    for (vhost, definition) in vhosts {
        broker.add_vhost(&vhost).restore(&definition);
    }
    for (vhost, policy) in policies {
        if let Err(error) = broker.add_vhost(&vhost).restore_policy(&policy) {
            error!(policy = %policy.name, %error, "the policy cannot be set again: left as it is");
        }
    }
    for (key, vhost, definition) in exchanges {
        if !definition.flags.durable && broker.compat().forgets_transient_exchanges() {
            durability.journal.write().push(Op::Forget { key });
        } else {
            broker.add_vhost(&vhost).restore_exchange(definition);
        }
    }
    let mut count = 0;
    for (vhost, definition) in queues {
        let recovered = messages.remove(&definition.id).unwrap_or_default();
        match broker.add_vhost(&vhost).restore_queue(&definition, recovered, fx) {
            Ok(queue) => {
                count += 1;
                if let Some(error) = damaged.remove(&definition.id) {
                    error!(queue = %queue.name, %error, "the queue stays closed");
                    queue.fail(fx);
                }
            }
            Err(error) => error!(queue = %definition.name, %error, "the queue cannot be made again: left as it is"),
        }
    }
    for (key, vhost, pair) in bindings {
        if !broker.add_vhost(&vhost).restore_binding(&pair) {
            durability.journal.write().push(Op::Forget { key });
        }
    }
    // One that cannot be read may be the queue that messages without one belong to.
    for (queue, lanes) in messages.into_iter().filter(|_| !unreadable) {
        for (lane, _) in lanes {
            durability.journal.write().push(Op::Drop { queue: OnDisk::id_of(queue, lane) });
        }
    }
    if count > 0 {
        info!(queues = count, clean = recovered.clean, "restored");
    }
}

impl From<RecoveredQueue> for crate::broker::Recovered {
    fn from(queue: RecoveredQueue) -> Self {
        Self { first: queue.first, next: queue.next, count: queue.count, body_bytes: queue.weight }
    }
}

/// What the store's threads tell, brought to the queues.
struct Link {
    broker: Arc<Broker>,
    durability: Arc<Durability>,
    failure: Arc<Failure>,
    clock: Clock,
}

impl Link {
    fn with_queue(&self, id: QueueId, tell: impl FnOnce(&Arc<Queue>, Lane, &mut Effects)) {
        let mut fx = Effects::default();
        fx.set_now(self.clock.now());
        if let Some((queue, lane)) = self.durability.queue(id) {
            tell(&queue, lane, &mut fx);
        }
        fx.apply();
    }
}

impl Sink<Kept> for Link {
    fn loaded(&self, queue: QueueId, from: u64, result: Result<Vec<Loaded<Kept>>, StoreError>) {
        self.with_queue(queue, |queue, lane, fx| {
            if let Err(error) = &result {
                error!(queue = %queue.name, %error, "the queue cannot be read: it is closed");
            }
            queue.loaded(lane, from, result.ok(), fx);
        });
    }

    fn paged_out(&self, queue: QueueId, _bytes: usize) {
        self.with_queue(queue, |queue, _, fx| queue.paged_out(fx));
    }

    fn written(&self, position: u64, patience: Option<Duration>) {
        crate::socket::has_written(position, patience);
    }

    fn space_low(&self, low: bool) {
        match low {
            true => warn!("the disk is nearly full: publishers are blocked"),
            false => info!("the disk has space again"),
        }
        let mut fx = Effects::default();
        self.broker.memory().set_disk_low(low, &mut fx);
        fx.apply();
    }

    fn failed(&self, error: StoreError) {
        error!(%error, "the store has failed: nothing is confirmed any more");
        *self.failure.error.lock() = Some(error.to_string());
        self.failure.happened.notify_waiters();
    }
}
