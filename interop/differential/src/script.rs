//! Scripts: a name and steps, from files or from seeds.

use std::fmt;
use std::hash::{Hash as _, Hasher};
use std::path::Path;

use crate::notation::NotationError;
use crate::step::Step;

/// What is played on a broker.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Script {
    /// The file's name without its extension, or what it was generated from.
    pub(crate) name: String,
    /// In order.
    pub(crate) steps: Vec<Step>,
}

impl Script {
    /// Reads a script: a step in each line but empty ones and those that begin with `#`.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, String> {
        let lines = text.lines().enumerate().map(|(index, line)| (index, line.trim()));
        let steps = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).map(|(index, line)| {
            Step::parse(line).map_err(|NotationError(error)| format!("{name}, line {}: {error}: {line}", index + 1))
        });
        Ok(Self { name: name.to_owned(), steps: steps.collect::<Result<_, _>>()? })
    }

    /// Reads all scripts of a folder, by name.
    pub(crate) fn load_all(folder: &Path) -> Result<Vec<Self>, String> {
        let unreadable = |error| format!("{}: {error}", folder.display());
        let mut scripts = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let (Some(name), Some("amqp")) = (path.file_stem(), path.extension().and_then(|ext| ext.to_str())) else {
                continue;
            };
            let text = std::fs::read_to_string(&path).map_err(unreadable)?;
            scripts.push(Self::parse(&name.to_string_lossy(), &text)?);
        }
        scripts.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(scripts)
    }

    /// A number that tells two scripts apart, the same on every machine.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
        self.to_string().hash(&mut hasher);
        hasher.finish()
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

/// FNV-1a, because the standard hashers may change with the toolchain.
struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
