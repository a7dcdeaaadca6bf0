//! The commands: compare, record, replay, play.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::difference::Difference;
use crate::expected::Expectations;
use crate::player::{Answers, play};
use crate::pool::side_by_side;
use crate::recording::{Recorded, Recording};
use crate::script::Script;
use crate::shrink::shrink;
use crate::uri::Uri;

/// How often a script is played before a difference is believed.
const TRIES: usize = 3;
/// How often a script is played for a recording.
const TIMES_RECORDED: usize = 3;

/// Counts of scripts, and what is to be said of those that failed.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    passed: usize,
    failures: Vec<String>,
    notes: Vec<String>,
}

impl Outcome {
    fn gather(verdicts: Vec<Verdict>, stale: Vec<String>) -> Self {
        let mut outcome = Self::default();
        for verdict in verdicts {
            match verdict {
                Verdict::Passed => outcome.passed += 1,
                Verdict::PassedAtLast(note) => {
                    outcome.passed += 1;
                    outcome.notes.push(note);
                }
                Verdict::Skipped(note) => outcome.notes.push(note),
                Verdict::Failed(report) => outcome.failures.push(report),
            }
        }
        let stale = stale.into_iter().map(|line| format!("FAIL an expected difference does not show any more: {line}"));
        outcome.failures.extend(stale);
        outcome
    }

    /// Prints it; true if nothing failed.
    pub(crate) fn report(&self) -> bool {
        self.notes.iter().for_each(|note| println!("note: {note}"));
        self.failures.iter().for_each(|failure| println!("\n{failure}"));
        println!("\n{} passed, {} failed", self.passed, self.failures.len());
        self.failures.is_empty()
    }
}

enum Verdict {
    Passed,
    PassedAtLast(String),
    Skipped(String),
    Failed(String),
}

/// Plays all scripts on two brokers.
pub(crate) fn compare(
    brokers: [&Uri; 2],
    scripts: &[Script],
    expected: &Expectations,
    jobs: usize,
    small: bool,
) -> Outcome {
    let differs = |script: &Script| {
        let [wanted, got] = play_on_both(brokers, script);
        Difference::first(script, &wanted, &got, expected)
    };
    let verdicts = side_by_side(jobs, scripts, |script| {
        let verdict = judge(script, || differs(script));
        if !small || !matches!(verdict, Verdict::Failed(_)) {
            return verdict;
        }
        match shrink(script, |smaller| differs(smaller).and_then(|_| differs(smaller))) {
            Some((smallest, difference)) => Verdict::Failed(difference.show(&smallest)),
            None => verdict,
        }
    });
    Outcome::gather(verdicts, expected.stale(scripts.iter()))
}

/// Plays all scripts on one broker and compares with a recording.
pub(crate) fn replay(
    uri: &Uri,
    scripts: &[Script],
    recording: &Recording,
    expected: &Expectations,
    jobs: usize,
) -> Outcome {
    let verdicts = side_by_side(jobs, scripts, |script| match recording.of(script) {
        Recorded::Answers(wanted) => judge(script, || {
            let got = play(uri, script, fresh_prefix());
            Difference::first(script, &wanted, &got, expected)
        }),
        Recorded::Missing => Verdict::Failed(format!("FAIL {}: not recorded in this form; record again", script.name)),
        Recorded::Unstable => {
            Verdict::Skipped(format!("{} skipped: not the same each time it was recorded", script.name))
        }
    });
    Outcome::gather(verdicts, expected.stale(scripts.iter()))
}

/// Plays until there is no difference, a few times.
fn judge(script: &Script, differs: impl Fn() -> Option<Difference>) -> Verdict {
    for attempt in 1..TRIES {
        match differs() {
            None if attempt == 1 => return Verdict::Passed,
            None => return Verdict::PassedAtLast(format!("{} passed at try {attempt}", script.name)),
            Some(_) => {}
        }
    }
    match differs() {
        None => Verdict::PassedAtLast(format!("{} passed at try {TRIES}", script.name)),
        Some(difference) => Verdict::Failed(difference.show(script)),
    }
}

/// Plays all scripts on one broker, several times, and keeps the answers of those that it answers the same each time.
pub(crate) fn record(
    uri: &Uri,
    scripts: &[Script],
    comment: String,
    path: &Path,
    jobs: usize,
) -> Result<usize, String> {
    let takes: Vec<Vec<Answers>> =
        (0..TIMES_RECORDED).map(|_| side_by_side(jobs, scripts, |script| play(uri, script, fresh_prefix()))).collect();
    let mut recording = Recording::new(comment);
    let mut unstable = 0;
    for (index, script) in scripts.iter().enumerate() {
        let first = &takes[0][index];
        let other =
            takes.iter().find_map(|take| Difference::first(script, first, &take[index], &Expectations::default()));
        if let Some(difference) = &other {
            unstable += 1;
            println!("\nnot the same each time: {}", difference.show(script).trim_start_matches("FAIL "));
        }
        recording.add(script, other.is_none().then(|| first.clone()));
    }
    recording.save(path)?;
    Ok(unstable)
}

/// Plays one script and prints every step with its answer.
pub(crate) fn show_answers(uri: &Uri, script: &Script) {
    let answers = play(uri, script, fresh_prefix());
    for (step, lines) in script.steps.iter().zip(answers) {
        println!("{step}");
        lines.iter().for_each(|line| println!("    {line}"));
    }
}

fn play_on_both(brokers: [&Uri; 2], script: &Script) -> [Answers; 2] {
    std::thread::scope(|scope| {
        let both = brokers.map(|uri| scope.spawn(move || play(uri, script, fresh_prefix())));
        both.map(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// A prefix that no other play uses, always of the same length, since long texts are cut.
fn fresh_prefix() -> String {
    static PLAYED: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64 / 1000);
    let number = PLAYED.fetch_add(1, Ordering::Relaxed);
    format!("df{:08x}{:06x}.", now as u32, number & 0xff_ffff)
}
