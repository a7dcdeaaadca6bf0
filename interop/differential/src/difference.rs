//! Where two brokers' answers to a script part, and how to show it.

use crate::expected::Expectations;
use crate::player::Answers;
use crate::script::Script;

/// The first step that was answered differently.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Difference {
    /// Its index.
    pub(crate) step: usize,
    /// What the first broker, or the recording, said.
    wanted: Vec<String>,
    /// What the other said.
    got: Vec<String>,
}

impl Difference {
    /// Finds it, if there is one that is not expected.
    pub(crate) fn first(script: &Script, wanted: &Answers, got: &Answers, expected: &Expectations) -> Option<Self> {
        let pairs = wanted.iter().zip(got).enumerate();
        let mut parted = pairs.filter(|(_, (wanted, got))| wanted != got);
        let (step, (wanted, got)) =
            parted.find(|(step, _)| !expected.allow(&script.name, step + 1, &script.steps[*step].to_string()))?;
        Some(Self { step, wanted: wanted.clone(), got: got.clone() })
    }

    /// The script up to the step, and both answers to it.
    pub(crate) fn show(&self, script: &Script) -> String {
        let mut lines = vec![format!("FAIL {}: step {} of {}", script.name, self.step + 1, script.steps.len())];
        lines.extend(script.steps.iter().take(self.step + 1).map(|step| format!("    {step}")));
        let missing = self.wanted.iter().filter(|line| !self.got.contains(line)).map(|line| format!("  - {line}"));
        let added = self.got.iter().filter(|line| !self.wanted.contains(line)).map(|line| format!("  + {line}"));
        let before = lines.len();
        lines.extend(missing.chain(added));
        if lines.len() == before {
            lines.extend(self.wanted.iter().map(|line| format!("  - {line}")));
            lines.extend(self.got.iter().map(|line| format!("  + {line}")));
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_shown_with_the_steps_before_it() {
        let script = Script::parse("s", "a1 tx.select\na1 tx.commit\na1 tx.rollback\n").unwrap();
        let lines = |step| vec![format!("both {step}"), format!("one {step}")];
        let wanted: Answers = (0..3).map(lines).collect();
        let mut got = wanted.clone();
        got[1][1] = "another".to_owned();
        got[2].clear();
        let difference = Difference::first(&script, &wanted, &got, &Expectations::default()).unwrap();
        let shown = "FAIL s: step 2 of 3\n    a1 tx.select\n    a1 tx.commit\n  - one 1\n  + another";
        assert_eq!(difference.show(&script), shown);
        assert_eq!(Difference::first(&script, &wanted, &wanted, &Expectations::default()), None);
    }
}
