//! The end of the log's file: what it has in its last block, which is written again with what follows.

use crate::store::direct::{BLOCK, Block};

/// See the module.
pub(super) struct Tail {
    block: Box<Block>,
    len: usize,
}

impl Default for Tail {
    fn default() -> Self {
        Self { block: Box::new(Block([0; BLOCK])), len: 0 }
    }
}

impl Tail {
    /// What the block has.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.block.0[..self.len]
    }

    /// A file begins so.
    pub(super) fn begin(&mut self, head: &[u8]) {
        self.len = 0;
        self.add(head);
    }

    /// So it goes on.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if end < BLOCK {
            self.block.0[self.len..end].copy_from_slice(bytes);
        } else {
            let rest = &bytes[bytes.len() - end % BLOCK..];
            self.block.0[..rest.len()].copy_from_slice(rest);
        }
        self.len = end % BLOCK;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_what_stands_behind_the_last_whole_block() {
        let bytes: Vec<u8> = (0..40_000_u32).map(|i| (i % 251) as u8).collect();
        let mut tail = Tail::default();
        tail.begin(&bytes[..512]);
        let mut end = 512;
        for len in [0, 1, 3583, 1, 4095, 1, 4096, 100, 8092, 12_288, 5000] {
            assert_eq!(tail.bytes(), &bytes[end / BLOCK * BLOCK..end], "{end}");
            tail.add(&bytes[end..end + len]);
            end += len;
        }
        assert_eq!(tail.bytes(), &bytes[end / BLOCK * BLOCK..end]);
    }
}
