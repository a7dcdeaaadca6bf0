//! What a run found, as text or as JSON, from one list of named quantities.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use super::latency::{Latencies, Percentiles};
use super::load::{Counts, Measured};
use super::process::Memory;

/// Named quantities in the order in which they are printed. Names are keys in JSON, and each kind of
/// run has always the same.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Report(Vec<(&'static str, Quantity)>);

/// A quantity with its unit. What was not measured is None, in JSON null.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Quantity {
    /// Bytes of memory, or that the disk has written for each message.
    Bytes(Option<u64>),
    /// CPU time as a multiple of the time that went by.
    Cores(Option<f64>),
    /// A number of things.
    Count(u64),
    /// Nanoseconds of CPU time for each of something.
    Nanoseconds(Option<f64>),
    /// Microseconds.
    Percentiles(Option<Percentiles>),
    /// How many a second.
    Rate(f64),
    /// Seconds.
    Seconds(f64),
    /// Quantities that belong together.
    Section(Report),
    /// Words.
    Text(String),
}

impl Report {
    /// A report of a run of this kind.
    pub(super) fn new(scenario: &str) -> Self {
        Self(vec![("scenario", Quantity::Text(scenario.to_owned()))])
    }

    /// A part of a report.
    pub(super) const fn section() -> Self {
        Self(Vec::new())
    }

    /// Appends a quantity.
    #[must_use]
    pub(super) fn with(mut self, name: &'static str, quantity: Quantity) -> Self {
        self.0.push((name, quantity));
        self
    }

    /// Appends what a run with messages measured.
    #[must_use]
    pub(super) fn with_measured(self, measured: &Measured) -> Self {
        let Counts { published, delivered, confirmed, nacked } = measured.counts;
        let rate = |count| Quantity::Rate(count as f64 / measured.seconds);
        let percentiles = |latencies: &Latencies| Quantity::Percentiles(latencies.percentiles());
        // One message in and out is one message; in a fan-out each copy is.
        let messages = if delivered > 0 { delivered } else { published };
        self.with("seconds", Quantity::Seconds(measured.seconds))
            .with("published", Quantity::Count(published))
            .with("delivered", Quantity::Count(delivered))
            .with("confirmed", Quantity::Count(confirmed))
            .with("nacked", Quantity::Count(nacked))
            .with("published_per_s", rate(published))
            .with("delivered_per_s", rate(delivered))
            .with("confirmed_per_s", rate(confirmed))
            .with("delivery_us", percentiles(&measured.delivery))
            .with("confirm_us", percentiles(&measured.confirm))
            .with("lateness_us", percentiles(&measured.lateness))
            .with_cpu(measured.broker_cpu, measured.own_cpu, messages, measured.seconds)
            .with("disk_written", Quantity::Bytes(measured.disk_written.and_then(|all| all.checked_div(messages))))
            .with_memory(measured.memory)
    }

    /// Appends CPU times, given in nanoseconds, of the broker and of this process, while so many
    /// messages or operations were dealt with.
    #[must_use]
    pub(super) fn with_cpu(self, broker: Option<u64>, own: u64, messages: u64, seconds: f64) -> Self {
        let each = |cpu: u64| (messages > 0).then(|| cpu as f64 / messages as f64);
        let cores = |cpu: u64| cpu as f64 / 1e9 / seconds;
        self.with("broker_cpu_ns", Quantity::Nanoseconds(broker.and_then(each)))
            .with("broker_cores", Quantity::Cores(broker.map(cores)))
            .with("own_cpu_ns", Quantity::Nanoseconds(each(own)))
            .with("own_cores", Quantity::Cores(Some(cores(own))))
    }

    /// Appends the broker's memory.
    #[must_use]
    pub(super) fn with_memory(self, memory: Option<Memory>) -> Self {
        self.with("broker_rss", Quantity::Bytes(memory.map(|memory| memory.resident)))
            .with("broker_rss_peak", Quantity::Bytes(memory.map(|memory| memory.peak)))
    }

    /// One object.
    pub(super) fn to_json(&self) -> Value {
        let entries = self.0.iter();
        let entries = entries.map(|(name, quantity)| ((*name).to_owned(), quantity.to_json()));
        Value::Object(entries.collect::<Map<_, _>>())
    }

    /// Lines of text.
    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        self.append_text(&mut text, 0);
        text
    }

    fn append_text(&self, text: &mut String, indent: usize) {
        for (name, quantity) in &self.0 {
            match quantity {
                Quantity::Section(section) => {
                    text.push_str(&format!("{:indent$}{name}\n", ""));
                    section.append_text(text, indent + 2);
                }
                _ => {
                    let Some(shown) = quantity.to_text() else {
                        continue;
                    };
                    let width = 18_usize.saturating_sub(indent);
                    text.push_str(&format!("{:indent$}{name:width$} {shown}\n", ""));
                }
            }
        }
    }
}

