//! Brokers in processes of their own, with a data directory that outlives them.

use std::future;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use leveret::broker::{Broker, Effects};
use leveret::config::Config;
use leveret::server::Server;
use tempfile::TempDir;
use tokio::runtime;

use super::{Login, Wire};

/// A data directory; it goes with the test.
pub(crate) struct Kept {
    dir: TempDir,
}

/// A running broker. Dropping it is `kill -9`.
pub(crate) struct Process {
    child: Child,
    address: SocketAddr,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Kept {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a directory for the test") }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Starts a broker on it.
    pub(crate) fn start(&self) -> Process {
        self.start_with(&[])
    }

    /// The same with more options.
    pub(crate) fn start_with(&self, options: &[&str]) -> Process {
        self.try_start(options).unwrap_or_else(|(status, log)| panic!("the broker ended with {status}: {log}"))
    }

    /// Starts a broker that may refuse to; then its exit and what it said on stderr.
    pub(crate) fn try_start(&self, options: &[&str]) -> Result<Process, (ExitStatus, String)> {
        Process::start(Command::new(env!("CARGO_BIN_EXE_leveret")), &self.path(), options)
    }

    /// Starts a broker that can make no file longer than so many blocks of 512 bytes: the system refuses.
    pub(crate) fn start_with_short_files(&self, blocks: u32) -> Process {
        self.start_limited(&format!("trap '' XFSZ; ulimit -f {blocks}"))
    }

    /// Starts a broker behind these commands of the shell.
    pub(crate) fn start_limited(&self, limits: &str) -> Process {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{limits}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_leveret")]);
        let started = Process::start(shell, &self.path(), &[]);
        started.unwrap_or_else(|(status, log)| panic!("the broker ended with {status}: {log}"))
    }

    /// Runs `leveret store` with `check` or `repair`: its exit, and what it said.
    pub(crate) fn store(&self, action: &str) -> (bool, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_leveret"));
        let output = command.args(["store", action, "--data-dir"]).arg(self.path()).output().expect("the binary");
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        (output.status.success(), said.concat())
    }

    /// Changes something in a broker of this process and waits until that is durable. The broker ends in order, or what is given
    /// back is what a crash would leave.
    pub(crate) fn within(self, in_order: bool, change: impl FnOnce(&Broker) -> Effects) -> Self {
        let config =
            Config { bind: Ipv4Addr::LOCALHOST.to_string(), port: 0, data_dir: Some(self.path()), ..Config::default() };
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let server = Server::bind(config).expect("a free port and a whole data directory");
            let broker = server.shared().broker.clone();
            let mut fx = change(&broker);
            fx.apply();
            broker.durable(&mut fx).await;
            let left = if in_order { self } else { self.copied() };
            server.run(future::ready(())).await.expect("it ends in order");
            left
        })
    }

    fn copied(&self) -> Self {
        let copied = Self::new();
        copy(&self.path(), &copied.path(), true);
        copied
    }

    /// The files of a directory below it, in order.
    pub(crate) fn files(&self, dir: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.path().join(dir)).expect("a directory");
        let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        files.sort();
        files
    }

    /// Changes the last place in a file where these bytes stand.
    pub(crate) fn flip(&self, file: &Path, at_text: &str) {
        let mut bytes = std::fs::read(file).expect("a file");
        let found = bytes.windows(at_text.len()).rposition(|bytes| bytes == at_text.as_bytes());
        bytes[found.expect("the text")] ^= 1;
        std::fs::write(file, bytes).expect("a file");
    }
}

impl Process {
    fn start(mut command: Command, data_dir: &Path, options: &[&str]) -> Result<Self, (ExitStatus, String)> {
        let mut child = command
            .args(["--bind", "127.0.0.1", "--port", "0", "--data-dir"])
            .arg(data_dir)
            .args(options)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the broker's binary");
        let log = Arc::new(Mutex::new(String::new()));
        let reader = thread::spawn({
            let (mut stderr, log) = (child.stderr.take().expect("a pipe"), log.clone());
            move || {
                let mut piece = [0; 4096];
                while let Ok(n @ 1..) = stderr.read(&mut piece) {
                    log.lock().unwrap().push_str(&String::from_utf8_lossy(&piece[..n]));
                }
            }
        });
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut address = None;
        for line in lines.by_ref().map_while(Result::ok) {
            if let Some(listens) = line.strip_prefix("Listening for AMQP on ") {
                address = listens.parse().ok();
            }
            if line == "Server startup complete" {
                let address = address.expect("its address comes first");
                return Ok(Self { child, address, log, reader: Some(reader) });
            }
        }
        let status = child.wait().expect("it has ended");
        let _ = reader.join();
        let log = log.lock().unwrap().clone();
        Err((status, log))
    }

    /// What it has said on stderr.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until it has said something on stderr.
    pub(crate) fn says(&self, text: &str) {
        for _ in 0..500 {
            if self.log().contains(text) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("it does not say '{text}': {}", self.log());
    }

    /// A connection with channel 1.
    pub(crate) fn open(&self) -> Wire {
        self.open_as(&Login::default())
    }

    /// A TCP connection that says nothing.
    pub(crate) fn connect(&self) -> Wire {
        Wire::connect_to(self.address)
    }

    /// The same as [`Process::open`], introduced like that.
    pub(crate) fn open_as(&self, login: &Login<'_>) -> Wire {
        let mut wire = self.connect();
        wire.log_in(login);
        wire
    }

    /// SIGTERM, and its exit.
    pub(crate) fn stop(self) -> ExitStatus {
        self.terminate().0
    }

    /// SIGTERM, its exit, and all that it said on stderr.
    pub(crate) fn terminate(self) -> (ExitStatus, String) {
        let told = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status();
        assert!(told.is_ok_and(|status| status.success()));
        self.ends()
    }

    /// Waits until it ends by itself: its exit, and all that it said on stderr.
    pub(crate) fn ends(mut self) -> (ExitStatus, String) {
        for _ in 0..1000 {
            if let Some(status) = self.child.try_wait().expect("a child") {
                if let Some(reader) = self.reader.take() {
                    let _ = reader.join();
                }
                return (status, self.log());
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("it does not end: {}", self.log());
    }

    /// `kill -9`.
    pub(crate) fn kill(self) {
        drop(self);
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Copies a data directory; zeros at the end of a log file need not be kept.
pub(crate) fn copy(from: &Path, to: &Path, cut: bool) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to, cut);
        } else if entry.file_name() != "lock" {
            let mut bytes = std::fs::read(entry.path()).unwrap();
            if cut && to.extension().is_some_and(|extension| extension == "log") {
                let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
                bytes.truncate(used.next_multiple_of(512));
            }
            std::fs::write(to, bytes).unwrap();
        }
    }
}
