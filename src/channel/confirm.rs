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
}

impl Confirms {
    /// Counts a publish.
    pub(super) fn count(&mut self) {
        self.published += 1;
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

    /// All publishes so far have been taken by their queues: tells the client.
    pub fn send_confirms(&mut self, out: &mut Output) {
        let Mode::Confirm(confirms) = &mut self.mode else { return };
        let waiting = confirms.published - confirms.confirmed;
        if waiting > 0 {
            confirms.confirmed = confirms.published;
            let ack = basic::Ack { delivery_tag: confirms.published, multiple: waiting > 1 };
            out.method(self.number, &Method::BasicAck(ack));
        }
    }
}
