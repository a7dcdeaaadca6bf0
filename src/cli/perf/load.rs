//! A measured run: publishers and consumers at work, watched from the outside.

use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use super::client::shut;
use super::consumer::{Consumer, ConsumerLoad};
use super::disk::Disk;
use super::error::{Error, Result};
use super::latency::{Latencies, now};
use super::process::{Memory, Process};
use super::progress::Progress;
use super::publisher::{Publisher, PublisherLoad};
use super::report::progress_line;
use super::target::Target;

/// Who does what, and for how long.
#[derive(Debug, Clone)]
pub(super) struct Load {
    /// One connection and thread each.
    pub publishers: Vec<PublisherLoad>,
    /// One connection and thread each.
    pub consumers: Vec<ConsumerLoad>,
    /// When the run is over.
    pub end: End,
}

/// When a run is over.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    /// When all publishes of a fixed count are confirmed, if they are to be, and so many messages were
    /// delivered.
    Delivered(u64),
    /// After a time.
    Time {
        /// What happens before is not counted.
        warmup: Duration,
        /// What happens in it is.
        duration: Duration,
    },
}

/// What was seen.
#[derive(Debug)]
pub(super) struct Measured {
    /// How long was counted, in seconds.
    pub seconds: f64,
    /// What happened within.
    pub counts: Counts,
    /// From publish to delivery.
    pub delivery: Latencies,
    /// From publish to confirm.
    pub confirm: Latencies,
    /// How much later than intended messages were sent, at a fixed rate.
    pub lateness: Latencies,
    /// CPU time of the broker, in nanoseconds.
    pub broker_cpu: Option<u64>,
    /// CPU time of this process, in nanoseconds.
    pub own_cpu: u64,
    /// Bytes written to the broker's disk, the whole machine's.
    pub disk_written: Option<u64>,
    /// The broker's memory at the end.
    pub memory: Option<Memory>,
}

/// Numbers of messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub published: u64,
    pub delivered: u64,
    pub confirmed: u64,
    pub nacked: u64,
}

/// Runs `load` to its end.
pub(super) fn measure(target: &Target, load: &Load) -> Result<Measured> {
    let progress = Progress::new();
    let consumers = load.consumers.iter();
    let consumers = consumers.map(|load| Consumer::connect(&target.uri, load));
    let consumers: Vec<_> = consumers.collect::<Result<_>>()?;
    let (mut publishers, mut receivers) = (Vec::new(), Vec::new());
    for (index, publisher) in load.publishers.iter().enumerate() {
        let place = (index, load.publishers.len());
        let (publisher, receiver) = Publisher::connect(&target.uri, publisher, place)?;
        publishers.push(publisher);
        receivers.push(receiver);
    }
    let consumer_sockets = consumers.iter().map(Consumer::stream);
    let sockets = consumer_sockets.chain(publishers.iter().map(Publisher::stream));
    let sockets: Vec<TcpStream> = sockets.collect::<Result<_>>()?;

    let (mut delivery, mut confirm, mut lateness) = Default::default();
    let watched = thread::scope(|scope| {
        let progress = &progress;
        let start = Snapshot::take(target, progress)?;
        if let End::Delivered(_) = load.end {
            progress.measure_from(start.time);
        }
        let consumers = consumers.into_iter();
        let consumers: Vec<_> = consumers.map(|c| scope.spawn(move || c.run(progress))).collect();
        let (mut writers, mut readers, mut windows) = (Vec::new(), Vec::new(), Vec::new());
        for (publisher, receiver) in publishers.iter_mut().zip(receivers) {
            let (writer, confirms) = publisher.split();
            readers.push(scope.spawn(move || receiver.run(confirms, progress)));
            writers.push(scope.spawn(move || writer.run(progress)));
            windows.extend(confirms);
        }
        let watched = watch(target, load, progress, start);
        progress.stop();
        if progress.failed() {
            thread::sleep(LAST_WORDS); // for the server to say why
        }
        windows.iter().for_each(|confirms| confirms.wake());
        sockets.iter().for_each(shut);
        join(writers, &mut lateness);
        join(readers, &mut confirm);
        join(consumers, &mut delivery);
        watched
    });
    if let Some(failure) = progress.failure() {
        return Err(failure);
    }
    let (start, end) = watched?;
    Ok(Measured {
        seconds: (end.time - start.time) as f64 / 1e9,
        counts: end.counts.since(start.counts),
        delivery,
        confirm,
        lateness,
        broker_cpu: end.broker_cpu.zip(start.broker_cpu).map(|(end, start)| end - start),
        own_cpu: end.own_cpu - start.own_cpu,
        disk_written: end.disk_written.zip(start.disk_written).map(|(end, start)| end - start),
        memory: target.process.map(Process::memory).transpose()?,
    })
}