impl Quantity {
    fn to_json(&self) -> Value {
        match self {
            Self::Bytes(bytes) => json!(bytes),
            Self::Cores(number) | Self::Nanoseconds(number) => json!(number.map(rounded)),
            Self::Count(count) => json!(count),
            Self::Percentiles(percentiles) => json!(percentiles.map(percentiles_to_json)),
            Self::Rate(number) | Self::Seconds(number) => json!(rounded(*number)),
            Self::Section(report) => report.to_json(),
            Self::Text(text) => json!(text),
        }
    }

    /// None for what was not measured and for sections.
    fn to_text(&self) -> Option<String> {
        Some(match self {
            Self::Bytes(bytes) => match (*bytes)? {
                bytes @ ..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
                bytes => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
            },
            Self::Cores(cores) => format!("{:.2}", (*cores)?),
            Self::Count(count) => grouped(*count),
            Self::Nanoseconds(nanoseconds) => format!("{} ns", grouped((*nanoseconds)? as u64)),
            Self::Percentiles(percentiles) => percentiles_to_text(&(*percentiles)?),
            Self::Rate(rate) => format!("{}/s", grouped(*rate as u64)),
            Self::Seconds(seconds) => format!("{seconds:.2}"),
            Self::Section(_) => return None,
            Self::Text(text) => text.clone(),
        })
    }
}

/// Prints one line about the last second on standard error.
pub(super) fn progress_line(counts: Counts, seconds: f64) {
    let rate = |count: u64| grouped((count as f64 / seconds) as u64);
    let (published, delivered) = (rate(counts.published), rate(counts.delivered));
    let confirmed = rate(counts.confirmed);
    // Nobody to tell if nobody reads it.
    let _ = writeln!(io::stderr(), "published {published}/s, delivered {delivered}/s, confirmed {confirmed}/s");
}

fn percentiles_to_json(percentiles: Percentiles) -> Value {
    let Percentiles { samples, p50, p90, p99, p99_9, max } = percentiles;
    json!({
        "samples": samples,
        "p50": rounded(p50),
        "p90": rounded(p90),
        "p99": rounded(p99),
        "p99_9": rounded(p99_9),
        "max": rounded(max),
    })
}

fn percentiles_to_text(percentiles: &Percentiles) -> String {
    let Percentiles { samples, p50, p90, p99, p99_9, max } = percentiles;
    format!("p50 {p50:.1}  p90 {p90:.1}  p99 {p99:.1}  p99.9 {p99_9:.1}  max {max:.1}  ({samples} samples)")
}

/// A tenth of a unit is more than these measurements can tell; a hundredth matters for cores.
fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured() -> Measured {
        let mut delivery = Latencies::default();
        delivery.record(50_000);
        Measured {
            seconds: 2.0,
            counts: Counts { published: 100, delivered: 200, ..Default::default() },
            delivery,
            confirm: Latencies::default(),
            lateness: Latencies::default(),
            broker_cpu: Some(4_000),
            own_cpu: 1_000,
            disk_written: Some(2_000),
            memory: None,
        }
    }

    #[test]
    fn json_has_the_same_keys_whatever_was_measured() {
        let json = Report::new("throughput").with_measured(&measured()).to_json();
        let keys: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        let expected = [
            "broker_cores",
            "broker_cpu_ns",
            "broker_rss",
            "broker_rss_peak",
            "confirm_us",
            "confirmed",
            "confirmed_per_s",
            "delivered",
            "delivered_per_s",
            "delivery_us",
            "disk_written",
            "lateness_us",
            "nacked",
            "own_cores",
            "own_cpu_ns",
            "published",
            "published_per_s",
            "scenario",
            "seconds",
        ];
        assert_eq!(keys, expected);
        assert_eq!(json["confirm_us"], Value::Null);
        let percentiles: Vec<_> = json["delivery_us"].as_object().unwrap().keys().collect();
        assert_eq!(percentiles, ["max", "p50", "p90", "p99", "p99_9", "samples"]);
    }

    #[test]
    fn rates_are_per_second_and_cpu_time_per_delivery() {
        let json = Report::new("throughput").with_measured(&measured()).to_json();
        assert_eq!((&json["published_per_s"], &json["delivered_per_s"]), (&json!(50.0), &json!(100.0)));
        assert_eq!((&json["broker_cpu_ns"], &json["own_cpu_ns"]), (&json!(20.0), &json!(5.0)));
        assert_eq!(json["disk_written"], json!(10));
    }

    #[test]
    fn text_leaves_out_what_was_not_measured() {
        let text = Report::new("throughput").with_measured(&measured()).to_text();
        assert!(text.contains("delivered_per_s    100/s\n"), "{text}");
        assert!(!text.contains("confirm_us") && !text.contains("broker_rss"), "{text}");
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!([0, 999, 1000, 1234567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
