//! Messages of the tests: what they must be follows from their number.

use crate::broker::journal::Payload;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) id: u64,
    pub(super) lasting: bool,
    pub(super) shared: bool,
    pub(super) len: usize,
}

impl Payload for Text {
    fn is_persistent(&self) -> bool {
        self.lasting
    }

    fn shared_id(&self) -> Option<usize> {
        self.shared.then_some(self.id as usize)
    }

    fn encoded_len(&self) -> usize {
        10 + self.len
    }

    fn must_be_flushed(&self) -> bool {
        false
    }

    fn weight(&self) -> u64 {
        self.len as u64
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.to_le_bytes());
        out.extend_from_slice(&[self.lasting.into(), self.shared.into()]);
        out.extend((0..self.len).map(|at| filler(self.id, at)));
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (id, rest) = bytes.split_first_chunk()?;
        let (flags, rest) = rest.split_first_chunk::<2>()?;
        let id = u64::from_le_bytes(*id);
        rest.iter().enumerate().all(|(at, byte)| *byte == filler(id, at)).then_some(())?;
        Some(Self { id, lasting: flags[0] == 1, shared: flags[1] == 1, len: rest.len() })
    }
}

fn filler(id: u64, at: usize) -> u8 {
    (id as usize * 31 + at * 7) as u8
}
