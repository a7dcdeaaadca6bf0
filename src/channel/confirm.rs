//! Publisher confirms: every publish of a confirm channel has a number, and acks go out in order, coalesced (P-04, P-05). What is to
//! survive a restart is confirmed once it is durable, and nothing overtakes it.

use std::collections::VecDeque;

use leveret_protocol::Method;
use leveret_protocol::method::{basic, confirm};

use super::{Channel, ChannelError, Mode, Session};
use crate::error::Error;
use crate::output::Output;

/// Numbers of publishes on a confirm channel.
#[derive(Default)]
pub(super) struct Confirms {
    published: u64,
    confirmed: u64,
    /// Publishes that a queue refused and the client has not been told of (P-06), in order.
    refused: VecDeque<u64>,
    /// Positions of the journal, and the last publish that is confirmed once each is durable; both only grow.
    waiting: VecDeque<(u64, u64)>,
}

impl Confirms {
    /// Counts a publish. Gives its number.
    pub(super) fn count(&mut self) -> u64 {
        self.published += 1;
        self.published
    }

    /// Tells of everything up to `last`: nacks what was refused, acks the rest.
    fn tell(&mut self, last: u64, channel: u16, out: &mut Output) {
        while let Some(refused) = self.refused.front().copied().filter(|refused| *refused <= last) {
            self.refused.pop_front();
            self.ack(refused - 1, channel, out);
            self.confirmed = refused;
            let nack = basic::Nack { delivery_tag: refused, multiple: false, requeue: false };
            out.method(channel, &Method::BasicNack(nack));
        }
        self.ack(last, channel, out);
    }

    /// Acks everything up to `last`.
    fn ack(&mut self, last: u64, channel: u16, out: &mut Output) {
        let waiting = last - self.confirmed;
        if waiting > 0 {
            self.confirmed = last;
            let ack = basic::Ack { delivery_tag: last, multiple: waiting > 1 };
            out.method(channel, &Method::BasicAck(ack));
        }
    }
}

impl Channel {
    pub(super) fn confirm_select(&mut self, nowait: bool, s: &mut Session<'_>) -> Result<(), Error> {
        match self.mode {
            Mode::Transaction(_) => return Err(ChannelError::TxToConfirm.into()),
            Mode::Plain => self.mode = Mode::Confirm(Confirms::default()),
            Mode::Confirm(_) => {}
        }
        if !nowait {
            s.out.method(self.number, &Method::ConfirmSelectOk(confirm::SelectOk {}));
        }
        Ok(())
    }

    /// A queue has refused this publish, later than all of which this was said before.
    pub fn refuse(&mut self, publish: u64) {
        if let Mode::Confirm(confirms) = &mut self.mode {
            confirms.refused.push_back(publish);
        }
    }

    /// All publishes so far have been taken or refused by their queues, and are durable once the journal has committed `logged`: tells
    /// the client, at once if that is so. True if it must wait.
    pub fn confirm_when(&mut self, logged: u64, committed: u64, out: &mut Output) -> bool {
        let Mode::Confirm(confirms) = &mut self.mode else { return false };
        if confirms.waiting.is_empty() && logged <= committed {
            confirms.tell(confirms.published, self.number, out);
            return false;
        }
        let after = confirms.waiting.back().map_or(0, |(position, _)| *position);
        confirms.waiting.push_back((logged.max(after), confirms.published));
        true
    }

    /// The journal has committed this position: tells the client what that confirms. True if more must wait.
    pub fn committed(&mut self, committed: u64, out: &mut Output) -> bool {
        let Mode::Confirm(confirms) = &mut self.mode else { return false };
        let mut last = None;
        while let Some((_, published)) = confirms.waiting.front().filter(|(position, _)| *position <= committed) {
            last = Some(*published);
            confirms.waiting.pop_front();
        }
        if let Some(last) = last {
            confirms.tell(last, self.number, out);
        }
        !confirms.waiting.is_empty()
    }
}
