//! A simulated disk: it forgets, tears and reorders at a crash what was not synced, and fails when told to.

mod file;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rustix::io::Errno;

use crate::store::disk::{Disk, DiskFile};

const SECTOR: usize = 512;

/// Deterministic from its seed. Clones are the same disk.
#[derive(Clone)]
pub(super) struct SimDisk(Arc<Mutex<State>>);

/// What goes wrong with calls that change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// After so many calls the power is gone: all fail.
    PowerCut(u32),
    /// After so many calls one fails with EIO.
    Io(u32),
    /// After so many calls so many fail with ENOSPC.
    Full(u32, u32),
}

/// What a call does to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Read,
    Write,
    Sync,
}

/// All calls of one kind fail, for files in one directory.
#[derive(Clone, Copy)]
pub(super) struct Refusal {
    pub(super) call: Call,
    pub(super) dir: &'static str,
    pub(super) error: Errno,
}

struct State {
    rng: StdRng,
    /// Files that are open from before a crash are of no use any more.
    epoch: u64,
    next_node: u64,
    names: BTreeMap<PathBuf, u64>,
    dirs: BTreeSet<PathBuf>,
    synced_names: BTreeMap<PathBuf, u64>,
    synced_dirs: BTreeSet<PathBuf>,
    /// Changes of directories that no sync has made last.
    changes: Vec<Change>,
    nodes: BTreeMap<u64, Node>,
    fault: Option<Fault>,
    faults: u32,
    refusal: Option<Refusal>,
    refused: u32,
    room: u64,
    read: u64,
    most_handles: usize,
}

#[derive(Clone)]
enum Change {
    Name(PathBuf, u64),
    Renamed(PathBuf, PathBuf, u64),
    Removed(PathBuf),
    Dir(PathBuf),
    DirRemoved(PathBuf),
}

impl Change {
    fn dir(&self) -> &Path {
        let (Self::Name(path, _)
        | Self::Renamed(_, path, _)
        | Self::Removed(path)
        | Self::Dir(path)
        | Self::DirRemoved(path)) = self;
        path.parent().unwrap_or_else(|| Path::new(""))
    }

    fn apply(self, names: &mut BTreeMap<PathBuf, u64>, dirs: &mut BTreeSet<PathBuf>) {
        match self {
            Self::Name(path, node) => _ = names.insert(path, node),
            Self::Renamed(from, to, node) => {
                names.remove(&from);
                names.insert(to, node);
            }
            Self::Removed(path) => _ = names.remove(&path),
            Self::Dir(path) => _ = dirs.insert(path),
            Self::DirRemoved(path) => _ = dirs.remove(&path),
        }
    }
}

#[derive(Default)]
struct Node {
    bytes: Vec<u8>,
    synced: Vec<u8>,
    /// The shortest that it has been since the last sync.
    shortest: usize,
    dirty: BTreeSet<usize>,
}

struct SimFile {
    disk: SimDisk,
    node: u64,
    epoch: u64,
}

