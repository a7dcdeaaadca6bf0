//! The boundaries within the sources: what a place never does, and how long a file may be.

use std::fs;
use std::path::{Path, PathBuf};

const LINES_MAX: usize = 500;

/// All Rust files below a folder of the project.
fn sources(folder: &str) -> Vec<PathBuf> {
    fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder of the project") {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut found);
    assert!(!found.is_empty(), "no sources in {folder}");
    found
}

/// Lines of code, without comments, that have one of the words.
fn lines_with(folder: &str, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for path in sources(folder) {
        let source = fs::read_to_string(&path).unwrap();
        for (n, line) in source.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if words.iter().any(|word| code.contains(word)) {
                found.push(format!("{}:{}: {line}", path.display(), n + 1));
            }
        }
    }
    found
}

#[test]
fn broker_and_channel_are_pure() {
    let impure = ["tokio", "std::net", "std::fs", "std::thread", "Instant::now", "SystemTime", "tracing"];
    for folder in ["src/broker", "src/channel"] {
        assert_eq!(lines_with(folder, &impure), [""; 0]);
    }
}

#[test]
fn the_protocol_knows_no_io_and_no_clock() {
    let impure = ["tokio", "std::net", "std::fs", "std::thread", "Instant", "SystemTime", "tracing"];
    assert_eq!(lines_with("protocol/src", &impure), [""; 0]);
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("protocol/Cargo.toml")).unwrap();
    assert!(!manifest.contains("tokio"));
}

#[test]
fn no_file_is_too_long() {
    for folder in ["src", "protocol/src", "tests"] {
        for path in sources(folder) {
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            assert!(lines <= LINES_MAX, "{} has {lines} lines, at most {LINES_MAX} are allowed", path.display());
        }
    }
}
