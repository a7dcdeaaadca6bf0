//! Answers of a broker kept in a file.
//!
//! ```text
//! == name fingerprint      a script, and which version of it was played
//! 3 a1 basic.qos-ok        a line of the answer to its third step
//! !! name fingerprint      a script whose answers were not the same each time
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use crate::player::Answers;
use crate::script::Script;

/// Recorded answers by name of script.
#[derive(Debug, Default)]
pub(crate) struct Recording {
    /// What the first lines say of it.
    comment: String,
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    fingerprint: u64,
    /// None if they were not the same each time.
    answers: Option<BTreeMap<usize, Vec<String>>>,
}

/// What a recording knows of a script.
#[derive(Debug)]
pub(crate) enum Recorded {
    /// The answers to each step.
    Answers(Answers),
    /// The script was changed since, or is new.
    Missing,
    /// The broker does not answer the same each time.
    Unstable,
}

impl Recording {
    /// An empty recording whose file begins with this comment.
    pub(crate) fn new(comment: String) -> Self {
        Self { comment, entries: BTreeMap::new() }
    }

    /// Adds a script's answers; None if they differ from time to time.
    pub(crate) fn add(&mut self, script: &Script, answers: Option<Answers>) {
        let numbered = |answers: Answers| (1..).zip(answers).filter(|(_, lines)| !lines.is_empty()).collect();
        let entry = Entry { fingerprint: script.fingerprint(), answers: answers.map(numbered) };
        self.entries.insert(script.name.clone(), entry);
    }

    /// What is known of a script.
    pub(crate) fn of(&self, script: &Script) -> Recorded {
        match self.entries.get(&script.name) {
            Some(entry) if entry.fingerprint == script.fingerprint() => match &entry.answers {
                Some(answers) => {
                    let step = |number| answers.get(&number).cloned().unwrap_or_default();
                    Recorded::Answers((1..=script.steps.len()).map(step).collect())
                }
                None => Recorded::Unstable,
            },
            _ => Recorded::Missing,
        }
    }

    /// Writes the file.
    pub(crate) fn save(&self, path: &Path) -> Result<(), String> {
        let mut text = self.comment.lines().map(|line| format!("# {line}\n")).collect::<String>();
        for (name, entry) in &self.entries {
            let mark = if entry.answers.is_some() { "==" } else { "!!" };
            text.push_str(&format!("{mark} {name} {:016x}\n", entry.fingerprint));
            for (number, lines) in entry.answers.iter().flatten() {
                text.extend(lines.iter().map(|line| format!("{number} {line}\n")));
            }
        }
        std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Reads a file.
    pub(crate) fn load(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Self::parse(&text).ok_or_else(|| format!("{} is no recording", path.display()))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut recording = Self::default();
        let mut current = None;
        for line in text.lines() {
            let (mark, rest) = line.split_once(' ')?;
            match mark {
                "#" => {}
                "==" | "!!" => {
                    let (name, fingerprint) = rest.split_once(' ')?;
                    let fingerprint = u64::from_str_radix(fingerprint, 16).ok()?;
                    let answers = (mark == "==").then(BTreeMap::new);
                    recording.entries.insert(name.to_owned(), Entry { fingerprint, answers });
                    current = Some(name.to_owned());
                }
                number => {
                    let answers = recording.entries.get_mut(current.as_ref()?)?.answers.as_mut()?;
                    let lines: &mut Vec<String> = answers.entry(number.parse().ok()?).or_default();
                    lines.push(rest.to_owned());
                }
            }
        }
        Some(recording)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_read_as_it_was_written() {
        let script = |name| Script::parse(name, "a1 tx.select\nsleep 1\na1 tx.commit\n").unwrap();
        let answers = vec![vec!["a1 tx.select-ok".to_owned()], vec![], vec!["one".to_owned(), "two".to_owned()]];
        let mut recording = Recording::new("of a test".to_owned());
        recording.add(&script("stable"), Some(answers.clone()));
        recording.add(&script("unstable"), None);
        let path = std::env::temp_dir().join(format!("differential-{}", std::process::id()));
        recording.save(&path).unwrap();
        let read = Recording::load(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(read.of(&script("stable")), Recorded::Answers(read) if read == answers));
        assert!(matches!(read.of(&script("unstable")), Recorded::Unstable));
        assert!(matches!(read.of(&script("new")), Recorded::Missing));
        let changed = Script::parse("stable", "a1 tx.select\n").unwrap();
        assert!(matches!(read.of(&changed), Recorded::Missing));
    }
}
