//! What has been pushed and not been taken.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::bell::Bell;
use super::{Group, Op, Payload, QueueId};
use crate::broker::outbox::Outbox;

/// A group has at most this many bytes, unless what belongs together has more: lengths in the log are of 32 bits, and to be written a
/// group stands in memory once more.
const GROUP_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// Places where a group may end are remembered so many bytes apart.
const SEAM_BYTES: usize = GROUP_BYTES_MAX / 8;

/// When more bytes than this wait to be written, only the last mark of each message does: what is returned and delivered over and over
/// while the disk stands still must not fill memory.
const MARKED_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Beside its message, an operation takes about this in memory, and less in the log.
const OP_BYTES: usize = 48;

/// See the module.
pub(super) struct Pending<P> {
    pub(super) ops: Vec<Op<P>>,
    pub(super) bytes: usize,
    /// Operations pushed since the broker was made.
    pub(super) position: u64,
    /// Connections that wait for something pushed since the last take.
    pub(super) waiters: Vec<Arc<Outbox>>,
    /// Groups being pushed; nothing is taken before they are whole.
    pub(super) groups: usize,
    /// Connections that may not publish until the backlog is written.
    pub(super) held_back: Vec<Arc<Outbox>>,
    /// Bytes taken and not yet committed.
    pub(super) writing: usize,
    pub(super) writer: Writer,
    pub(super) closed: bool,
    seams: Vec<Seam>,
    /// Where the marks among the operations are, as far as there are so many of them that each message needs but the last.
    marks: HashMap<(QueueId, u64), usize, RandomState>,
}

/// What stands before it may be written without what follows.
#[derive(Clone, Copy)]
struct Seam {
    ops: usize,
    bytes: usize,
}

/// What the store's writer does, as far as those who push need to know.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Writer {
    /// It will look again by itself.
    Busy,
    /// It waits for anything at all.
    Idle,
    /// It lets what nobody waits for gather, for a while.
    Patient,
}

impl<P: Payload> Pending<P> {
    #[inline]
    pub(super) fn push(&mut self, op: Op<P>) -> u64 {
        let more = match &op {
            Op::Publish { message, .. } => message.encoded_len(),
            Op::Restore { message, .. } => {
                self.marks.clear(); // one of before it was settled does not count any more
                message.encoded_len()
            }
            Op::Define { key, value } => key.len() + value.len(),
            Op::Mark { queue, position, mark } => {
                if self.bytes > MARKED_BYTES_MAX && self.mark_again(*queue, *position, *mark) {
                    return self.position;
                }
                0
            }
            _ => 0,
        };
        self.position += 1;
        self.bytes += OP_BYTES + more;
        self.ops.push(op);
        self.position
    }

    /// Changes the mark that a message has among the operations. If there is none, it is said where one will be.
    #[cold]
    fn mark_again(&mut self, queue: QueueId, position: u64, number: u64) -> bool {
        match self.marks.entry((queue, position)) {
            Entry::Occupied(at) => match self.ops.get_mut(*at.get()) {
                Some(Op::Mark { mark, .. }) => {
                    *mark = number;
                    true
                }
                _ => false,
            },
            Entry::Vacant(vacant) => {
                vacant.insert(self.ops.len());
                false
            }
        }
    }
}

impl<P> Pending<P> {
    pub(super) fn new() -> Self {
        Self {
            ops: Vec::new(),
            bytes: 0,
            position: 0,
            waiters: Vec::new(),
            groups: 0,
            held_back: Vec::new(),
            writing: 0,
            writer: Writer::Busy,
            closed: false,
            seams: Vec::new(),
            marks: HashMap::default(),
        }
    }

    /// There is something to do for the writer at once.
    pub(super) fn wake_writer(&mut self, work: &Bell) {
        if self.writer != Writer::Busy {
            self.writer = Writer::Busy; // it looks again; once called is enough
            work.ring();
        }
    }

    /// Nothing is pushed any more.
    pub(super) fn close(&mut self, work: &Bell) {
        self.closed = true;
        self.wake_writer(work);
    }

    /// Something has been pushed whole: a group may end here, if nothing else is being pushed.
    #[inline]
    pub(super) fn seam(&mut self) {
        let last = self.seams.last().map_or(0, |seam| seam.bytes);
        if self.bytes - last >= SEAM_BYTES && self.groups == 0 {
            self.seams.push(Seam { ops: self.ops.len(), bytes: self.bytes });
        }
    }