/// Waits for the end. Gives the state at the begin and the end of what is counted.
fn watch(target: &Target, load: &Load, progress: &Progress, begun: Snapshot) -> Result<(Snapshot, Snapshot)> {
    let mut line = Line::new(target, begun.counts);
    match load.end {
        End::Delivered(deliveries) => {
            let publishes: u64 = load.publishers.iter().filter_map(|load| load.count).sum();
            let confirms = load.publishers.iter().filter(|load| load.confirm > 0);
            let confirms: u64 = confirms.filter_map(|load| load.count).sum();
            let missing = || {
                let counts = Counts::of(progress);
                let confirmed = counts.confirmed + counts.nacked;
                publishes.saturating_sub(counts.published)
                    + confirms.saturating_sub(confirmed)
                    + deliveries.saturating_sub(counts.delivered)
            };
            let want = publishes + confirms + deliveries;
            let end = wait_for_all(target, progress, &mut line, want, missing)?;
            Ok((begun, end))
        }
        End::Time { warmup, duration } => {
            line.sleep(progress, begun.time + warmup.as_nanos() as u64);
            let start = Snapshot::take(target, progress)?;
            progress.measure_from(start.time);
            line.sleep(progress, start.time + duration.as_nanos() as u64);
            let end = Snapshot::take(target, progress)?;
            if load.publishers.iter().any(|load| load.rate.is_some()) {
                progress.stop();
                let _ = wait_for_last(progress);
            }
            Ok((start, end))
        }
    }
}

/// Waits until nothing is missing.
fn wait_for_all(
    target: &Target,
    progress: &Progress,
    line: &mut Line,
    want: u64,
    missing: impl Fn() -> u64,
) -> Result<Snapshot> {
    let mut last = (missing(), now());
    loop {
        let end = Snapshot::take(target, progress)?;
        let left = missing();
        if left == 0 || progress.failed() {
            return Ok(end);
        }
        if left != last.0 {
            last = (left, now());
        } else if now() - last.1 > STALL_SECONDS * 1_000_000_000 {
            return Err(Error::Stalled { have: want - left, want, seconds: STALL_SECONDS });
        }
        line.sleep(progress, now() + COUNT_INTERVAL_NANOSECONDS);
    }
}

/// Lets messages arrive that are on their way, so that the slowest are counted too.
fn wait_for_last(progress: &Progress) -> Result<()> {
    let mut last = Counts::default();
    loop {
        let counts = Counts::of(progress);
        if counts == last || progress.failed() {
            return Ok(());
        }
        last = counts;
        thread::sleep(LAST_MESSAGES);
    }
}

fn join(threads: Vec<thread::ScopedJoinHandle<'_, Latencies>>, sum: &mut Latencies) {
    for thread in threads {
        match thread.join() {
            Ok(latencies) => sum.add(&latencies),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl Counts {
    fn of(progress: &Progress) -> Self {
        Self {
            published: progress.published.get(),
            delivered: progress.delivered.get(),
            confirmed: progress.confirmed.get(),
            nacked: progress.nacked.get(),
        }
    }

    fn since(self, before: Self) -> Self {
        Self {
            published: self.published - before.published,
            delivered: self.delivered - before.delivered,
            confirmed: self.confirmed - before.confirmed,
            nacked: self.nacked - before.nacked,
        }
    }
}

/// All counters at one time.
#[derive(Debug, Clone, Copy)]
struct Snapshot {
    time: u64,
    counts: Counts,
    broker_cpu: Option<u64>,
    own_cpu: u64,
    disk_written: Option<u64>,
}

impl Snapshot {
    fn take(target: &Target, progress: &Progress) -> Result<Self> {
        Ok(Self {
            broker_cpu: target.process.map(Process::cpu).transpose()?,
            own_cpu: Process::Own.cpu()?,
            disk_written: target.disk.and_then(Disk::written),
            time: now(),
            counts: Counts::of(progress),
        })
    }
}

/// The line that is printed each second.
struct Line {
    shown: bool,
    last: (u64, Counts),
}

impl Line {
    fn new(target: &Target, counts: Counts) -> Self {
        Self { shown: !target.quiet, last: (now(), counts) }
    }

    /// Sleeps until `end` or a failure.
    fn sleep(&mut self, progress: &Progress, end: u64) {
        while now() < end && !progress.failed() {
            let wake = end.min(self.last.0 + SECOND_NANOSECONDS);
            thread::park_timeout(Duration::from_nanos(wake.saturating_sub(now())));
            let time = now();
            if time >= self.last.0 + SECOND_NANOSECONDS {
                let counts = Counts::of(progress);
                if self.shown {
                    progress_line(counts.since(self.last.1), (time - self.last.0) as f64 / 1e9);
                }
                self.last = (time, counts);
            }
        }
    }
}

const SECOND_NANOSECONDS: u64 = 1_000_000_000;
/// How often a run with a fixed count looks whether it is over.
const COUNT_INTERVAL_NANOSECONDS: u64 = 2_000_000;
/// Without any message for so long a run with a fixed count has failed.
const STALL_SECONDS: u64 = 30;
/// How long the server has to explain a failure.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// Without any message for so long no more are on their way.
const LAST_MESSAGES: Duration = Duration::from_secs(1);
