//! Dead letters: what becomes of messages that a queue gives up.
//!
//! A queue hands them over as [`Letter`]s, which leave its lock with the [`Effects`]. Here each is made into a new message and published
//! to the queue's dead-letter exchange; what that kills again comes back the same way, never by recursion.

mod deaths;
mod letter;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use leveret_protocol::{BasicProperties, Table};

pub(super) use self::deaths::Deaths;
use self::letter::Addressed;
use super::effects::Effects;
use super::exchange::RoutingKeys;
use super::message::Message;
use super::queue::Queue;
use super::topology::RouteScratch;
use super::vhost::{Found, VHost};

/// Why a queue gave a message up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// `basic.reject` or `basic.nack` without requeue.
    Rejected,
    /// Its time to live was over.
    Expired,
    /// The queue was full.
    MaxLength,
    /// It failed more often than the queue allows.
    DeliveryLimit,
}

impl Reason {
    /// The word in `x-death`.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::MaxLength => "maxlen",
            Self::DeliveryLimit => "delivery_limit",
        }
    }
}

/// Where a queue's dead letters go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// The dead-letter exchange; it need not exist.
    pub(super) exchange: Box<[u8]>,
    /// The routing key; without one a message keeps its own.
    pub(super) routing_key: Option<Box<[u8]>>,
}

/// A dead message on its way.
pub(super) struct Letter {
    /// The queue that gave it up.
    pub(super) queue: Arc<Queue>,
    /// Where it goes.
    pub(super) to: Arc<Address>,
    /// Why.
    pub(super) reason: Reason,
    /// As it was.
    pub(super) message: Message,
    /// Failed deliveries so far.
    pub(super) failed: u32,
    /// Its position, if the queue keeps it until another has it (at least once).
    pub(super) kept: Option<u64>,
}

/// What became of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Every queue on its way has it, or it would have gone in circles.
    Done,
    /// No queue was on its way, or one refused it.
    Failed,
}

/// Publishes letters in order, each queue's lock taken by itself.
pub(super) fn publish(letters: Vec<Letter>, fx: &mut Effects) {
    let mut scratch = RouteScratch::default();
    let mut found = Found::default();
    let mut post = Post::default();
    for letter in letters {
        let Some(vhost) = letter.queue.vhost() else { continue };
        let outcome = deliver(&vhost, &letter, &mut scratch, &mut found, &mut post, fx);
        if let Some(position) = letter.kept {
            post.flush(fx);
            letter.queue.letter_done(position, outcome == Outcome::Done, fx);
        }
    }
    post.flush(fx);
}

fn deliver(
    vhost: &VHost,
    letter: &Letter,
    scratch: &mut RouteScratch,
    found: &mut Found,
    post: &mut Post,
    fx: &mut Effects,
) -> Outcome {
    let addressed = Addressed::new(letter, fx.now(), vhost.compat());
    let others: Vec<&[u8]> = addressed.cc.iter().chain(&addressed.bcc).copied().collect();
    let keys = RoutingKeys { main: addressed.routing_key, others: &others };
    let headers = BasicProperties::decode(&addressed.properties).ok().and_then(|properties| properties.headers);
    if vhost.route(&letter.to.exchange, &keys, Some(headers.unwrap_or(Table::EMPTY)), scratch, found).is_err() {
        return Outcome::Failed;
    }
    let routed = found.queues.len();
    found.queues.retain(|queue| !addressed.deaths.is_cycle(&queue.name));
    if found.queues.is_empty() {
        return if routed > 0 { Outcome::Done } else { Outcome::Failed };
    }
    let message = addressed.message(found.queues.len());
    let mut outcome = Outcome::Done;
    for queue in found.queues.drain(..) {
        if queue.may_refuse() {
            post.flush(fx);
            if !queue.offer(message.clone(), fx) {
                outcome = Outcome::Failed;
            }
        } else {
            post.add(queue, message.clone(), fx);
        }
    }
    outcome
}

/// Messages for one queue, gathered so that its lock is taken once for a run of them.
#[derive(Default)]
struct Post {
    to: Option<Arc<Queue>>,
    messages: Vec<Message>,
}

impl Post {
    fn add(&mut self, queue: Arc<Queue>, message: Message, fx: &mut Effects) {
        if !self.to.as_ref().is_some_and(|to| Arc::ptr_eq(to, &queue)) {
            self.flush(fx);
            self.to = Some(queue);
        }
        self.messages.push(message);
    }

    fn flush(&mut self, fx: &mut Effects) {
        if let Some(queue) = self.to.take() {
            queue.accept(&mut self.messages, fx);
        }
    }
}
