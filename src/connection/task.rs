//! An open connection's task: reads, handles, writes, and keeps time.
//!
//! A turn takes what waits in the outbox, writes, then reads once and handles every complete frame; effects on others are carried out
//! when the frames of that read are done. Reading and writing do not wait for each other, but reading stops while the client does
//! not take its replies, while a queue holds its publishing back, and while it is blocked by the memory alarm.

use std::future::poll_fn;
use std::io::IoSlice;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::channels::Channels;
use super::disk::DiskWait;
use super::end::{End, Refused};
use super::handshake::{Abilities, Negotiated};
use super::heartbeat::{Due, Heartbeat};
use super::scratch::{READ_CHUNK, Scratch};
use super::shared::Shared;
use crate::broker::{Forced, Hold, Outbox, Outgoing, Queue, VHost};
use crate::channel::Peer;
use crate::error::Error;
use crate::output::Output;

/// Deliveries are taken out of the outbox only while fewer bytes than this wait to be written.
const OUTPUT_LOW: usize = 64 * 1024;

/// Nothing more is handled while this many bytes of replies wait to be written: the client does not take them. Deliveries do not count,
/// so that a client that is sent large messages can still publish, ack and beat.
pub(super) const REPLIES_MAX: usize = 512 * 1024;

/// How long a queue with a backlog holds a publisher back before it is looked at again. Usually the consumers release it much earlier.
const HOLD_TIME: Duration = Duration::from_millis(10);