    /// Moves all of it, or what a group may have, to `group`. Those who wait may wait for what stays, so they are told with the last of it.
    pub(super) fn take(&mut self, group: &mut Group<P>) {
        group.ops.clear();
        std::mem::swap(&mut group.ops, &mut self.ops);
        let mut bytes = std::mem::take(&mut self.bytes);
        let seams = std::mem::take(&mut self.seams);
        self.marks.clear();
        let fits = seams.iter().rposition(|seam| seam.bytes <= GROUP_BYTES_MAX).unwrap_or(0);
        match seams.get(fits).filter(|seam| bytes > GROUP_BYTES_MAX && seam.ops < group.ops.len()) {
            Some(seam) => {
                self.ops.extend(group.ops.drain(seam.ops..));
                self.bytes = bytes - seam.bytes;
                bytes = seam.bytes;
                let rest = seams[fits + 1..].iter();
                self.seams.extend(rest.map(|s| Seam { ops: s.ops - seam.ops, bytes: s.bytes - seam.bytes }));
            }
            None => std::mem::swap(&mut group.waiters, &mut self.waiters),
        }
        group.position = self.position - self.ops.len() as u64;
        self.writing += bytes;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::broker::effects::Effects;
    use crate::broker::journal::{Journal, QueueId};

    /// Only its length matters.
    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Bytes(usize);

    impl Payload for Bytes {
        fn is_persistent(&self) -> bool {
            true
        }

        fn shared_id(&self) -> Option<usize> {
            None
        }

        fn encoded_len(&self) -> usize {
            self.0
        }

        fn must_be_flushed(&self) -> bool {
            false
        }

        fn weight(&self) -> u64 {
            self.0 as u64
        }

        fn write(&self, _: &mut Vec<u8>) {}

        fn read(_: &[u8]) -> Option<Self> {
            None
        }
    }

    const QUEUE: QueueId = QueueId(1);

    fn publish(position: u64, len: usize) -> Op<Bytes> {
        Op::Publish { queue: QUEUE, position, message: Bytes(len) }
    }

    fn take(journal: &Journal<Bytes>) -> Group<Bytes> {
        let mut group = Group::default();
        journal.pending.lock().take(&mut group);
        group
    }

    /// So much that a group is full with one of them more.
    const HALF: usize = GROUP_BYTES_MAX / 2 - OP_BYTES;

    #[test]
    fn a_group_has_as_many_bytes_as_it_may_and_the_next_has_the_rest() {
        let journal = Journal::new();
        for position in 1..=5 {
            journal.write().push(publish(position, HALF + usize::from(position == 3)));
        }
        let outbox = Arc::new(Outbox::new());
        assert!(journal.wait(5, &outbox));
        let mut positions = Vec::new();
        for told in [false, false, true] {
            let mut group = take(&journal);
            positions.push((group.ops.len(), group.position));
            assert_eq!(group.waiters.len(), usize::from(told), "who waits is told with the last");
            journal.commit(&mut group, &mut Effects::default());
            assert_eq!(journal.committed(), group.position);
        }
        assert_eq!(positions, [(2, 2), (1, 3), (2, 5)]);
        assert!(take(&journal).ops.is_empty());
    }

    fn mark(journal: &Journal<Bytes>, position: u64, mark: u64) -> u64 {
        journal.write().push(Op::Mark { queue: QUEUE, position, mark })
    }

    /// What the store knows of messages' marks after a group.
    fn marks(group: &Group<Bytes>) -> BTreeMap<u64, u64> {
        let mut marks = BTreeMap::new();
        for op in &group.ops {
            match *op {
                Op::Mark { position, mark, .. } => _ = marks.insert(position, mark),
                Op::Settle { first, last, .. } => marks.retain(|position, _| !(first..=last).contains(position)),
                _ => {}
            }
        }
        marks
    }

    #[test]
    fn of_many_marks_of_a_message_that_wait_the_last_is_written() {
        let journal = Journal::new();
        for count in 1..=1_000_000 {
            for position in 1..=3 {
                mark(&journal, position, count * 10 + position);
            }
        }
        let group = take(&journal);
        assert!(group.ops.len() < MARKED_BYTES_MAX / OP_BYTES + 10, "{}", group.ops.len());
        assert_eq!(marks(&group), BTreeMap::from([(1, 10_000_001), (2, 10_000_002), (3, 10_000_003)]));
        assert!(take(&journal).ops.is_empty());
        // What was taken is not changed, and what is told is durable with it.
        let position = mark(&journal, 1, 7);
        let group = take(&journal);
        assert_eq!((marks(&group), group.position), (BTreeMap::from([(1, 7)]), position));
    }

    #[test]
    fn a_message_that_is_restored_has_the_mark_that_it_gets_then() {
        let journal = Journal::new();
        journal.write().push(publish(1, MARKED_BYTES_MAX));
        mark(&journal, 1, 1);
        mark(&journal, 1, 2);
        journal.write().push(Op::Settle { queue: QUEUE, first: 1, last: 1, weight: 1 });
        journal.write().push(Op::Restore { queue: QUEUE, position: 1, message: Bytes(1) });
        let position = mark(&journal, 1, 3);
        let group = take(&journal);
        assert_eq!(marks(&group), BTreeMap::from([(1, 3)]));
        assert_eq!((group.ops.len(), group.position), (5, position));
    }

    /// What is done while the writer stays awake it is called for, as if it slept.
    #[test]
    fn a_writer_that_stays_awake_hears_what_it_is_called_for() {
        let journal = Journal::new();
        let outbox = Arc::new(Outbox::new());
        let mut group = Group::default();
        let mut looks = 0;
        let taken = journal.take(&mut group, Duration::MAX, None, |is_called| {
            looks += 1;
            assert!(!is_called(), "{looks}");
            match looks {
                1 => {
                    journal.write().push(publish(1, 10));
                }
                _ => assert!(journal.wait(1, &outbox)),
            }
            assert!(is_called(), "{looks}");
        });
        assert!(taken && looks == 2 && group.position == 1, "{taken} {looks} {}", group.position);
        let went_on = journal.take(&mut group, Duration::MAX, None, |is_called| {
            assert!(!is_called());
            journal.close();
            assert!(is_called());
        });
        assert!(!went_on);
    }

    #[test]
    fn what_belongs_together_is_one_group_whatever_it_has() {
        let journal = Journal::new();
        journal.write().push(publish(1, HALF));
        let group = journal.group();
        for position in 2..=4 {
            journal.write().push(publish(position, HALF));
        }
        drop(group);
        journal.write().push(publish(5, HALF));
        {
            let mut writing = journal.write();
            (6..=9).for_each(|position| _ = writing.push(publish(position, HALF)));
        }
        let taken = std::array::from_fn(|_| take(&journal).ops.len());
        assert_eq!(taken, [1, 3, 1, 4, 0]);
    }
}
