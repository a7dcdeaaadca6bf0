//! The broker that is measured.

use super::disk::Disk;
use super::process::Process;
use super::uri::Uri;

/// Where the broker is, and what of it can be seen from here.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// How to connect.
    pub uri: Uri,
    /// Its process, if that runs here and is known.
    pub process: Option<Process>,
    /// Where it writes its files, if that can be seen.
    pub disk: Option<Disk>,
    /// No line each second.
    pub quiet: bool,
}