/// See the module.
pub(super) struct Connection<S> {
    io: S,
    pub(super) shared: Arc<Shared>,
    pub(super) vhost: Arc<VHost>,
    pub(super) peer: Peer,
    pub(super) abilities: Abilities,
    pub(super) channel_max: u16,
    pub(super) channels: Channels,
    pub(super) output: Output,
    /// Bytes of publishes that no queue holds yet.
    pub(super) pending: usize,
    /// Exclusive queues of this connection.
    pub(super) owned: Vec<Arc<Queue>>,
    /// Bytes received and not handled: the beginning of a frame, or what must wait for room in the output.
    pub(super) partial: Vec<u8>,
    /// `partial` may hold whole frames.
    stalled: bool,
    /// The memory alarm stops this connection (C-27).
    pub(super) blocked: bool,
    /// A queue holds this connection back.
    pub(super) hold: Option<Hold>,
    pub(super) disk: DiskWait,
    held_until: Option<Pin<Box<Sleep>>>,
    heartbeat: Option<Heartbeat<Instant>>,
    beat: Option<Pin<Box<Sleep>>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) fn new(io: S, shared: Arc<Shared>, negotiated: Negotiated) -> Self {
        let peer = Peer {
            id: shared.next_id(),
            user: negotiated.user,
            outbox: Arc::new(Outbox::new()),
            frame_max: negotiated.frame_max,
            cancel_notify: negotiated.abilities.consumer_cancel_notify,
            message_size_max: shared.config.message_size_max_bytes,
        };
        shared.broker.add_connection(peer.id, peer.outbox.clone());
        let heartbeat = Heartbeat::new(negotiated.heartbeat_secs, Instant::now());
        Self {
            io,
            shared,
            vhost: negotiated.vhost,
            peer,
            abilities: negotiated.abilities,
            channel_max: negotiated.channel_max,
            channels: Channels::default(),
            output: Output::default(),
            pending: 0,
            owned: Vec::new(),
            stalled: !negotiated.rest.is_empty(),
            partial: negotiated.rest,
            blocked: false,
            hold: None,
            disk: DiskWait::default(),
            held_until: None,
            beat: heartbeat.map(|_| Box::pin(sleep_until(Instant::now()))),
            heartbeat,
        }
    }

    /// Runs until the connection is over.
    pub(super) async fn run(&mut self) -> End {
        poll_fn(|cx| {
            let turn = catch_unwind(AssertUnwindSafe(|| Scratch::lend(|scratch| self.turn(cx, scratch))));
            turn.unwrap_or_else(|_| Poll::Ready(failed()))
        })
        .await
    }

    /// Gives everything back to the broker: consumers, unacked messages, exclusive queues. What is left is for the socket: what is to
    /// be written, and what has come and was not handled.
    pub(super) fn shut_down(mut self, end: &End) -> (S, Output, Vec<u8>) {
        Scratch::lend(|scratch| {
            scratch.fx.set_now(self.shared.clock.now());
            self.flush(scratch);
            self.close_channels(matches!(end, End::Closed), scratch);
            match end {
                End::Closed => self.write_close_ok(),
                End::Refused(refused) => refused.write(&mut self.output),
                End::Lost | End::Silent => {}
            }
            scratch.fx.apply();
        });
        (self.io, self.output, self.partial)
    }

    fn turn(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Poll<End> {
        scratch.fx.set_now(self.shared.clock.now());
        scratch.fx.take_logged(); // what others had logged is nothing to wait for
        let end = self.work(cx, scratch);
        if self.output.is_empty()
            && let Some(buffer) = self.output.take_buffer()
        {
            scratch.reuse(buffer);
        }
        end
    }

    fn work(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Poll<End> {
        let mut budget = READ_CHUNK;
        loop {
            let had_room = match self.take_outbox(cx, scratch) {
                Ok(had_room) => had_room,
                Err(end) => return Poll::Ready(end),
            };
            if let Poll::Ready(Err(end)) = self.write(cx) {
                return Poll::Ready(end);
            }
            if !had_room && self.has_room() {
                continue; // nobody wakes us for what was left in the outbox
            }
            if budget == 0 {
                cx.waker().wake_by_ref();
                return self.keep_time(cx);
            }
            match self.read(cx, scratch) {
                Poll::Ready(Ok(n)) => budget = budget.saturating_sub(n),
                Poll::Ready(Err(end)) => return Poll::Ready(end),
                Poll::Pending => return self.keep_time(cx),
            }
        }
    }

    fn write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        let mut wrote = false;
        while !self.output.is_empty() {
            let io = Pin::new(&mut self.io);
            let result = match self.output.plain() {
                Some(bytes) => io.poll_write(cx, bytes),
                None => {
                    let mut slices: Vec<IoSlice<'_>> = Vec::new();
                    self.output.slices(&mut slices);
                    io.poll_write_vectored(cx, &slices)
                }
            };
            match result {
                Poll::Ready(Ok(n)) if n > 0 => self.output.advance(n),
                Poll::Ready(_) => return Poll::Ready(Err(End::Lost)),
                Poll::Pending => break,
            }
            wrote = true;
        }
        if wrote && let Some(heartbeat) = &mut self.heartbeat {
            heartbeat.sent(Instant::now());
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once and handles what has come. Tells how many bytes that were.
    fn read(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Poll<Result<usize, End>> {
        if self.blocked || self.disk.makes_wait(cx) || self.output.replies_len() >= REPLIES_MAX || self.is_held(cx) {
            return Poll::Pending;
        }
        let mut input = std::mem::take(&mut scratch.input);
        let result = self.read_into(&mut input, cx, scratch);
        scratch.input = input;
        result
    }

    fn read_into(
        &mut self,
        input: &mut Vec<u8>,
        cx: &mut Context<'_>,
        scratch: &mut Scratch,
    ) -> Poll<Result<usize, End>> {
        let kept = self.partial.len();
        if input.len() < kept + READ_CHUNK {
            input.resize(kept + READ_CHUNK, 0);
        }
        input[..kept].copy_from_slice(&self.partial);
        let mut n = 0;
        if !std::mem::take(&mut self.stalled) {
            let mut buffer = ReadBuf::new(&mut input[kept..kept + READ_CHUNK]);
            match ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => n = buffer.filled().len(),
                _ => return Poll::Ready(Err(End::Lost)),
            }
            if let Some(heartbeat) = &mut self.heartbeat {
                heartbeat.received(Instant::now());
            }
        }
        let received = &input[..kept + n];
        self.begin_output(scratch);
        let handled = self.handle(received, scratch);
        self.flush(scratch);
        scratch.fx.apply();
        let taken = match handled {
            Ok(taken) => taken,
            Err(end) => return Poll::Ready(Err(end)),
        };
        self.partial.clear();
        self.partial.extend_from_slice(&received[taken..]);
        if self.partial.is_empty() {
            self.partial = Vec::new();
        }
        if self.hold.is_some() && self.held_until.is_none() {
            self.held_until = Some(Box::pin(sleep_until(Instant::now() + HOLD_TIME)));
        }
        Poll::Ready(Ok(n.max(1)))
    }

    fn is_held(&mut self, cx: &mut Context<'_>) -> bool {
        while let (Some(hold), Some(until)) = (&mut self.hold, &mut self.held_until) {
            if until.as_mut().poll(cx).is_pending() {
                return true;
            }
            if hold.goes_on() {
                until.as_mut().reset(Instant::now() + HOLD_TIME);
            } else {
                self.end_hold();
            }
        }
        false
    }

    /// Sends the heartbeats that are due and gives up a mute peer.
    fn keep_time(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let unheard =
            self.blocked || self.disk.stops() || self.hold.is_some() || self.output.replies_len() >= REPLIES_MAX;
        let (Some(heartbeat), Some(beat)) = (&mut self.heartbeat, &mut self.beat) else { return Poll::Pending };
        while beat.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if unheard {
                heartbeat.received(now); // what the peer sends meanwhile waits in the socket
            }
            match heartbeat.due(now, unheard) {
                Due::Wait(until) => beat.as_mut().reset(until),
                Due::Expired => return Poll::Ready(End::Silent),
                Due::Send => {
                    heartbeat.sent(now);
                    if self.output.is_empty() {
                        self.output.heartbeat();
                        cx.waker().wake_by_ref(); // the next turn writes it
                    }
                }
            }
        }
        Poll::Pending
    }
}

/// A bug of ours ends the connection that met it, with 541 as in RabbitMQ (C-22), and gives back what it held; no other notices.
fn failed() -> End {
    Scratch::lend(|scratch| *scratch = Scratch::default());
    End::Refused(Refused::new(&super::ConnectionError::Failed.into(), (0, 0)))
}

impl<S> Connection<S> {
    /// Takes what others have left for this connection and puts it into the output. False if deliveries were left for lack of room.
    fn take_outbox(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Result<bool, End> {
        let has_room = self.has_room();
        self.peer.outbox.take(&mut scratch.taken, has_room, cx.waker());
        if std::mem::take(&mut scratch.taken.released) {
            self.released(scratch);
        }
        if std::mem::take(&mut scratch.taken.disk_is_ready) {
            self.disk_is_ready(scratch);
        }
        self.encode_taken(scratch);
        if std::mem::take(&mut scratch.taken.timed) {
            self.check_timeouts(scratch)?;
        }
        if let Some(Forced(why)) = scratch.taken.forced.take() {
            let forced = Error::Connection(super::ConnectionError::Forced(why));
            return Err(End::Refused(Refused::new(&forced, (0, 0))));
        }
        Ok(has_room)
    }

    /// Whether the output takes deliveries.
    fn has_room(&self) -> bool {
        self.output.len() < OUTPUT_LOW
    }

    /// Empties the outbox, whatever room there is, so that nothing of a closing channel or consumer is left in it.
    pub(super) fn drain_outbox(&mut self, scratch: &mut Scratch) {
        self.peer.outbox.take_items(&mut scratch.taken);
        self.encode_taken(scratch);
    }

    fn encode_taken(&mut self, scratch: &mut Scratch) {
        if scratch.taken.items.is_empty() {
            return;
        }
        self.begin_output(scratch);
        for item in scratch.taken.items.drain(..) {
            match item {
                Outgoing::Deliver(delivery) => {
                    if let Some(channel) = self.channels.open(delivery.channel) {
                        let (broker, fx) = (&self.shared.broker, &mut scratch.fx);
                        channel.deliver(delivery, broker, &self.peer, &mut self.output, fx);
                    }
                }
                Outgoing::Cancelled { channel, subscription } => {
                    if let Some(channel) = self.channels.open(channel) {
                        channel.consumer_cancelled(subscription, &self.peer, &mut self.output);
                    }
                }
            }
        }
        for (queue, consumer) in scratch.taken.parked.drain(..) {
            queue.resume(consumer, &mut scratch.fx);
        }
        scratch.fx.apply();
    }

    /// The output gets a buffer to write into, if it has none.
    pub(super) fn begin_output(&mut self, scratch: &mut Scratch) {
        if !self.output.has_buffer() {
            self.output = Output::with_buffer(scratch.buffer());
        }
    }

    fn end_hold(&mut self) {
        self.hold = None;
        self.held_until = None;
    }

    /// Frames that were received must wait: the output is full or the memory alarm is on.
    pub(super) fn stall(&mut self) {
        self.stalled = true;
    }

    /// These frames, received before those that were not handled, may go on.
    pub(super) fn resume_with(&mut self, mut frames: Vec<u8>) {
        frames.append(&mut self.partial);
        self.partial = frames;
        self.stall();
    }

    /// The queue that held this connection back has room, or the memory alarm has cleared; it may be back already.
    fn released(&mut self, scratch: &mut Scratch) {
        self.end_hold();
        if !self.blocked {
            return;
        }
        if !self.shared.broker.memory().block(&self.peer.outbox, &mut scratch.fx) {
            self.unblock();
            if let Some(heartbeat) = &mut self.heartbeat {
                heartbeat.received(Instant::now());
            }
        }
        scratch.fx.apply();
    }
}
