//! A file of the simulated disk.

use std::io;

use rand::Rng;

use super::{Call, Node, SECTOR, SimFile, State};
use crate::store::direct::BLOCK;
use crate::store::disk::DiskFile;

impl SimFile {
    fn with<R>(&self, act: impl FnOnce(&mut State, &mut Node) -> io::Result<R>) -> io::Result<R> {
        let state = &mut *self.disk.0.lock();
        if state.epoch != self.epoch {
            return Err(io::Error::other("open since before the crash"));
        }
        let mut node = state.nodes.remove(&self.node).unwrap();
        let result = act(state, &mut node);
        state.nodes.insert(self.node, node);
        result
    }

    fn write_blocks(&self, before: &[u8], bytes: &[u8], offset: u64, block: usize) -> io::Result<()> {
        let mut blocks = [before, bytes].concat();
        blocks.resize(blocks.len().next_multiple_of(block), 0);
        self.write_at(&blocks, offset - before.len() as u64)
    }
}

impl DiskFile for SimFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.with(|state, node| {
            // A write that fails may have written a part.
            let result = state.spend().and_then(|()| state.admit(Call::Write, self.node));
            let part = match &result {
                Ok(()) => bytes.len(),
                Err(_) => state.rng.random_range(0..=bytes.len()),
            };
            let (at, end) = (offset as usize, offset as usize + part);
            let growth = end.saturating_sub(node.bytes.len()) as u64;
            if growth > state.room {
                return Err(io::ErrorKind::StorageFull.into());
            }
            if state.room != u64::MAX {
                state.room -= growth;
            }
            if part > 0 {
                node.bytes.resize(node.bytes.len().max(end), 0);
                node.bytes[at..end].copy_from_slice(&bytes[..part]);
                node.dirty.extend(at / SECTOR..end.div_ceil(SECTOR));
            }
            result
        })
    }

    /// As on a machine: in whole sectors, with what stands before it in the first, and zeros behind it.
    fn write_past_cache(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut before = vec![0; offset as usize % SECTOR];
        self.read_at(&mut before, offset - offset % SECTOR as u64)?;
        self.write_blocks(&before, bytes, offset, SECTOR)
    }

    fn write_behind(&self, before: &[u8], bytes: &[u8], offset: u64) -> io::Result<()> {
        let is_there = self.with(|_, node| Ok(node.bytes[..offset as usize].ends_with(before)))?;
        assert!(is_there && before.len() == offset as usize % BLOCK, "{} bytes before {offset}", before.len());
        self.write_blocks(before, bytes, offset, BLOCK)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(|state, node| {
            state.admit(Call::Read, self.node)?;
            let from = (offset as usize).min(node.bytes.len());
            let len = bytes.len().min(node.bytes.len() - from);
            state.read += len as u64;
            bytes[..len].copy_from_slice(&node.bytes[from..from + len]);
            Ok(len)
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|state, node| {
            let result = state.spend().and_then(|()| state.admit(Call::Sync, self.node));
            let dirty = std::mem::take(&mut node.dirty);
            // A failed sync takes the pages for clean, and they are lost.
            result?;
            node.synced.truncate(node.shortest);
            node.synced.resize(node.bytes.len(), 0);
            for sector in dirty {
                let from = sector * SECTOR;
                let to = (from + SECTOR).min(node.bytes.len());
                if from < to {
                    node.synced[from..to].copy_from_slice(&node.bytes[from..to]);
                }
            }
            node.shortest = node.bytes.len();
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|state, node| {
            state.spend()?;
            node.bytes.resize(len as usize, 0);
            node.shortest = node.shortest.min(len as usize);
            Ok(())
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.with(|_, node| Ok(node.bytes.len() as u64))
    }
}
