//! The log's files: a header, then groups, each with a header of its own and the operations that become durable together.
//!
//! A file begins with a sector for its header. Each group begins at a sector too, so that a later one can be found behind a damaged
//! one. All checksums are seeded with the file's generation: what an earlier use of a recycled file has left never validates.

use crate::broker::journal::QueueId;
use crate::store::bytes::{Cursor, put_piece, put_u64s};

/// What the disk writes at once; a write of one is whole or not at all.
pub(in crate::store) const SECTOR: usize = 512;

/// The version of the log's format.
pub(in crate::store) const VERSION: u32 = 1;

const FILE_MAGIC: u64 = u64::from_le_bytes(*b"LEVLOG\r\n");
const GROUP_MAGIC: u32 = u32::from_le_bytes(*b"GRP\n");

/// Bytes of a group's header.
pub(in crate::store) const GROUP_HEAD: usize = 40;

/// Bytes before an operation's payload: length and kind.
const OP_HEAD: usize = 5;

const PUBLISH: u8 = 1;
const REFER: u8 = 2;
const SETTLE: u8 = 3;
const DELIVERED: u8 = 4;
const MARK: u8 = 5;
const DEFINE: u8 = 6;
const FORGET: u8 = 7;
const DROP: u8 = 8;

/// An operation as it stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Logged<'a> {
    Publish {
        queue: QueueId,
        position: u64,
        weight: u32,
        message: &'a [u8],
    },
    /// The message of an earlier publish of the same file: its bytes stand at this offset.
    Refer {
        queue: QueueId,
        position: u64,
        weight: u32,
        offset: u64,
        len: u32,
    },
    Settle {
        queue: QueueId,
        first: u64,
        last: u64,
        weight: u64,
    },
    Delivered {
        queue: QueueId,
        up_to: u64,
    },
    Mark {
        queue: QueueId,
        position: u64,
        mark: u64,
    },
    Define {
        key: &'a [u8],
        value: &'a [u8],
    },
    Forget {
        key: &'a [u8],
    },
    Drop {
        queue: QueueId,
    },
}

/// A file's first sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct FileHead {
    /// Grows with each file.
    pub generation: u64,
    /// Where the last group of the file before ends; 0 if there is none before.
    pub previous_end: u64,
}

/// A group's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct GroupHead {
    pub crc: u32,
    pub generation: u64,
    /// Bytes of operations behind the header.
    pub len: u32,
    /// All of the file before this offset was durable when the group was written.
    pub synced: u64,
}

impl FileHead {
    pub(in crate::store) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SECTOR);
        put_u64s(&mut out, &[FILE_MAGIC, self.generation, self.previous_end]);
        out.extend_from_slice(&VERSION.to_le_bytes());
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out.resize(SECTOR, 0);
        out
    }

    /// None if it is no header, or was not written whole.
    pub(in crate::store) fn decode(bytes: &[u8]) -> Option<Self> {
        let checked = bytes.get(..28)?;
        let mut cursor = Cursor(bytes);
        let magic = cursor.u64()?;
        let head = Self { generation: cursor.u64()?, previous_end: cursor.u64()? };
        let version = cursor.u32()?;
        (magic == FILE_MAGIC && version == VERSION && cursor.u32()? == crc32c::crc32c(checked)).then_some(head)
    }
}

impl GroupHead {
    /// Reads a header; none if it cannot be one of this generation.
    pub(in crate::store) fn decode(bytes: &[u8], generation: u64) -> Option<Self> {
        let mut cursor = Cursor(bytes);
        if cursor.u32()? != GROUP_MAGIC {
            return None;
        }
        let head = Self {
            crc: cursor.u32()?,
            generation: cursor.u64()?,
            len: cursor.u32()?,
            synced: {
                cursor.u32()?;
                cursor.u64()?
            },
        };
        (head.generation == generation).then_some(head)
    }

    /// Whether a whole group, header and operations, is what was written.
    pub(in crate::store) fn validates(&self, group: &[u8]) -> bool {
        group
            .get(8..GROUP_HEAD + self.len as usize)
            .is_some_and(|checked| checksum(self.generation, checked) == self.crc)
    }

    /// The same, by the checksums of everything before the part of it that is checked, and of everything up to its end.
    pub(in crate::store) fn validates_sums(&self, before: u32, up_to_end: u32) -> bool {
        let checked = GROUP_HEAD - 8 + self.len as usize;
        crc32c::crc32c_combine(seed(self.generation) ^ before, up_to_end, checked) == self.crc
    }

    /// Bytes from the beginning of the group to where the next may begin.
    pub(in crate::store) fn span(&self) -> u64 {
        (GROUP_HEAD as u64 + u64::from(self.len)).next_multiple_of(SECTOR as u64)
    }
}

fn seed(generation: u64) -> u32 {
    generation as u32 ^ (generation >> 32) as u32
}

fn checksum(generation: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(seed(generation), bytes)
}

/// Leaves room for a group's header at the end of `out`.
pub(in crate::store) fn begin_group(out: &mut Vec<u8>) {
    out.resize(out.len() + GROUP_HEAD, 0);
}