impl SimDisk {
    pub(super) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            rng: StdRng::seed_from_u64(seed),
            epoch: 0,
            next_node: 0,
            names: BTreeMap::new(),
            dirs: BTreeSet::from([PathBuf::new()]),
            synced_names: BTreeMap::new(),
            synced_dirs: BTreeSet::from([PathBuf::new()]),
            changes: Vec::new(),
            nodes: BTreeMap::new(),
            fault: None,
            faults: 0,
            refusal: None,
            refused: 0,
            room: u64::MAX,
            read: 0,
            most_handles: 0,
        })))
    }

    /// Power is lost and comes back. Of what was not synced nothing is left, or any sectors; of directories any changes.
    pub(super) fn crash(&self) {
        let state = &mut *self.0.lock();
        state.epoch += 1;
        (state.fault, state.faults) = (None, 0);
        let (mut names, mut dirs) = (state.synced_names.clone(), state.synced_dirs.clone());
        let keep = [0.0, 0.5, 0.9, 1.0][state.rng.random_range(0..4)];
        for change in std::mem::take(&mut state.changes) {
            if state.rng.random_bool(keep) {
                change.apply(&mut names, &mut dirs);
            }
        }
        let reached = dirs.clone();
        dirs.retain(|dir| dir.parent().is_none_or(|parent| reached.contains(parent)));
        names.retain(|path, _| path.parent().is_none_or(|dir| dirs.contains(dir)));
        let reached: BTreeSet<u64> = names.values().copied().collect();
        state.nodes.retain(|node, _| reached.contains(node));
        let keep = [0.0, 0.5, 0.9, 1.0][state.rng.random_range(0..4)];
        for node in state.nodes.values_mut() {
            if node.shortest < node.synced.len() && state.rng.random_bool(0.5) {
                node.synced.truncate(node.shortest);
            }
            if node.bytes.len() > node.synced.len() && state.rng.random_bool(0.5) {
                node.synced.resize(node.bytes.len(), 0);
            }
            for sector in std::mem::take(&mut node.dirty) {
                let from = sector * SECTOR;
                let to = (from + SECTOR).min(node.bytes.len()).min(node.synced.len());
                if from < to && state.rng.random_bool(keep) {
                    node.synced[from..to].copy_from_slice(&node.bytes[from..to]);
                }
            }
            node.bytes.clone_from(&node.synced);
            node.shortest = node.bytes.len();
        }
        (state.synced_names, state.names) = (names.clone(), names);
        (state.synced_dirs, state.dirs) = (dirs.clone(), dirs);
    }

    /// The process is killed: what it wrote is still there.
    pub(super) fn kill(&self) {
        let state = &mut *self.0.lock();
        state.epoch += 1;
        (state.fault, state.faults) = (None, 0);
    }

    pub(super) fn set_fault(&self, fault: Option<Fault>) {
        self.0.lock().fault = fault;
    }

    /// How many calls have failed because they were told to, since the last crash.
    pub(super) fn faults(&self) -> u32 {
        self.0.lock().faults
    }

    pub(super) fn refuse(&self, refusal: Option<Refusal>) {
        self.0.lock().refusal = refusal;
    }

    /// How many calls have been refused.
    pub(super) fn refused(&self) -> u32 {
        self.0.lock().refused
    }

    /// Whether all that was written to files in a directory would outlast a power cut.
    pub(super) fn is_synced(&self, dir: &str) -> bool {
        let state = self.0.lock();
        let mut files = state.names.iter().filter(|(path, _)| path.parent() == Some(Path::new(dir)));
        files.all(|(_, node)| state.nodes[node].dirty.is_empty())
    }

    /// How much more may be written until the disk is full.
    pub(super) fn set_room(&self, room: Option<u64>) {
        self.0.lock().room = room.unwrap_or(u64::MAX);
    }

    /// How many open files and clones of the disk there have been at once, since it was asked last.
    pub(super) fn take_most_handles(&self) -> usize {
        std::mem::take(&mut self.0.lock().most_handles)
    }

    /// How many bytes have been read.
    pub(super) fn read(&self) -> u64 {
        self.0.lock().read
    }

    /// All files with their lengths.
    pub(super) fn files(&self) -> Vec<(PathBuf, usize)> {
        let state = self.0.lock();
        state.names.iter().map(|(name, node)| (name.clone(), state.nodes[node].bytes.len())).collect()
    }

    /// A file is gone, as from a bad disk.
    pub(super) fn lose(&self, path: &Path) {
        let state = &mut *self.0.lock();
        state.names.remove(path);
        state.synced_names.remove(path);
    }

    /// Changes bytes that were written, as a bad disk does.
    pub(super) fn change(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let state = &mut *self.0.lock();
        let node = state.nodes.get_mut(&state.names[path]).unwrap();
        change(&mut node.bytes);
        node.synced.clone_from(&node.bytes);
    }

    fn file(&self, node: u64, epoch: u64) -> Arc<dyn DiskFile> {
        Arc::new(SimFile { disk: self.clone(), node, epoch })
    }
}

