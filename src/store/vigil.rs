//! How the log's thread waits for something to write.
//!
//! To wake a thread takes as long as half a flush, and a group needs two of that: one for the log's thread, one for who waits for it.
//! Clients that go on only when they are answered are served faster by threads that stay awake. For others that is a waste, so it is
//! tried for some groups, and kept up only while more is written in the same time than before.

use std::thread;
use std::time::{Duration, Instant};

use crate::trial::Trial;

/// The log's thread stays awake for so long. Who answers and asks again takes less.
const AWAKE: Duration = Duration::from_micros(150);

/// Where it takes longer than this to write a group, a wake-up does not matter.
const SHORT: Duration = Duration::from_micros(250);

/// What is written is measured over so many groups.
const PHASE_GROUPS: u32 = 64;

/// So many phases awake follow one in which that was worth it.
const PHASES_AWAKE: u32 = 16;

/// When a group comes so long after the one before, those who ask again at once have gone: it sleeps, and is measured anew.
const GAP: Duration = Duration::from_millis(2);

/// Workers stay awake for so long at most, and for twice what the last group took: others may wait for them.
const PATIENCE_MAX: Duration = Duration::from_micros(200);

/// It is worth it if more is written in the same time, by this part of it.
const GAIN: f64 = 0.2;

/// See the module.
pub(super) struct Vigil {
    trial: Trial,
    phase: Phase,
    /// Operations in a second, as measured asleep.
    asleep: f64,
    /// Phases to be awake before it is measured asleep again; none if this one is asleep.
    awake: u32,
    last: Instant,
}

/// Some groups, one after the other.
struct Phase {
    since: Instant,
    groups: u32,
    ops: usize,
    writing: Duration,
}

impl Phase {
    fn new(now: Instant) -> Self {
        Self { since: now, groups: 0, ops: 0, writing: Duration::ZERO }
    }
}

impl Vigil {
    /// One that is asleep.
    pub(super) fn new(now: Instant) -> Self {
        Self { trial: Trial::default(), phase: Phase::new(now), asleep: f64::INFINITY, awake: 0, last: now }
    }

    /// A group with so many operations was written, which took so long.
    pub(super) fn wrote(&mut self, ops: usize, took: Duration, now: Instant) {
        let before = std::mem::replace(&mut self.last, now);
        if now - before > GAP + took {
            self.phase = Phase::new(now);
            if std::mem::take(&mut self.awake) > PHASES_AWAKE {
                self.trial.ended(false); // it was not even tried for a whole phase
            }
            return;
        }
        self.phase.groups += 1;
        self.phase.ops += ops;
        self.phase.writing += took;
        if self.phase.groups == PHASE_GROUPS {
            self.end_phase(now);
            self.phase = Phase::new(now);
        }
    }

    fn end_phase(&mut self, now: Instant) {
        let rate = self.phase.ops as f64 / now.duration_since(self.phase.since).as_secs_f64();
        if self.awake > 0 {
            self.awake -= 1;
            let is_new = self.awake == PHASES_AWAKE;
            if is_new {
                let well = rate > self.asleep * (1.0 + GAIN);
                self.trial.ended(well);
                self.awake = if well { PHASES_AWAKE } else { 0 };
            }
        } else {
            self.asleep = rate;
            if self.phase.writing < SHORT * PHASE_GROUPS && self.trial.is_due() {
                self.awake = PHASES_AWAKE + 1;
            }
        }
    }

    /// How long it is worth to stay awake until a group is written, if that is worth it.
    pub(super) fn patience(&self, took: Duration) -> Option<Duration> {
        (self.awake > 0 && took < SHORT).then(|| (took * 2).min(PATIENCE_MAX))
    }

    /// Looks for a while whether it is called.
    pub(super) fn watch(&self, is_called: &dyn Fn() -> bool) {
        if self.awake == 0 {
            return;
        }
        let begun = Instant::now();
        while !is_called() && begun.elapsed() < AWAKE {
            thread::yield_now(); // who will call may need the processor
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes groups, each so long after the one before, until it changes between awake and asleep; gives how many there were.
    fn groups_until_it_changes(vigil: &mut Vigil, now: &mut Instant, asleep: Duration, awake: Duration) -> u32 {
        let before = vigil.awake > 0;
        let mut groups = 0;
        while (vigil.awake > 0) == before {
            *now += if before { awake } else { asleep };
            vigil.wrote(1, Duration::from_micros(80), *now);
            groups += 1;
            assert!(groups <= 2000 * PHASE_GROUPS);
        }
        groups / PHASE_GROUPS
    }

    #[test]
    fn it_stays_awake_while_more_is_written_so() {
        let mut now = Instant::now();
        let mut vigil = Vigil::new(now);
        let (asleep, awake) = (Duration::from_micros(200), Duration::from_micros(150));
        for phases in [1, 1 + PHASES_AWAKE, 1, 1 + PHASES_AWAKE] {
            assert_eq!(groups_until_it_changes(&mut vigil, &mut now, asleep, awake), phases);
        }
    }

    #[test]
    fn where_as_much_comes_asleep_it_is_tried_later_and_later() {
        let mut now = Instant::now();
        let mut vigil = Vigil::new(now);
        let gap = Duration::from_micros(200);
        for phases in [1, 1, 3, 1, 5, 1, 9, 1, 17] {
            assert_eq!(groups_until_it_changes(&mut vigil, &mut now, gap, gap), phases);
        }
    }

    /// However long the pauses between them.
    #[test]
    fn bursts_are_measured_without_the_pauses() {
        let mut now = Instant::now();
        let mut vigil = Vigil::new(now);
        let mut awake = 0;
        for group in 0..100_000 {
            let gap = if group % 100 == 0 { Duration::from_millis(100) } else { Duration::from_micros(200) };
            now += gap;
            vigil.wrote(1, Duration::from_micros(80), now);
            awake += u32::from(vigil.awake > 0);
        }
        assert!(awake < 2000, "{awake}");
    }

    #[test]
    fn it_sleeps_when_groups_become_rare_and_is_awake_again_when_they_are_not() {
        let mut now = Instant::now();
        let mut vigil = Vigil::new(now);
        let (asleep, awake) = (Duration::from_micros(200), Duration::from_micros(150));
        assert_eq!(groups_until_it_changes(&mut vigil, &mut now, asleep, awake), 1);
        (0..3 * PHASE_GROUPS).for_each(|_| {
            now += awake;
            vigil.wrote(1, Duration::from_micros(80), now);
        });
        assert!(vigil.patience(SHORT / 2).is_some());
        now += GAP * 2;
        vigil.wrote(1, Duration::from_micros(80), now);
        assert_eq!(vigil.patience(SHORT / 2), None);
        assert_eq!(groups_until_it_changes(&mut vigil, &mut now, asleep, awake), 1);
    }

    #[test]
    fn where_writing_takes_long_it_sleeps() {
        let mut now = Instant::now();
        let mut vigil = Vigil::new(now);
        for _ in 0..10 * PHASE_GROUPS {
            now += SHORT * 2;
            vigil.wrote(1000, SHORT, now);
            assert_eq!(vigil.patience(SHORT), None);
        }
    }
}
