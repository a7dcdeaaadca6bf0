//! How a worker thread waits for its clients.
//!
//! To sleep until the next bytes come costs a wake-up, on both sides, and each takes longer than a small request or many publishes.
//! So a worker whose last wait was short does not go to sleep at once:
//!
//! - For a client that sends the next request when it has its answer it stays awake and looks at the sockets that it has just read;
//!   not for many clients, which need the processor themselves.
//! - The same when the disk is what the client waits for, where the store has found that worth it.
//! - While a client publishes with a write for each message it naps a little. Nobody is woken meanwhile, and what has come is read at once.
//!
//! Each is tried, and where it was in vain it is tried again later and later.

use std::cell::RefCell;
use std::hint;
use std::io;
use std::mem::MaybeUninit;
use std::num::NonZero;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::net::TcpStream;

use super::disk;
use super::survey::Survey;
use crate::trial::Trial;

/// A worker whose last wait was as short may stay awake for so long. It spares clients that send one small thing after the other the
/// wake-up of a sleeping processor: 54 → 25 µs for a round trip on an idle machine. It is less than what two wake-ups take.
const PATIENCE: Duration = Duration::from_micros(50);

/// How long a nap lasts at first, which is what it can add to a delivery.
const NAP: Duration = Duration::from_micros(30);

/// Naps become longer up to this while few sockets are in use: after so long a silence the client's kernel sends many small writes in
/// one piece, which takes it a third of the time. 0.25 → 0.5 M publishes a second, for a third of the broker's time.
const NAP_MAX: Duration = Duration::from_micros(240);

/// A nap was worth it if so many times more came than without one.
const NAP_GAIN: usize = 3;

/// More bytes than that at once come without naps too.
const NAP_BYTES_MAX: usize = 4 * 1024;

/// Rests between two looks at the sockets, which disturb who writes into them; a microsecond.
const RESTS: u32 = 32;

/// Sockets that are looked at while waiting; what comes by others is noticed when the wait is over.
const LOOKED_AT_MAX: usize = 8;

/// What this worker thread knows of its last waits.
#[derive(Default)]
struct Waits {
    /// Read since the last wait.
    sockets: Vec<Weak<TcpStream>>,
    /// Bytes read since the last wait.
    bytes: usize,
    /// The last wait was short.
    busy: bool,
    survey: Survey,
    awake: Trial,
    /// Clients wait until the disk has written up to this position of the journal.
    disk: Option<u64>,
    nap: Trial,
    /// While naps are taken, the next one.
    napping: Option<Nap>,
    waiting: Option<Instant>,
}

struct Nap {
    lasts: Duration,
    /// Bytes read after a wait without a nap.
    without: usize,
}

thread_local! {
    static WAITS: RefCell<Waits> = RefCell::default();
}

/// To be called after each read of `n` bytes.
#[inline]
pub(super) fn has_read(socket: &Arc<TcpStream>, n: usize) {
    WAITS.with_borrow_mut(|waits| waits.has_read(socket, n));
}

/// To be called when a client waits until the disk has written up to a position of the journal.
pub(crate) fn waits_for_disk(position: u64) {
    WAITS.with_borrow_mut(|waits| waits.disk = waits.disk.max(Some(position)));
}

/// To be called when a worker thread starts: lets its naps be as short as they are meant, where the system rounds them up to 50 µs.
pub(crate) fn on_worker_start() {
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::set_current_timer_slack(NonZero::new(1_000)); // without it naps are longer
}

/// To be called when a worker thread has nothing to do any more.
pub(crate) fn before_park() {
    WAITS.with_borrow_mut(Waits::wait);
}

/// To be called when it has.
pub(crate) fn after_park() {
    WAITS.with_borrow_mut(Waits::woken);
}

impl Waits {
    #[inline]
    fn has_read(&mut self, socket: &Arc<TcpStream>, n: usize) {
        self.bytes += n;
        let known = |other: &Weak<TcpStream>| std::ptr::eq(other.as_ptr(), Arc::as_ptr(socket));
        if self.sockets.len() < LOOKED_AT_MAX && !self.sockets.iter().any(known) {
            self.sockets.push(Arc::downgrade(socket));
        }
    }

    fn wait(&mut self) {
        let begun = Instant::now();
        self.waiting = Some(begun);
        self.survey.count(&self.sockets);
        // For who waits for the disk it is the disk alone that is waited for.
        if !(self.survey.are_few() && self.waits_for_disk(begun)) {
            self.wait_for_clients(begun);
        }
        self.sockets.clear();
        self.bytes = 0;
    }

    fn wait_for_clients(&mut self, begun: Instant) {
        if self.busy && self.bytes > 0 && !self.takes_nap() && self.survey.are_few() && self.awake.is_due() {
            let well = self.stay_awake(begun, PATIENCE, || false);
            self.awake.ended(well);
        }
    }

    /// Stays awake while the disk writes what clients wait for, until it has written something, a socket has something, or it takes too
    /// long. Whether there was anything to wait for.
    fn waits_for_disk(&mut self, begun: Instant) -> bool {
        let (written, patience) = (disk::written(), disk::patience());
        self.disk = self.disk.filter(|position| *position > written && !patience.is_zero());
        if self.disk.is_none() {
            return false;
        }
        let has_written = || {
            thread::yield_now(); // a client may need the processor, and this wait is long
            disk::written() != written
        };
        if !self.stay_awake(begun, patience, has_written) {
            self.disk = None; // the disk may stand still
        }
        true
    }

    /// Naps, if that gathers what clients send.
    fn takes_nap(&mut self) -> bool {
        if let Some(nap) = &mut self.napping {
            if self.bytes < nap.without * NAP_GAIN {
                self.nap.ended(false);
                self.napping = None;
                return false;
            }
            self.nap.ended(true);
            if !self.survey.are_few() {
                nap.lasts = NAP;
            } else if self.survey.is_new() {
                nap.lasts = NAP_MAX.min(nap.lasts * 2);
            }
        } else if self.bytes <= NAP_BYTES_MAX && self.nap.is_due() {
            self.napping = Some(Nap { lasts: NAP, without: self.bytes });
        }
        let Some(nap) = &self.napping else { return false };
        thread::sleep(nap.lasts);
        true
    }

    /// Whether something came.
    fn stay_awake(&self, begun: Instant, patience: Duration, is_over: impl Fn() -> bool) -> bool {
        while begun.elapsed() < patience {
            (0..RESTS).for_each(|_| hint::spin_loop());
            if is_over() || self.sockets.iter().any(has_come) {
                return true;
            }
        }
        false
    }

    fn woken(&mut self) {
        self.busy = self.waiting.is_some_and(|since| {
            since.elapsed() < PATIENCE + self.napping.as_ref().map_or(Duration::ZERO, |nap| nap.lasts)
        });
    }
}

/// Whether there is something to read, if only the end.
pub(super) fn has_come(socket: &Weak<TcpStream>) -> bool {
    let Some(socket) = socket.upgrade() else { return true };
    let would_block = |error: io::Error| error.kind() == io::ErrorKind::WouldBlock;
    !SockRef::from(&*socket).peek(&mut [MaybeUninit::uninit()]).is_err_and(would_block)
}
