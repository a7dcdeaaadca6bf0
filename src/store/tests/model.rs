//! What a store must have, as plainly as it can be said.

use std::collections::BTreeMap;

use super::text::Text;
use crate::broker::journal::{Op, QueueId};

/// What has been logged.
#[derive(Clone, Default, Debug)]
pub(super) struct Logged {
    pub(super) definitions: BTreeMap<Box<[u8]>, Box<[u8]>>,
    pub(super) queues: BTreeMap<QueueId, LoggedQueue>,
}

#[derive(Clone, Default, Debug)]
pub(super) struct LoggedQueue {
    /// Messages with their marks.
    pub(super) messages: BTreeMap<u64, (Text, u64)>,
    pub(super) last: u64,
    /// The last position delivered; and as far as it was written together with something else.
    pub(super) delivered: u64,
    pub(super) delivered_written: u64,
    /// The last position delivered since the process began.
    pub(super) delivered_now: u64,
}

impl Logged {
    /// Applies a group, of which something `was_written` or nothing needed to be.
    pub(super) fn apply(&mut self, ops: &[Op<Text>], was_written: bool) {
        for op in ops {
            match op {
                Op::Define { key, value } => _ = self.definitions.insert(key.clone(), value.clone()),
                Op::Forget { key } => _ = self.definitions.remove(key),
                Op::Drop { queue } => _ = self.queues.remove(queue),
                Op::Publish { queue, position, message } => {
                    let queue = self.queues.entry(*queue).or_default();
                    queue.messages.insert(*position, (message.clone(), 0));
                    queue.last = *position;
                }
                Op::Restore { queue, position, message } => {
                    self.queues.entry(*queue).or_default().messages.insert(*position, (message.clone(), 0));
                }
                Op::Settle { queue, first, last, .. } => {
                    let queue = self.queues.entry(*queue).or_default();
                    queue.messages.retain(|position, _| !(first..=last).contains(&position));
                }
                Op::Delivered { queue, up_to } => {
                    let queue = self.queues.entry(*queue).or_default();
                    queue.delivered = queue.delivered.max(*up_to);
                    queue.delivered_now = queue.delivered_now.max(*up_to);
                }
                Op::Mark { queue, position, mark } => {
                    if let Some(marked) = self.queues.entry(*queue).or_default().messages.get_mut(position) {
                        marked.1 = *mark;
                    }
                }
            }
        }
        if was_written {
            for queue in self.queues.values_mut() {
                queue.delivered_written = queue.delivered_written.max(queue.delivered_now);
            }
        }
    }
}

/// A queue as the broker has it.
#[derive(Default, Debug)]
pub(super) struct Live {
    pub(super) durable: bool,
    pub(super) next: u64,
    pub(super) messages: BTreeMap<u64, Text>,
    /// Messages from here up to `paged` are on disk, or on their way.
    pub(super) loaded: u64,
    pub(super) paged: u64,
    /// The last position that came back; what does stays in memory.
    pub(super) restored: u64,
    /// Asked for: from, to, and how many bytes.
    pub(super) loading: Option<(u64, u64, usize)>,
    /// Settled, and the keeper does not know it yet: how many operations have to be applied until it does.
    pub(super) leaving: BTreeMap<u64, (Text, u64)>,
    pub(super) marks: BTreeMap<u64, u64>,
    pub(super) runs: usize,
}
