//! What each frame does to the connection: channels are opened, closed and handed their commands; errors end one or the other.

use bytes::Bytes;
use leveret_protocol::frame::{self, kind};
use leveret_protocol::method::{basic, channel, connection};
use leveret_protocol::{Content, Frame, Method, State, Step, whole_publish};

use super::channels::Slot;
use super::disk::may_be_logged;
use super::end::{End, Refused};
use super::error::{ConnectionError, method_named};
use super::scratch::Scratch;
use super::task::{Connection, REPLIES_MAX};
use crate::broker::Body;
use crate::channel::{Channel, ChannelError, PENDING_BYTES_MAX, Publish, Session};
use crate::error::Error;

/// Lends the parts of a connection and the scratch that a channel works with.
macro_rules! session {
    ($connection:ident, $scratch:ident) => {
        Session {
            broker: &$connection.shared.broker,
            vhost: &$connection.vhost,
            peer: &$connection.peer,
            out: &mut $connection.output,
            batch: &mut $scratch.batch,
            fx: &mut $scratch.fx,
            bytes: &mut $scratch.message,
            route: &mut $scratch.route,
            hold: &mut $connection.hold,
            pending: &mut $connection.pending,
            owned: &mut $connection.owned,
            later: &mut $connection.disk.later,
        }
    };
}

/// First octets of the payload of a basic.publish: class 60, method 40.
const PUBLISH: [u8; 4] = [0, 60, 0, 40];

impl<S> Connection<S> {
    /// Handles the complete frames at the front of `input` and tells how many bytes they take.
    pub(super) fn handle(&mut self, input: &[u8], scratch: &mut Scratch) -> Result<usize, End> {
        let written = self.output.len();
        let handled = match self.disk.goes_round {
            false => self.handle_frames(input, written, scratch),
            true => self.handle_others(input, written, scratch),
        };
        self.output.count_replies(written);
        self.channels.just_closed.clear();
        handled
    }

    /// `written` is the length of the output before.
    pub(super) fn handle_frames(&mut self, input: &[u8], written: usize, scratch: &mut Scratch) -> Result<usize, End> {
        let mut at = 0;
        while !self.blocked
            && !self.disk.stops()
            && self.output.replies_len() + self.output.len() - written < REPLIES_MAX
        {
            let rest = &input[at..];
            let decoded = frame::decode(rest, self.peer.frame_max);
            let (frame, len) = match decoded {
                Ok(Some(decoded)) => decoded,
                Ok(None) => return Ok(at),
                Err(error) => return Err(self.refuse(ConnectionError::frame(error, rest).into(), (0, 0), scratch)),
            };
            at += len;
            match self.frame(&frame, &input[at..], scratch) {
                Ok(_) if self.disk.later => at -= len,
                Ok(behind) => at += behind,
                Err(end) => {
                    self.partial = input[at..].to_vec();
                    return Err(end);
                }
            }
            if scratch.batch.is_full() {
                self.flush(scratch);
            }
        }
        self.stall();
        Ok(at)
    }

    /// Hands the batch to the queues and sends the confirms of its publishes.
    pub(super) fn flush(&mut self, scratch: &mut Scratch) {
        if scratch.batch.is_empty() {
            return;
        }
        if let Some(hold) = scratch.batch.apply(&self.peer.outbox, &mut scratch.fx) {
            self.hold = Some(hold);
        }
        if scratch.fx.has_letters() {
            scratch.fx.apply(); // so that what the client asks next finds them
        }
        for (number, publish) in scratch.batch.take_refused() {
            if let Some(channel) = self.channels.open(number) {
                channel.refuse(publish);
            }
        }
        let confirming = scratch.batch.take_confirming();
        self.confirm(&confirming, scratch);
        scratch.batch.reuse_confirming(confirming);
        for number in scratch.batch.take_resuming() {
            if let Some(channel) = self.channels.open(number) {
                channel.resume_consumers(&mut scratch.fx);
            }
        }
    }

    /// Handles a frame, and perhaps the content right behind it. Tells how many bytes of `behind` that took.
    #[inline]
    fn frame(&mut self, frame: &Frame<'_>, behind: &[u8], scratch: &mut Scratch) -> Result<usize, End> {
        if frame.kind == kind::METHOD
            && frame.payload.starts_with(&PUBLISH)
            && let Some(taken) = self.publish_at_once(frame, behind, scratch)?
        {
            return Ok(taken);
        }
        if frame.channel == 0 || frame.kind == kind::HEARTBEAT {
            self.frame_on_0(frame, scratch)?;
        } else {
            self.frame_on_channel(frame, scratch)?;
        }
        Ok(0)
    }

