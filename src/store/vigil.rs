//! How the log's thread waits for something to write.
//!
//! To wake it takes as long as half a flush. So where groups are small and come soon after one another it does not sleep between them.

use std::thread;
use std::time::{Duration, Instant};

use crate::trial::Trial;

/// It stays awake for so long.
const AWAKE: Duration = Duration::from_micros(75);

/// Behind a group that took longer to write, a wake-up does not matter.
const SHORT: Duration = Duration::from_micros(250);

/// See the module.
#[derive(Default)]
pub(super) struct Vigil {
    trial: Trial,
    is_short: bool,
}

impl Vigil {
    /// The last group took so long.
    pub(super) fn wrote(&mut self, took: Duration) {
        self.is_short = took < SHORT;
    }

    /// Looks for a while whether it is called.
    pub(super) fn watch(&mut self, is_called: &dyn Fn() -> bool) {
        if !self.is_short || !self.trial.is_due() {
            return;
        }
        let begun = Instant::now();
        while !is_called() && begun.elapsed() < AWAKE {
            thread::yield_now();
        }
        self.trial.ended(is_called());
    }
}