/// Completes the group that begins at the beginning of `out`, and fills it up to a sector.
pub(in crate::store) fn end_group(out: &mut Vec<u8>, generation: u64, synced: u64) {
    let len = (out.len() - GROUP_HEAD) as u32;
    out[..4].copy_from_slice(&GROUP_MAGIC.to_le_bytes());
    out[8..16].copy_from_slice(&generation.to_le_bytes());
    out[16..20].copy_from_slice(&len.to_le_bytes());
    out[24..32].copy_from_slice(&synced.to_le_bytes());
    let crc = checksum(generation, &out[8..]);
    out[4..8].copy_from_slice(&crc.to_le_bytes());
    out.resize(out.len().next_multiple_of(SECTOR), 0);
}

/// Appends an operation whose payload `write` appends. Gives where that begins in `out`.
pub(in crate::store) fn put_publish(
    out: &mut Vec<u8>,
    queue: QueueId,
    position: u64,
    weight: u32,
    write: impl FnOnce(&mut Vec<u8>),
) -> usize {
    let at = out.len();
    out.extend_from_slice(&[0; OP_HEAD]);
    put_u64s(out, &[queue.0, position]);
    out.extend_from_slice(&weight.to_le_bytes());
    let message = out.len();
    write(out);
    let len = (out.len() - at - OP_HEAD) as u32;
    out[at..at + 4].copy_from_slice(&len.to_le_bytes());
    out[at + 4] = PUBLISH;
    message
}

/// Appends an operation.
pub(in crate::store) fn put(out: &mut Vec<u8>, op: &Logged<'_>) {
    let at = out.len();
    out.extend_from_slice(&[0; OP_HEAD]);
    let kind = match *op {
        Logged::Publish { queue, position, weight, message } => {
            put_u64s(out, &[queue.0, position]);
            out.extend_from_slice(&weight.to_le_bytes());
            out.extend_from_slice(message);
            PUBLISH
        }
        Logged::Refer { queue, position, weight, offset, len } => {
            put_u64s(out, &[queue.0, position, offset]);
            out.extend_from_slice(&weight.to_le_bytes());
            out.extend_from_slice(&len.to_le_bytes());
            REFER
        }
        Logged::Settle { queue, first, last, weight } => {
            put_u64s(out, &[queue.0, first, last, weight]);
            SETTLE
        }
        Logged::Delivered { queue, up_to } => {
            put_u64s(out, &[queue.0, up_to]);
            DELIVERED
        }
        Logged::Mark { queue, position, mark } => {
            put_u64s(out, &[queue.0, position, mark]);
            MARK
        }
        Logged::Define { key, value } => {
            put_piece(out, key);
            out.extend_from_slice(value);
            DEFINE
        }
        Logged::Forget { key } => {
            out.extend_from_slice(key);
            FORGET
        }
        Logged::Drop { queue } => {
            put_u64s(out, &[queue.0]);
            DROP
        }
    };
    let len = (out.len() - at - OP_HEAD) as u32;
    out[at..at + 4].copy_from_slice(&len.to_le_bytes());
    out[at + 4] = kind;
}

/// The operations of a group whose checksum holds. Each comes with the offset of its payload behind the group's header; None in place
/// of one that this version cannot read.
pub(in crate::store) fn ops(body: &[u8]) -> impl Iterator<Item = Option<(usize, Logged<'_>)>> {
    let mut rest = Cursor(body);
    std::iter::from_fn(move || {
        if rest.0.is_empty() {
            return None;
        }
        let read = read_op(&mut rest).map(|(payload, op)| (payload.as_ptr().addr() - body.as_ptr().addr(), op));
        if read.is_none() {
            rest.0 = &[];
        }
        Some(read)
    })
}

fn read_op<'a>(rest: &mut Cursor<'a>) -> Option<(&'a [u8], Logged<'a>)> {
    let len = rest.u32()? as usize;
    let kind = rest.u8()?;
    let payload = rest.take(len)?;
    let mut cursor = Cursor(payload);
    let op = match kind {
        PUBLISH => Logged::Publish {
            queue: QueueId(cursor.u64()?),
            position: cursor.u64()?,
            weight: cursor.u32()?,
            message: cursor.0,
        },
        REFER => Logged::Refer {
            queue: QueueId(cursor.u64()?),
            position: cursor.u64()?,
            offset: cursor.u64()?,
            weight: cursor.u32()?,
            len: cursor.u32()?,
        },
        SETTLE => Logged::Settle {
            queue: QueueId(cursor.u64()?),
            first: cursor.u64()?,
            last: cursor.u64()?,
            weight: cursor.u64()?,
        },
        DELIVERED => Logged::Delivered { queue: QueueId(cursor.u64()?), up_to: cursor.u64()? },
        MARK => Logged::Mark { queue: QueueId(cursor.u64()?), position: cursor.u64()?, mark: cursor.u64()? },
        DEFINE => Logged::Define { key: cursor.piece()?, value: cursor.0 },
        FORGET => Logged::Forget { key: cursor.0 },
        DROP => Logged::Drop { queue: QueueId(cursor.u64()?) },
        _ => return None,
    };
    Some((payload, op))
}

/// Bytes of a publish's payload before its message.
pub(in crate::store) const PUBLISH_HEAD: usize = 20;