    /// The short way of a publish whose frames have all arrived; none if they have not, or something is wrong with them.
    #[inline]
    fn publish_at_once(
        &mut self,
        frame: &Frame<'_>,
        behind: &[u8],
        scratch: &mut Scratch,
    ) -> Result<Option<usize>, End> {
        let Some(channel) = self.channels.open(frame.channel) else { return Ok(None) };
        if channel.assembler.state() != State::Method {
            return Ok(None);
        }
        let Some((header, body, taken)) = whole_publish(behind, frame.channel, self.peer.frame_max) else {
            return Ok(None);
        };
        let Ok(Method::BasicPublish(method)) = Method::decode(frame.payload) else { return Ok(None) };
        let body = Body::Borrowed(body);
        let publish = Publish { method, properties: header.properties, body_size: header.body_size, body };
        let result = channel.publish(publish, &mut session!(self, scratch));
        self.published(frame.channel, result, scratch)?;
        Ok(Some(taken))
    }

    /// After a publish: its error closes the channel, and the memory alarm stops the publisher (C-27).
    #[inline]
    fn published(&mut self, channel: u16, result: Result<(), Error>, scratch: &mut Scratch) -> Result<(), End> {
        if let Err(error) = result {
            return self.fail(channel, &error, (60, 40), scratch);
        }
        if self.shared.broker.memory().alarm() {
            self.block(scratch);
        }
        Ok(())
    }

    fn frame_on_0(&mut self, frame: &Frame<'_>, scratch: &mut Scratch) -> Result<(), End> {
        let refused = match frame.kind {
            kind::HEARTBEAT if frame.channel != 0 => ConnectionError::unexpected_frame(frame),
            kind::HEARTBEAT if frame.payload.is_empty() => return Ok(()),
            kind::METHOD => return self.connection_method(frame, scratch),
            _ => ConnectionError::not_on_0(frame),
        };
        Err(self.refuse(refused.into(), (0, 0), scratch))
    }

    fn connection_method(&mut self, frame: &Frame<'_>, scratch: &mut Scratch) -> Result<(), End> {
        match Method::decode(frame.payload) {
            Ok(Method::ConnectionClose(_)) => Err(End::Closed),
            Ok(Method::ConnectionUpdateSecret(_)) => {
                self.output.method(0, &Method::ConnectionUpdateSecretOk(connection::UpdateSecretOk {}));
                Ok(())
            }
            Ok(_) => {
                Err(self.refuse(ConnectionError::UnexpectedMethod("running").into(), method_named(frame), scratch))
            }
            Err(error) => {
                let error = ConnectionError::assembly(error.into(), frame);
                Err(self.refuse(error.into(), method_named(frame), scratch))
            }
        }
    }

    fn frame_on_channel(&mut self, frame: &Frame<'_>, scratch: &mut Scratch) -> Result<(), End> {
        let limit = self.peer.message_size_max;
        let Some(slot) = self.channels.slot(frame.channel) else { return self.frame_on_unopened(frame, scratch) };
        let Slot::Open(channel) = slot else { return self.frame_on_closing(frame, scratch) };
        if frame.kind == kind::METHOD
            && channel.assembler.state() == State::Method
            && let Ok(method) = Method::decode(frame.payload)
            && !method.has_content()
        {
            return self.channel_method(frame.channel, method, scratch);
        }
        let pending = channel.assembler.capacity();
        let step = match channel.assembler.frame(frame, limit) {
            Ok(step) => step,
            Err(error) => {
                let method = error.method().map_or((0, 0), |id| (id.class, id.method));
                return Err(self.refuse(ConnectionError::assembly(error, frame).into(), method, scratch));
            }
        };
        match step {
            Step::More | Step::Method(_) => {
                self.pending = self.pending + channel.assembler.capacity() - pending;
                if self.pending > PENDING_BYTES_MAX {
                    let error = ChannelError::TooMuchPending(PENDING_BYTES_MAX).into();
                    return Err(self.refuse(error, (60, 40), scratch));
                }
                Ok(())
            }
            Step::Content(content) => {
                let Content { method, properties, body_size, body, .. } = content;
                let id = method.id();
                let Method::BasicPublish(method) = method else {
                    let error = ChannelError::Unimplemented.into();
                    return Err(self.refuse(error, (id.class, id.method), scratch));
                };
                // The assembler's buffers are lent to the publish, so the channel gives them up for its time.
                let (exchange, routing_key) = (method.exchange.to_vec(), method.routing_key.to_vec());
                let method = basic::Publish { exchange: &exchange, routing_key: &routing_key, ..method };
                let properties = properties.to_vec();
                let body = Body::Owned(Bytes::from(body.into_owned()));
                self.pending = self.pending + channel.assembler.capacity() - pending;
                let publish = Publish { method, properties: &properties, body_size, body };
                let result = channel.publish(publish, &mut session!(self, scratch));
                self.published(frame.channel, result, scratch)
            }
        }
    }

