//! `leveret store`: looks at a data directory that no broker uses, and mends it.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use leveret_protocol::FieldTable;

use crate::broker::arguments::QueueType;
use crate::broker::definitions::{self, Definition, QueueDefinition};
use crate::broker::journal::QueueId;
use crate::broker::{Kept, OnDisk};
use crate::store::{self, DefinitionBytes, Names};

/// What to do with a data directory.
#[derive(Args, Debug)]
pub(crate) struct StoreArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Read everything and say what is damaged; changes nothing. Exits with 1 if something is
    Check(Directory),
    /// Cut off or leave out what cannot be read, and say what is lost by that
    Repair(Directory),
}

#[derive(Args, Debug)]
struct Directory {
    /// The data directory
    #[arg(long, env = "LEVERET_DATA_DIR", default_value = "leveret-data", value_name = "DIRECTORY")]
    data_dir: PathBuf,
}

impl StoreArgs {
    /// Does it and prints what was found.
    ///
    /// # Errors
    /// One line for a person to read: the directory cannot be used, or it is damaged.
    pub(super) fn run(&self) -> Result<(), String> {
        let (Action::Check(Directory { data_dir }) | Action::Repair(Directory { data_dir })) = &self.action;
        let report = match &self.action {
            Action::Check(_) => store::check::<Kept>(data_dir, &QueueNames),
            Action::Repair(_) => store::repair::<Kept>(data_dir, &QueueNames),
        };
        let report = report.map_err(|error| error.to_string())?;
        write!(io::stdout().lock(), "{report}").map_err(|error| format!("cannot write to stdout: {error}"))?;
        match &self.action {
            Action::Check(_) if report.is_damaged() => {
                Err(format!("'{}' is damaged; `leveret store repair` makes it usable again", data_dir.display()))
            }
            _ => Ok(()),
        }
    }
}

/// What the store's queues are to a person.
struct QueueNames;

impl Names for QueueNames {
    fn queue(&self, key: &[u8], value: &[u8]) -> Option<(QueueId, String)> {
        match definitions::read(key, value)? {
            Definition::Queue(vhost, queue) => Some((queue.id, format!("queue '{}' in vhost '{vhost}'", queue.name))),
            _ => None,
        }
    }

    fn owner(&self, id: QueueId) -> QueueId {
        OnDisk::queue_of(id).0
    }

    fn define(&self, id: QueueId) -> DefinitionBytes {
        let name = format!("recovered-{}", id.0);
        let definition = QueueDefinition {
            name,
            id,
            auto_delete: false,
            queue_type: QueueType::Classic,
            arguments: FieldTable::new(),
            earlier_ttls: Vec::new(),
        };
        definitions::queue("/", &definition)
    }
}
