//! What the kernel counts of the disk that a process writes its files to. What it counts for a process is in whole folios of the page
//! cache, and a small piece in a large folio counts for many times what reaches the disk.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::process::Process;

/// A block device by its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Disk {
    major: u32,
    minor: u32,
}

impl Disk {
    /// The device of the files that a process has open for writing, its standard streams aside. None if there are none, they are of
    /// several devices, or of none that the kernel counts for.
    pub(super) fn of(process: Process) -> Option<Self> {
        let mut found = None;
        for entry in fs::read_dir(process.path("fd")).ok()?.flatten() {
            let Ok(number) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
            let Ok(file) = fs::metadata(entry.path()) else { continue };
            if number <= STANDARD_ERROR || !file.is_file() {
                continue;
            }
            let described = fs::read_to_string(process.path(&format!("fdinfo/{number}"))).unwrap_or_default();
            if !is_for_writing(&described) {
                continue;
            }
            let disk = Self { major: rustix::fs::major(file.dev()), minor: rustix::fs::minor(file.dev()) };
            if *found.get_or_insert(disk) != disk {
                return None;
            }
        }
        found.filter(|disk: &Self| disk.written().is_some())
    }

    /// Bytes written to it so far, whoever did so.
    pub(super) fn written(self) -> Option<u64> {
        parse_written(&fs::read_to_string("/proc/diskstats").ok()?, self)
    }
}

/// The description says in octal how the file was opened.
fn is_for_writing(fdinfo: &str) -> bool {
    let flags = fdinfo.lines().find_map(|line| line.strip_prefix("flags:"));
    flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok()).is_some_and(|flags| flags & ACCESS_MODE != 0)
}

/// Behind numbers and name of a device come four numbers about reads, two about writes, and the sectors written.
fn parse_written(diskstats: &str, disk: Disk) -> Option<u64> {
    diskstats.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let is_it = fields.next()?.parse() == Ok(disk.major) && fields.next()?.parse() == Ok(disk.minor);
        let sectors: u64 = is_it.then(|| fields.nth(7))??.parse().ok()?;
        Some(sectors * BYTES_PER_SECTOR)
    })
}

const STANDARD_ERROR: u32 = 2;
/// In these bits reading alone is 0.
const ACCESS_MODE: u32 = 3;
/// Of this interface, whatever the device has.
const BYTES_PER_SECTOR: u64 = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sectors_written_are_found_by_the_numbers_of_the_device() {
        let text = "   7       0 loop0 1 2 3 4 5 6 7 8 9 10 11\n 254       0 vda 17 70 101 13 40 85 438 14 0 69 14 49 99 29 90 11 60\n";
        assert_eq!(parse_written(text, Disk { major: 254, minor: 0 }), Some(438 * 512));
        assert_eq!(parse_written(text, Disk { major: 7, minor: 0 }), Some(7 * 512));
        assert_eq!(parse_written(text, Disk { major: 0, minor: 7 }), None);
        assert_eq!(parse_written("254 0 vda 1\n", Disk { major: 254, minor: 0 }), None);
    }

    #[test]
    fn files_that_are_only_read_do_not_tell_the_disk() {
        assert!(is_for_writing("pos:\t0\nflags:\t0100002\nmnt_id:\t27\n"));
        assert!(is_for_writing("pos:\t0\nflags:\t0102001\n"));
        assert!(!is_for_writing("pos:\t0\nflags:\t0100000\n") && !is_for_writing(""));
    }
}