impl State {
    /// Counts down to the fault.
    fn spend(&mut self) -> io::Result<()> {
        let io_error = || io::Error::from(Errno::IO);
        let (fault, result) = match self.fault {
            None => return Ok(()),
            Some(Fault::PowerCut(0)) => (self.fault, Err(io_error())),
            Some(Fault::PowerCut(n)) => (Some(Fault::PowerCut(n - 1)), Ok(())),
            Some(Fault::Io(0)) => (None, Err(io_error())),
            Some(Fault::Io(n)) => (Some(Fault::Io(n - 1)), Ok(())),
            Some(Fault::Full(0, 0)) => (None, Ok(())),
            Some(Fault::Full(0, times)) => (Some(Fault::Full(0, times - 1)), Err(io::ErrorKind::StorageFull.into())),
            Some(Fault::Full(n, times)) => (Some(Fault::Full(n - 1, times)), Ok(())),
        };
        self.fault = fault;
        self.faults += u32::from(result.is_err());
        result
    }

    /// What is refused of a file that was opened.
    fn admit(&mut self, call: Call, node: u64) -> io::Result<()> {
        let Some(refusal) = self.refusal.filter(|refusal| refusal.call == call) else { return Ok(()) };
        let named = self.names.iter().find(|(_, of)| **of == node);
        if named.is_none_or(|(path, _)| path.parent() != Some(Path::new(refusal.dir))) {
            return Ok(());
        }
        self.refused += 1;
        Err(refusal.error.into())
    }

    /// A file goes.
    fn give_room(&mut self, node: u64) {
        self.room = self.room.saturating_add(self.nodes[&node].bytes.len() as u64);
    }

    fn node(&self, path: &Path) -> io::Result<u64> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn record(&mut self, change: Change) {
        change.clone().apply(&mut self.names, &mut self.dirs);
        self.changes.push(change);
    }

    fn parent_of(&self, path: &Path) -> io::Result<()> {
        match path.parent().is_none_or(|parent| self.dirs.contains(parent)) {
            true => Ok(()),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let state = &mut *self.0.lock();
        let file = self.file(state.node(path)?, state.epoch);
        state.most_handles = state.most_handles.max(Arc::strong_count(&self.0));
        Ok(file)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let state = &mut *self.0.lock();
        state.spend()?;
        state.parent_of(path)?;
        if let Ok(id) = state.node(path) {
            state.give_room(id);
            let node = state.nodes.get_mut(&id).unwrap();
            node.bytes.clear();
            node.shortest = 0;
            node.dirty.clear();
            return Ok(self.file(id, state.epoch));
        }
        let node = state.next_node;
        state.next_node += 1;
        state.nodes.insert(node, Node::default());
        state.record(Change::Name(path.to_owned(), node));
        Ok(self.file(node, state.epoch))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let state = &mut *self.0.lock();
        state.spend()?;
        state.parent_of(to)?;
        let node = state.node(from)?;
        if let Ok(replaced) = state.node(to) {
            state.give_room(replaced);
        }
        state.record(Change::Renamed(from.to_owned(), to.to_owned(), node));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let state = &mut *self.0.lock();
        // To remove a file needs no space and is done in memory.
        if let Some(Fault::PowerCut(_)) = state.fault {
            state.spend()?;
        }
        let node = state.node(path)?;
        state.give_room(node);
        state.record(Change::Removed(path.to_owned()));
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.0.lock();
        let all = state.names.keys().chain(&state.dirs).filter(|path| path.parent() == Some(dir));
        Ok(all.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect())
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let state = &mut *self.0.lock();
        state.spend()?;
        let mut missing: Vec<&Path> = dir.ancestors().filter(|dir| !state.dirs.contains(*dir)).collect();
        while let Some(dir) = missing.pop() {
            state.record(Change::Dir(dir.to_owned()));
        }
        Ok(())
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        let state = &mut *self.0.lock();
        if let Some(Fault::PowerCut(_)) = state.fault {
            state.spend()?;
        }
        let all = state.names.keys().chain(&state.dirs);
        if !state.dirs.contains(dir) || all.into_iter().any(|path| path.parent() == Some(dir)) {
            return Err(io::Error::other("no such directory, or it is not empty"));
        }
        state.record(Change::DirRemoved(dir.to_owned()));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let state = &mut *self.0.lock();
        state.spend()?;
        if !state.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        for change in std::mem::take(&mut state.changes) {
            match change.dir() == dir {
                true => change.apply(&mut state.synced_names, &mut state.synced_dirs),
                false => state.changes.push(change),
            }
        }
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(self.0.lock().room)
    }
}
