//! The account of memory that queued and unacked messages take, and the alarms when it is over its limit or the disk is full (C-27).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};

use parking_lot::Mutex;

use super::effects::Effects;
use super::outbox::Outbox;

/// Publishers go on when this part of the limit is in use, so that they do not stop and go at every message.
const CLEAR_AT_PERCENT: i64 = 90;

/// Above this part of the limit queues keep less in memory and more on disk.
const TIGHT_AT_PERCENT: i64 = 50;

/// The alarms.
const MEMORY: u8 = 1;
const DISK: u8 = 2;

/// See the module. Charged by the queues once per batch.
pub struct Memory {
    used: AtomicI64,
    limit: i64,
    /// The alarms that are on.
    alarms: AtomicU8,
    blocked: Mutex<Vec<Arc<Outbox>>>,
}

impl Memory {
    /// An account with this limit in bytes.
    pub fn new(limit: u64) -> Self {
        Self {
            used: AtomicI64::new(0),
            limit: i64::try_from(limit).unwrap_or(i64::MAX),
            alarms: AtomicU8::new(0),
            blocked: Mutex::new(Vec::new()),
        }
    }

    /// Adds `change` bytes, which may be negative. When that clears the alarm, blocked connections are to be woken.
    pub fn add(&self, change: i64, fx: &mut Effects) {
        if change == 0 {
            return;
        }
        let used = self.used.fetch_add(change, Ordering::SeqCst) + change;
        if used > self.limit {
            self.alarms.fetch_or(MEMORY, Ordering::SeqCst);
        } else if change < 0 && used < self.clear_at() && self.alarms.load(Ordering::SeqCst) & MEMORY != 0 {
            self.clear(MEMORY, fx);
        }
    }

    /// Bytes in use.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed).max(0) as u64
    }

    /// Whether publishers must stop.
    #[inline]
    pub fn alarm(&self) -> bool {
        self.alarms.load(Ordering::SeqCst) != 0
    }

    /// Why publishers must stop, as they are told.
    pub fn alarm_reason(&self) -> &'static str {
        match self.alarms.load(Ordering::SeqCst) {
            DISK => "low on disk",
            alarms if alarms & DISK != 0 => "low on disk & memory",
            _ => "low on memory",
        }
    }

    /// Queues should keep less in memory.
    #[inline]
    pub fn is_tight(&self) -> bool {
        self.used.load(Ordering::Relaxed) > self.limit / 100 * TIGHT_AT_PERCENT
    }

    /// The disk has less free space than it should, or has enough again.
    pub fn set_disk_low(&self, low: bool, fx: &mut Effects) {
        if low {
            self.alarms.fetch_or(DISK, Ordering::SeqCst);
        } else {
            self.clear(DISK, fx);
        }
    }

    /// Registers a connection that stops reading because of the alarm; its outbox is released when the alarm clears. False if it has
    /// cleared meanwhile.
    pub fn block(&self, outbox: &Arc<Outbox>, fx: &mut Effects) -> bool {
        let mut blocked = self.blocked.lock();
        if !self.alarm() {
            return false;
        }
        if !blocked.iter().any(|known| Arc::ptr_eq(known, outbox)) {
            blocked.push(outbox.clone());
        }
        drop(blocked);
        // Looked at last: whoever gives memory back from now on sees the alarm, and clears it.
        if self.used.load(Ordering::SeqCst) < self.clear_at() {
            self.clear(MEMORY, fx); // the alarm was raised just after the memory had been given back
            return self.alarm();
        }
        true
    }

    /// At a limit of a few bytes too, an empty broker is below this.
    fn clear_at(&self) -> i64 {
        (self.limit / 100 * CLEAR_AT_PERCENT).max(1)
    }

    fn clear(&self, alarm: u8, fx: &mut Effects) {
        let mut blocked = self.blocked.lock();
        if self.alarms.fetch_and(!alarm, Ordering::SeqCst) & !alarm != 0 {
            return; // another one is on
        }
        for outbox in blocked.drain(..) {
            if outbox.release() {
                fx.wake(outbox);
            }
        }
    }
}
