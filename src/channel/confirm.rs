//! Publisher confirms: every publish of a confirm channel has a number, and acks go out in order, coalesced (P-04, P-05).

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
    /// Publishes that a queue refused and the client has not been told of (P-06).
    refused: Vec<u64>,
}

impl Confirms {
    /// Counts a publish.
    pub(super) fn count(&mut self) {
        self.published += 1;
    }

    /// The last publish was refused.
    pub(super) fn refuse(&mut self) {
        self.refused.push(self.published);
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

    /// All publishes so far have been taken or refused by their queues: tells the client.
    pub fn send_confirms(&mut self, out: &mut Output) {
        let Mode::Confirm(confirms) = &mut self.mode else { return };
        for refused in std::mem::take(&mut confirms.refused) {
            confirms.ack(refused - 1, self.number, out);
            confirms.confirmed = refused;
            let nack = basic::Nack { delivery_tag: refused, multiple: false, requeue: false };
            out.method(self.number, &Method::BasicNack(nack));
        }
        confirms.ack(confirms.published, self.number, out);
    }
}
