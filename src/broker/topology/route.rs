//! Where a message goes: over exchanges bound to exchanges (M-07) and alternate exchanges to queues.

use leveret_protocol::Table;

use super::{QueueKey, Topology};
use crate::broker::exchange::{Bindings, ExchangeId, MatchScratch, RoutingKeys, Sink, Subject};

/// There is no exchange of the name that a message was published to: 404, with
/// [`TopologyError::NoExchange`](super::TopologyError::NoExchange)'s text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such exchange")]
pub struct NoSuchExchange;

/// How a route came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Routed {
    /// A headers exchange was asked on the way: a message with the same exchange and key can go elsewhere.
    pub depends_on_headers: bool,
}

/// Memory that routing uses again for each message. It may grow to four bytes for each exchange and queue of the vhost, so
/// keep one for a thread or a connection rather than for a channel. Holds for any topology.
#[derive(Debug, Default)]
pub struct RouteScratch {
    queue_keys: Vec<QueueKey>,
    waiting: Vec<ExchangeId>,
    visited: Marks,
    queues: Marks,
    matching: MatchScratch,
}

impl RouteScratch {
    /// A list for the caller's own use: what it takes and puts back is allocated once.
    pub(in crate::broker) fn queue_keys(&mut self) -> &mut Vec<QueueKey> {
        &mut self.queue_keys
    }
}

/// Up to so many queues, duplicates are found by looking at all.
const FEW_QUEUES: usize = 16;

impl Topology {
    /// Writes to `out` the queues to which a message goes, each once, in no particular order. What was in `out` is lost.
    ///
    /// Without `headers` the message matches headers bindings as one with none does.
    ///
    /// # Errors
    /// [`NoSuchExchange`] if nothing is named `exchange`.
    pub fn route(
        &self,
        exchange: &[u8],
        keys: &RoutingKeys<'_>,
        headers: Option<Table<'_>>,
        scratch: &mut RouteScratch,
        out: &mut Vec<QueueKey>,
    ) -> Result<Routed, NoSuchExchange> {
        out.clear();
        let mut routed = Routed { depends_on_headers: false };
        if exchange.is_empty() {
            out.extend(keys.iter().filter_map(|key| self.queue_names.get(key)));
            remove_duplicates(out, &mut scratch.queues);
            return Ok(routed);
        }
        let first = self.exchange_id(exchange).ok_or(NoSuchExchange)?;
        let subject = Subject { keys, headers: headers.unwrap_or(Table::EMPTY) };
        scratch.waiting.clear();
        scratch.visited.clear();
        let mut next = Some(first);
        while let Some(id) = next {
            if scratch.visited.insert(id.0) {
                self.visit(id, &subject, scratch, out, &mut routed);
            }
            next = scratch.waiting.pop();
        }
        remove_duplicates(out, &mut scratch.queues);
        Ok(routed)
    }

    #[inline]
    fn visit(
        &self,
        id: ExchangeId,
        subject: &Subject<'_>,
        scratch: &mut RouteScratch,
        out: &mut Vec<QueueKey>,
        routed: &mut Routed,
    ) {
        let exchange = &self.exchanges[id.0];
        let mut sink = Sink { queues: out, exchanges: &mut scratch.waiting, matched: false };
        exchange.bindings.matches(subject, &mut scratch.matching, &mut sink);
        routed.depends_on_headers |= matches!(exchange.bindings, Bindings::Headers(_));
        // The default exchange as an alternate leads nowhere: it has no bindings.
        if !sink.matched
            && let Some(alternate) = &exchange.alternate
            && let Some(alternate) = self.exchange_id(alternate)
        {
            scratch.waiting.push(alternate);
        }
    }
}

#[inline]
fn remove_duplicates(queues: &mut Vec<QueueKey>, seen: &mut Marks) {
    if queues.len() <= 1 {
        return;
    }
    if queues.len() > FEW_QUEUES {
        seen.clear();
        queues.retain(|queue| seen.insert(queue.0));
        return;
    }
    let mut kept = 1;
    for i in 1..queues.len() {
        let queue = queues[i];
        if !queues[..kept].contains(&queue) {
            queues[kept] = queue;
            kept += 1;
        }
    }
    queues.truncate(kept);
}

/// A set of small numbers that is emptied in constant time.
#[derive(Debug, Default)]
struct Marks {
    /// A number is in the set if its entry is the round.
    rounds: Vec<u32>,
    round: u32,
}

impl Marks {
    #[inline]
    fn clear(&mut self) {
        self.round = self.round.wrapping_add(1);
        if self.round == 0 {
            self.rounds.fill(0);
            self.round = 1;
        }
    }

    /// Gives whether `number` is new.
    #[inline]
    fn insert(&mut self, number: u32) -> bool {
        let index = number as usize;
        if index >= self.rounds.len() {
            self.rounds.resize(index + 1, 0);
        }
        std::mem::replace(&mut self.rounds[index], self.round) != self.round
    }
}
