//! What a connection waits for on disk: confirms and replies until they are durable, a first message until it has been read.

use leveret_protocol::method::MethodId;

use super::scratch::Scratch;
use super::task::Connection;
use crate::error::Error;
use crate::output::Output;

/// See the module.
#[derive(Default)]
pub(super) struct DiskWait {
    /// Channels with publishes that are not durable yet.
    confirming: Vec<u16>,
    /// The answer to a method, and the journal's position at which its change is durable. Nothing behind it is handled before.
    reply: Option<(u64, Output)>,
    /// The next frame needs what is on its way from disk.
    pub(super) later: bool,
}

impl DiskWait {
    /// Whether no more frames may be handled.
    #[inline]
    pub(super) fn stops(&self) -> bool {
        self.later || self.reply.is_some()
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
        if waits
            && let Some(journal) = self.shared.broker.journal()
            && !journal.wait(logged, &self.peer.outbox)
        {
            self.send_confirms();
        }
    }

    /// Sends the answer to a method; if what it changed is not durable yet, when it is. Where no answer is wanted (nowait), the
    /// client is only made to wait when the disk is behind.
    pub(super) fn answer(&mut self, reply: Output, result: &Result<(), Error>, scratch: &mut Scratch) {
        let logged = scratch.fx.take_logged();
        if result.is_ok()
            && logged > 0
            && let Some(journal) = self.shared.broker.journal()
            && (!reply.is_empty() || journal.is_behind())
            && journal.wait(logged, &self.peer.outbox)
        {
            self.disk.reply = Some((logged, reply));
        } else {
            self.output.append(reply);
        }
    }

    /// Something is durable now, or has come from disk.
    pub(super) fn disk_is_ready(&mut self, scratch: &mut Scratch) {
        self.disk.later = false;
        let committed = self.committed();
        if let Some((_, reply)) = self.disk.reply.take_if(|(logged, _)| *logged <= committed) {
            self.begin_output(scratch);
            let before = self.output.len();
            self.output.append(reply);
            self.output.count_replies(before);
        }
        if !self.disk.confirming.is_empty() {
            self.begin_output(scratch);
            self.send_confirms();
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