    /// A channel that is not open takes channel.open only (C-26), while the number of channels allows it (C-20).
    fn frame_on_unopened(&mut self, frame: &Frame<'_>, scratch: &mut Scratch) -> Result<(), End> {
        let refused = if self.channels.just_closed.contains(&frame.channel) {
            ConnectionError::SecondChannelOpen
        } else if self.channel_max != 0 && self.channels.len() >= usize::from(self.channel_max) {
            ConnectionError::TooManyChannels(self.channel_max)
        } else {
            match Channel::new(frame.channel).assembler.frame(frame, 0) {
                Ok(Step::Method(Method::ChannelOpen(_))) => {
                    self.channels.insert(frame.channel);
                    let ok = channel::OpenOk::default();
                    self.output.method(frame.channel, &Method::ChannelOpenOk(ok));
                    return Ok(());
                }
                Ok(_) => ConnectionError::ExpectedChannelOpen,
                Err(error) => ConnectionError::assembly(error, frame),
            }
        };
        let method = if matches!(refused, ConnectionError::InvalidUtf8) { (0, 0) } else { method_named(frame) };
        Err(self.refuse(refused.into(), method, scratch))
    }

    fn frame_on_closing(&mut self, frame: &Frame<'_>, scratch: &mut Scratch) -> Result<(), End> {
        if frame.kind != kind::METHOD {
            return match frame.kind {
                kind::HEADER | kind::BODY => Ok(()),
                _ => Err(self.refuse(ConnectionError::unknown_frame(frame).into(), (0, 0), scratch)),
            };
        }
        match Method::decode(frame.payload) {
            Ok(Method::ChannelCloseOk(_)) => self.channels.remove(frame.channel),
            Ok(Method::ChannelClose(_)) => {
                self.output.method(frame.channel, &Method::ChannelCloseOk(channel::CloseOk {}));
            }
            Ok(Method::ChannelOpen(_)) => {
                return Err(self.refuse(ConnectionError::SecondChannelOpen.into(), (20, 10), scratch));
            }
            Ok(_) => {}
            Err(error) => {
                let error = ConnectionError::assembly(error.into(), frame);
                return Err(self.refuse(error.into(), method_named(frame), scratch));
            }
        }
        Ok(())
    }

    fn channel_method(&mut self, number: u16, method: Method<'_>, scratch: &mut Scratch) -> Result<(), End> {
        let id = method.id();
        let settles = matches!(method, Method::BasicAck(_) | Method::BasicNack(_) | Method::BasicReject(_));
        if !settles {
            self.flush(scratch);
        }
        let output = may_be_logged(id).then(|| {
            scratch.fx.take_logged(); // what came before needs no answer, or has it
            std::mem::take(&mut self.output)
        });
        let result = match method {
            Method::ChannelOpen(_) => Err(ConnectionError::SecondChannelOpen.into()),
            Method::ChannelClose(_) => {
                self.close_channel(number, scratch);
                self.channels.remove(number);
                self.channels.just_closed.push(number);
                self.output.method(number, &Method::ChannelCloseOk(channel::CloseOk {}));
                Ok(())
            }
            Method::BasicCancel(_) => self.cancel(number, method, scratch),
            method => match self.channels.open(number) {
                Some(channel) => channel.handle(method, &mut session!(self, scratch)),
                None => Ok(()),
            },
        };
        if let Some(output) = output {
            let reply = std::mem::replace(&mut self.output, output);
            self.answer(number, reply, &result, scratch);
        }
        for note in scratch.fx.take_notes() {
            tracing::warn!(?note);
        }
        match result {
            Ok(()) => Ok(()),
            Err(error) => self.fail(number, &error, (id.class, id.method), scratch),
        }
    }

