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
            parted.find(|(step, _)| !expected.allow(&script.name, &script.steps[*step].to_string()))?;
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
