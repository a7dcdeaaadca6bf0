//! Differences that are meant to be: a file with a line for each.
//!
//! ```text
//! script | step | reason        `*` stands for any text, `#4 *` is the fourth step
//! ```

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::script::Script;

/// All expected differences.
#[derive(Debug, Default)]
pub(crate) struct Expectations(Vec<Expectation>);

#[derive(Debug)]
struct Expectation {
    script: String,
    step: String,
    reason: String,
    seen: AtomicBool,
}

impl Expectations {
    /// Reads the file; without one nothing is expected.
    pub(crate) fn load(path: &Path) -> Result<Self, String> {
        match path.exists() {
            true => {
                Self::parse(&std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?)
            }
            false => Ok(Self::default()),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("# "));
        let expectation = |line: &str| match line.split(" | ").map(str::trim).collect::<Vec<_>>()[..] {
            [script, step, reason] => Ok(Expectation {
                script: script.to_owned(),
                step: step.to_owned(),
                reason: reason.to_owned(),
                seen: AtomicBool::new(false),
            }),
            _ => Err(format!("not `script | step | reason`: {line}")),
        };
        Ok(Self(lines.map(expectation).collect::<Result<_, _>>()?))
    }

    /// Whether answers to a step, the `number`th from 1, may differ. Notes that they did.
    pub(crate) fn allow(&self, script: &str, number: usize, step: &str) -> bool {
        let numbered = format!("#{number} {step}");
        let is_step = |form: &str| matches(form, step) || matches(form, &numbered);
        let found = self.0.iter().find(|one| matches(&one.script, script) && is_step(&one.step));
        found.inspect(|one| one.seen.store(true, Ordering::Relaxed)).is_some()
    }

    /// Those that did not show although their scripts were played.
    pub(crate) fn stale<'s>(&self, played: impl Iterator<Item = &'s Script> + Clone) -> Vec<String> {
        let unseen = self.0.iter().filter(|one| !one.seen.load(Ordering::Relaxed));
        let of_played = unseen.filter(|one| played.clone().any(|script| matches(&one.script, &script.name)));
        of_played.map(|one| format!("{} | {} | {}", one.script, one.step, one.reason)).collect()
    }
}

/// Whether text has the form of a pattern in which `*` stands for any text.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text
            .strip_prefix(start)
            .is_some_and(|text| (0..=text.len()).any(|at| text.is_char_boundary(at) && matches(rest, &text[at..]))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        let cases =
            [("a", "a", true), ("a", "ab", false), ("a*", "ab", true), ("*b*d", "abcd", true), ("*b", "ba", false)];
        for (pattern, text, expected) in cases {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn what_did_not_show_is_stale_if_it_could() {
        let expectations = Expectations::parse("# why\none | a1 * | because\ntwo | * | because\n").unwrap();
        let played = [Script { name: "one".to_owned(), steps: Vec::new() }];
        assert_eq!(expectations.stale(played.iter()), ["one | a1 * | because"]);
        assert!(expectations.allow("one", 1, "a1 tx.select"));
        assert!(expectations.stale(played.iter()).is_empty());
    }

    #[test]
    fn a_step_can_be_meant_by_its_number() {
        let expectations = Expectations::parse("one | #2 * | because\n").unwrap();
        assert!(!expectations.allow("one", 1, "sleep 10"));
        assert!(!expectations.allow("one", 21, "sleep 10"));
        assert!(expectations.allow("one", 2, "sleep 10"));
    }
}
