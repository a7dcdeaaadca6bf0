//! What a connection waits for on disk: confirms and replies until they are durable, a first message until it has been read.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use leveret_protocol::frame;
use leveret_protocol::method::MethodId;
use tokio::time::{Sleep, sleep};

use super::end::End;
use super::scratch::Scratch;
use super::task::Connection;
use crate::error::Error;
use crate::output::Output;
use crate::socket::waits_for_disk;

/// See the module.
#[derive(Default)]
pub(super) struct DiskWait {
    /// Channels with publishes that are not durable yet.
    confirming: Vec<u16>,
    /// Answers to methods whose changes are not durable yet, in order. Nothing behind one is handled before.
    replies: Vec<Reply>,
    /// Since the first of them waits.
    patience: Option<Pin<Box<Sleep>>>,
    /// They wait for long, as for a disk that is full: other channels go on.
    pub(super) goes_round: bool,
    /// Frames of the channels whose answers wait, in order.
    behind: Vec<u8>,
    /// The next frame needs what is on its way from disk.
    pub(super) later: bool,
}

/// The answer to a method, and the journal's position at which its change is durable.
struct Reply {
    channel: u16,
    logged: u64,
    output: Output,
}

/// Nothing of a connection is handled behind an answer that waits, unless it waits longer than this: then nothing of its channel.
const PATIENCE: Duration = Duration::from_secs(1);

/// So many bytes of frames may wait behind answers.
const BEHIND_MAX: usize = 64 * 1024;

impl DiskWait {
    /// Whether no more frames may be handled.
    #[inline]
    pub(super) fn stops(&self) -> bool {
        self.later || !self.replies.is_empty() && (!self.goes_round || self.behind.len() >= BEHIND_MAX)
    }

    /// The same; wakes the connection when others may go on.
    #[inline]
    pub(super) fn makes_wait(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.replies.is_empty() && !self.goes_round {
            let patience = self.patience.get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
            self.goes_round = patience.as_mut().poll(cx).is_ready();
        }
        self.stops()
    }

    /// Keeps a frame for later if its channel waits for an answer.
    pub(super) fn keeps(&mut self, channel: u16, frame: &[u8]) -> bool {
        let waits = self.replies.iter().any(|reply| reply.channel == channel);
        if waits {
            self.behind.extend_from_slice(frame);
        }
        waits
    }
}

/// Whether a method may change what survives a restart: those of exchanges and queues, and tx.commit.
pub(super) fn may_be_logged(id: MethodId) -> bool {
    matches!((id.class, id.method), (40 | 50, _) | (90, 20))
}

impl<S> Connection<S> {
    /// All publishes so far are with their queues: confirms those that need not become durable, and the others when they are.
    pub(super) fn confirm(&mut self, channels: &[u16], scratch: &mut Scratch) {
        let logged = scratch.fx.take_logged();
        let committed = self.committed();
        let mut waits = false;
        for number in channels {
            if let Some(channel) = self.channels.open(*number)
                && channel.confirm_when(logged, committed, &mut self.output)
            {
                waits = true;
                if !self.disk.confirming.contains(number) {
                    self.disk.confirming.push(*number);
                }
            }
        }
        if waits && let Some(journal) = self.shared.broker.journal() {
            match journal.wait(logged, &self.peer.outbox) {
                true => waits_for_disk(logged),
                false => self.send_confirms(),
            }
        }
    }

    /// Sends the answer to a method; if what it changed is not durable yet, when it is. Where no answer is wanted (nowait), the
    /// client is only made to wait when the disk is behind.
    pub(super) fn answer(&mut self, channel: u16, reply: Output, result: &Result<(), Error>, scratch: &mut Scratch) {
        let logged = scratch.fx.take_logged();
        if result.is_ok()
            && logged > 0
            && let Some(journal) = self.shared.broker.journal()
            && (!reply.is_empty() || journal.is_behind())
            && journal.wait(logged, &self.peer.outbox)
        {
            waits_for_disk(logged);
            self.disk.replies.push(Reply { channel, logged, output: reply });
        } else {
            self.output.append(reply);
        }
    }

    /// Handles frames as usual, but those of channels that wait for an answer are kept for later. `written` is the length of the output before.
    pub(super) fn handle_others(&mut self, input: &[u8], written: usize, scratch: &mut Scratch) -> Result<usize, End> {
        let mut at = 0;
        while let Ok(Some((frame, len))) = frame::decode(&input[at..], self.peer.frame_max)
            && !self.disk.stops()
        {
            let end = at + len;
            if !self.disk.keeps(frame.channel, &input[at..end]) {
                let handled = self.handle_frames(&input[at..end], written, scratch);
                if handled.inspect_err(|_| self.partial = input[end..].to_vec())? == 0 {
                    return Ok(at);
                }
            }
            at = end;
        }
        self.handle_frames(&input[at..], written, scratch).map(|taken| at + taken)
    }

    /// Something is durable now, or has come from disk.
    pub(super) fn disk_is_ready(&mut self, scratch: &mut Scratch) {
        self.disk.later = false;
        let committed = self.committed();
        if !self.disk.replies.is_empty() {
            self.send_replies(committed, scratch);
        }
        if !self.disk.confirming.is_empty() {
            self.begin_output(scratch);
            self.send_confirms();
        }
    }

    fn send_replies(&mut self, committed: u64, scratch: &mut Scratch) {
        let ready: Vec<_> = self.disk.replies.extract_if(.., |reply| reply.logged <= committed).collect();
        if ready.is_empty() {
            return;
        }
        self.begin_output(scratch);
        let before = self.output.len();
        ready.into_iter().for_each(|reply| self.output.append(reply.output));
        self.output.count_replies(before);
        self.disk.patience = None;
        self.disk.goes_round &= !self.disk.replies.is_empty();
        if !self.disk.behind.is_empty() {
            let behind = std::mem::take(&mut self.disk.behind);
            self.resume_with(behind);
        }
    }

    fn send_confirms(&mut self) {
        let committed = self.committed();
        let mut confirming = std::mem::take(&mut self.disk.confirming);
        confirming.retain(|number| {
            self.channels.open(*number).is_some_and(|channel| channel.committed(committed, &mut self.output))
        });
        self.disk.confirming = confirming;
    }

    fn committed(&self) -> u64 {
        self.shared.broker.journal().map_or(u64::MAX, |journal| journal.committed())
    }
}
