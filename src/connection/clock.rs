//! What time it is, for a core that has no clock; and the task that calls it when a moment comes that it waits for.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

use super::shared::Shared;
use crate::broker::{Effects, Moment};

/// The task looks at least this often, whatever it waits for.
const SLEEP_MAX: Duration = Duration::from_secs(3600);

/// The system's time when the process began, and monotonic time from then on.
#[derive(Debug)]
pub struct Clock {
    began: Instant,
    began_at: Moment,
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// A clock that begins now.
    pub fn new() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { began: Instant::now(), began_at: Moment(since.as_millis() as u64) }
    }

    #[inline]
    /// What time it is.
    pub fn now(&self) -> Moment {
        self.began_at.plus_ms(self.began.elapsed().as_millis() as u64)
    }

    /// When a moment is; the end of it, since milliseconds are cut.
    fn instant(&self, moment: Moment) -> Instant {
        let after = Duration::from_millis(moment.0.saturating_sub(self.began_at.0));
        self.began.checked_add(after).unwrap_or_else(|| Instant::now() + SLEEP_MAX)
    }
}

/// Calls the core whenever a moment comes that it waits for. Never ends.
pub async fn keep_time(shared: Arc<Shared>) {
    let mut fx = Effects::default();
    let timers = shared.broker.timers().clone();
    loop {
        fx.set_now(shared.clock.now());
        while shared.broker.on_time(&mut fx) {
            // Another worker that was woken on this processor would wait for the end of a time slice, which is milliseconds.
            thread::yield_now();
            yield_now().await;
            fx.set_now(shared.clock.now());
        }
        let mut sleep = Box::pin(sleep_until(Instant::now()));
        let mut slept = false;
        poll_fn(|cx| {
            if std::mem::replace(&mut slept, true) {
                return Poll::Ready(()); // woken: by the timer, or for an earlier moment
            }
            let until = timers.sleep(cx.waker());
            sleep.as_mut().reset(shared.clock.instant(until).min(Instant::now() + SLEEP_MAX));
            Pin::new(&mut sleep).poll(cx)
        })
        .await;
    }
}