    /// basic.cancel: what the outbox holds for the consumer goes out before cancel-ok (S-06).
    fn cancel(&mut self, number: u16, method: Method<'_>, scratch: &mut Scratch) -> Result<(), Error> {
        if let Some(channel) = self.channels.open(number) {
            channel.handle(method, &mut session!(self, scratch))?;
        }
        self.drain_outbox(scratch);
        if let Some(channel) = self.channels.open(number) {
            channel.finish_cancel(&mut session!(self, scratch));
        }
        Ok(())
    }

    /// A moment has come at which a client should have settled something.
    pub(super) fn check_timeouts(&mut self, scratch: &mut Scratch) -> Result<(), End> {
        let numbers = self.channels.numbers();
        self.begin_output(scratch);
        for number in numbers {
            let Some(channel) = self.channels.open(number) else { continue };
            if let Err(error) = channel.check_timeouts(&mut session!(self, scratch)) {
                self.fail(number, &error, (0, 0), scratch)?;
            }
        }
        scratch.fx.apply();
        Ok(())
    }

    /// Ends a channel or the connection because of an error (C-22, M-26).
    fn fail(&mut self, number: u16, error: &Error, method: (u16, u16), scratch: &mut Scratch) -> Result<(), End> {
        if error.code().is_hard() {
            self.flush(scratch);
            return Err(End::Refused(Refused::new(error, method)));
        }
        self.flush(scratch);
        self.close_channel(number, scratch);
        self.channels.set_closing(number);
        let text = error.text();
        tracing::warn!(channel = number, error = %text, "channel closed");
        let (class_id, method_id) = method;
        let close = channel::Close { reply_code: error.code().as_u16(), reply_text: &text, class_id, method_id };
        self.output.method(number, &Method::ChannelClose(close));
        Ok(())
    }

    fn refuse(&mut self, error: Error, method: (u16, u16), scratch: &mut Scratch) -> End {
        self.flush(scratch);
        End::Refused(Refused::new(&error, method))
    }

    /// Takes a channel's consumers off their queues, sends what was on its way and puts back what is unacked.
    fn close_channel(&mut self, number: u16, scratch: &mut Scratch) {
        if let Some(channel) = self.channels.open(number) {
            channel.stop_consumers(&mut session!(self, scratch));
        }
        self.drain_outbox(scratch);
        if let Some(channel) = self.channels.open(number) {
            channel.requeue_unacked(&mut session!(self, scratch));
            channel.leave_queues(&mut session!(self, scratch));
            self.pending -= channel.pending_bytes();
        }
    }

    /// Gives back all that the connection holds. With `deliver` what is on its way is sent first (C-21).
    pub(super) fn close_channels(&mut self, deliver: bool, scratch: &mut Scratch) {
        let numbers = self.channels.numbers();
        for number in numbers {
            if let Some(channel) = self.channels.open(number) {
                channel.stop_consumers(&mut session!(self, scratch));
            }
        }
        if deliver {
            self.drain_outbox(scratch);
        }
        let undelivered = self.peer.outbox.close();
        let mut channels = self.channels.take_open();
        for channel in &mut channels {
            channel.requeue_unacked(&mut session!(self, scratch));
        }
        for item in undelivered.items {
            if let crate::broker::Outgoing::Deliver(delivery) = item
                && let Some(channel) = channels.iter_mut().find(|channel| channel.number() == delivery.channel)
            {
                channel.take_back(delivery, &mut scratch.fx);
            }
        }
        for channel in &mut channels {
            channel.leave_queues(&mut session!(self, scratch));
        }
        for queue in std::mem::take(&mut self.owned) {
            self.vhost.delete_owned(&queue, &mut scratch.fx);
        }
        self.shared.broker.remove_connection(self.peer.id);
    }

    /// The memory alarm is on and this connection publishes: it is told, and not read any more (C-27).
    fn block(&mut self, scratch: &mut Scratch) {
        self.flush(scratch);
        if !self.shared.broker.memory().block(&self.peer.outbox, &mut scratch.fx) {
            return;
        }
        self.blocked = true;
        if self.abilities.connection_blocked {
            self.output.method(
                0,
                &Method::ConnectionBlocked(connection::Blocked { reason: self.shared.broker.memory().alarm_reason() }),
            );
        }
    }

    pub(super) fn unblock(&mut self) {
        self.blocked = false;
        if self.abilities.connection_blocked {
            self.output.method(0, &Method::ConnectionUnblocked(connection::Unblocked {}));
        }
    }

    pub(super) fn write_close_ok(&mut self) {
        self.output.method(0, &Method::ConnectionCloseOk(connection::CloseOk {}));
    }
}
