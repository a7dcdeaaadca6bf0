//! Where the log goes: to stderr, by a thread of its own.
//!
//! A stderr that nobody reads must not stop the broker, so lines that find no room are dropped. The thread writes what has gathered, not
//! each line, because waking it costs more than a line: 10,000 connections opened and closed a second wake it 200 times.

use std::io::{self, Write};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tracing_subscriber::fmt::MakeWriter;

/// Bytes that may wait to be written.
const WAITING_MAX: usize = 4 << 20;

/// Lines gather for so long before they are written.
const GATHER_TIME: Duration = Duration::from_millis(5);

/// Takes the lines.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    dropped: usize,
    ended: bool,
}

/// Writes the rest of the log when it is dropped.
pub(super) struct Written {
    log: Log,
    thread: Option<thread::JoinHandle<()>>,
}

impl Log {
    /// Starts the thread that writes into `out`.
    pub(super) fn start(out: impl Write + Send + 'static) -> (Self, Written) {
        let log = Self::default();
        let shared = log.0.clone();
        let thread = thread::Builder::new().name("log".to_owned()).spawn(move || shared.write_to(out)).ok();
        (log.clone(), Written { log, thread })
    }
}

impl Shared {
    fn write_to(&self, mut out: impl Write) {
        let mut lines = Vec::new();
        loop {
            let mut state = self.state.lock();
            while state.lines.is_empty() && !state.ended {
                self.changed.wait(&mut state);
            }
            if !state.ended {
                self.changed.wait_for(&mut state, GATHER_TIME); // until the end, or for the whole time
            }
            std::mem::swap(&mut lines, &mut state.lines);
            let (dropped, ended) = (std::mem::take(&mut state.dropped), state.ended);
            drop(state);
            let _ = out.write_all(&lines);
            if dropped > 0 {
                let _ = writeln!(
                    out,
                    "{dropped} lines of the log were dropped: they came faster than they could be written"
                );
            }
            if ended {
                return;
            }
            lines.clear();
            lines.shrink_to(WAITING_MAX / 64);
        }
    }
}

impl Write for Log {
    /// One call is one line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.0.state.lock();
        if state.lines.len() + line.len() > WAITING_MAX {
            state.dropped += 1;
            return Ok(line.len());
        }
        let first = state.lines.is_empty();
        state.lines.extend_from_slice(line);
        drop(state);
        if first {
            self.0.changed.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        self.log.0.state.lock().ended = true;
        self.log.0.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            let deadline = std::time::Instant::now() + LAST_LINES;
            while !thread.is_finished() && std::time::Instant::now() < deadline {
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

/// How long the end of the program waits for the last lines to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    /// A stderr whose reader takes nothing until it is let.
    #[derive(Clone, Default)]
    struct Pipe(Arc<Mutex<Vec<u8>>>);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn all_lines_are_written_in_order_before_the_end() {
        let pipe = Pipe::default();
        let (mut log, written) = Log::start(pipe.clone());
        (0..1000).for_each(|n| log.write_all(format!("{n}\n").as_bytes()).unwrap());
        drop(written);
        let expected: String = (0..1000).map(|n| format!("{n}\n")).collect();
        assert_eq!(String::from_utf8(pipe.0.lock().clone()).unwrap(), expected);
    }

    #[test]
    fn lines_are_dropped_and_counted_while_nobody_reads() {
        let pipe = Pipe::default();
        let stuck = pipe.0.lock();
        let (mut log, written) = Log::start(pipe.clone());
        let line = vec![b'x'; WAITING_MAX / 4];
        (0..20).for_each(|_| log.write_all(&line).unwrap());
        drop(stuck);
        drop(written);
        let text = pipe.0.lock().clone();
        assert!(text.len() < 9 * line.len(), "{} bytes", text.len());
        assert!(String::from_utf8_lossy(&text).contains(" lines of the log were dropped"));
    }
}
