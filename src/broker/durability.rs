//! What ties a broker to a store: the journal it writes, the pager it calls, and the queues that the store knows by their ids.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use foldhash::fast::RandomState;

use super::arguments::{QueueSettings, QueueType};
use super::definitions::Bytes;
use super::effects::Effects;
use super::journal::{Journal, Op, Pager, QueueId};
use super::kept::Kept;
use super::queue::{Lane, OnDisk, Queue};

/// See the module. A broker without one keeps everything in memory and forgets it at its end.
pub struct Durability {
    /// What is to be written.
    pub journal: Arc<Journal>,
    /// Who takes messages out of memory.
    pub pager: Arc<dyn Pager>,
    queues: DashMap<QueueId, Arc<Queue>, RandomState>,
    next_id: AtomicU64,
    /// Where the journal has the last change of a definition.
    last_change: AtomicU64,
}

impl Durability {
    /// Queues made from now on get ids from `next_id` on, where none has been used.
    pub fn new(journal: Arc<Journal>, pager: Arc<dyn Pager>, next_id: u64) -> Self {
        Self {
            journal,
            pager,
            queues: DashMap::default(),
            next_id: AtomicU64::new(next_id.next_multiple_of(OnDisk::IDS)),
            last_change: AtomicU64::new(0),
        }
    }

    /// The queue that an id of the store belongs to, if it is not gone, and which of its lanes it is.
    pub fn queue(&self, id: QueueId) -> Option<(Arc<Queue>, Lane)> {
        let (id, lane) = OnDisk::queue_of(id);
        self.queues.get(&id).map(|queue| (queue.clone(), lane))
    }

    /// All queues that have an id.
    pub fn queues(&self) -> Vec<Arc<Queue>> {
        self.queues.iter().map(|entry| entry.value().clone()).collect()
    }

    /// The first of the ids of a queue, which none has had in this store.
    pub(super) fn new_id(&self) -> QueueId {
        QueueId(self.next_id.fetch_add(OnDisk::IDS, Ordering::Relaxed))
    }

    /// What a queue with these settings needs.
    pub(super) fn on_disk(&self, id: QueueId, settings: &QueueSettings) -> OnDisk {
        OnDisk {
            id,
            journal: settings.durable.then(|| self.journal.clone()),
            pager: self.pager.clone(),
            keeps_all: settings.queue_type != QueueType::Classic,
        }
    }

    pub(super) fn add(&self, queue: &Arc<Queue>) {
        if let Some(disk) = queue.on_disk() {
            self.queues.insert(disk.id, queue.clone());
        }
    }

    pub(super) fn remove(&self, queue: &Queue) {
        if let Some(disk) = queue.on_disk() {
            self.queues.remove(&disk.id);
        }
    }

    pub(super) fn define(&self, (key, value): (Bytes, Bytes), fx: &mut Effects) {
        self.change(Op::Define { key, value }, fx);
    }

    pub(super) fn forget(&self, key: Bytes, fx: &mut Effects) {
        self.change(Op::Forget { key }, fx);
    }

    fn change(&self, op: Op<Kept>, fx: &mut Effects) {
        let position = self.journal.write().push(op);
        self.last_change.fetch_max(position, Ordering::Release);
        fx.logged(position);
    }

    /// What a client is told rests on another's change, which is as durable as that.
    pub(super) fn rests_on_changes(&self, fx: &mut Effects) {
        fx.logged(self.last_change.load(Ordering::Acquire));
    }
}
