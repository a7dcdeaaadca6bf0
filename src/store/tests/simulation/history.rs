//! What the broker does to its queues, at random.

use rand::Rng;
use rand::seq::IteratorRandom;

use super::{Simulation, ToKeeper};
use crate::broker::journal::{Op, QueueId, Request};
use crate::store::tests::model::Live;
use crate::store::tests::text::Text;

impl Simulation {
    fn push(&mut self, op: Op<Text>) {
        self.pushed += 1;
        self.pending.push(op);
    }

    fn request(&mut self, request: Request<Text>) {
        self.running.as_mut().unwrap().to_keeper.push_back(ToKeeper::Request(request));
    }

    fn queue(&mut self) -> QueueId {
        if self.live.is_empty() || self.live.len() < 4 && self.rng.random_bool(0.2) {
            let id = QueueId(self.next_queue);
            self.next_queue += 1;
            let durable = self.rng.random_bool(0.8);
            self.live.insert(id, Live { durable, next: 1, loaded: 1, paged: 1, ..Live::default() });
        }
        *self.live.keys().choose(&mut self.rng).unwrap()
    }

    pub(super) fn publish(&mut self) {
        let (one, shared) = (self.queue(), self.rng.random_bool(0.3));
        let queues: Vec<QueueId> = if shared { self.live.keys().copied().collect() } else { vec![one] };
        for _ in 0..self.rng.random_range(1..6) {
            self.next_id += 1;
            let most = if self.rng.random_bool(0.02) { 12_000 } else { 300 };
            let (lasting, len) = (self.rng.random_bool(0.8), self.rng.random_range(0..most));
            for id in &queues {
                let live = self.live.get_mut(id).unwrap();
                let (position, durable) = (live.next, live.durable);
                let message = Text { id: self.next_id, lasting: lasting && durable, shared, len };
                live.next += 1;
                live.messages.insert(position, message.clone());
                if message.lasting {
                    self.push(Op::Publish { queue: *id, position, message });
                }
            }
        }
    }

    pub(super) fn settle(&mut self) {
        let id = self.queue();
        let live = &self.live[&id];
        // Single messages are settled when they are in memory.
        let in_memory = |position: &u64| *position < live.loaded || *position >= live.paged;
        let some: Vec<u64> = live.messages.keys().copied().filter(in_memory).collect();
        let from = self.rng.random_range(0..=some.len());
        for position in some.into_iter().skip(from).take(8) {
            let message = self.live.get_mut(&id).unwrap().messages.remove(&position).unwrap();
            if message.lasting {
                self.push_settle(id, position, position, message.len as u64);
                self.leaving(id, position, message);
            }
        }
    }

    /// Some of what was settled comes back to where it stood, before all that is on disk, in this group or a later one.
    pub(super) fn restore(&mut self) {
        let id = self.queue();
        let live = self.live.get_mut(&id).unwrap();
        let end = if live.loaded == live.paged { live.next } else { live.loaded };
        let gone: Vec<u64> = live.leaving.range(..end).map(|(position, _)| *position).collect();
        for position in gone.into_iter().choose_multiple(&mut self.rng, 3) {
            let live = self.live.get_mut(&id).unwrap();
            if live.durable
                && let Some((message, _)) = live.leaving.remove(&position)
                && message.lasting
            {
                live.messages.insert(position, message.clone());
                live.marks.remove(&position);
                live.restored = live.restored.max(position);
                self.push(Op::Restore { queue: id, position, message });
            }
        }
    }

    /// As the journal does it: runs become one.
    fn push_settle(&mut self, id: QueueId, first: u64, end: u64, added: u64) {
        match self.pending.last_mut() {
            Some(Op::Settle { queue, last, weight, .. }) if *queue == id && *last + 1 == first => {
                *last = end;
                *weight += added;
            }
            _ => self.push(Op::Settle { queue: id, first, last: end, weight: added }),
        }
    }

    fn leaving(&mut self, id: QueueId, position: u64, message: Text) {
        let pushed = self.pushed;
        self.live.get_mut(&id).unwrap().leaving.insert(position, (message, pushed));
    }

    pub(super) fn settle_range(&mut self, id: QueueId, first: u64, last: u64) {
        let live = self.live.get_mut(&id).unwrap();
        let gone: Vec<_> = live.messages.extract_if(first..=last, |_, _| true).collect();
        if live.durable {
            let weight = gone.iter().filter(|(_, message)| message.lasting).map(|(_, message)| message.len as u64);
            let weight = weight.sum();
            self.push_settle(id, first, last, weight);
        } else {
            self.request(Request::Discard { queue: id, first, last });
        }
        for (position, message) in gone {
            self.leaving(id, position, message);
        }
    }

    pub(super) fn page_out(&mut self) {
        let id = self.queue();
        let live = self.live.get_mut(&id).unwrap();
        let from = match live.loaded == live.paged {
            // Nothing is on disk: some stay at the head.
            true => self.rng.random_range(live.paged..=live.next).max(live.restored + 1),
            false => live.paged,
        };
        let run: Vec<_> = live.messages.range(from..).take(20).map(|(at, message)| (*at, message.clone())).collect();
        let Some((last, _)) = run.last() else { return };
        if live.loaded == live.paged {
            live.loaded = run[0].0;
        }
        live.paged = last + 1;
        live.runs += 1;
        let lasting = live.durable;
        self.request(Request::PageOut { queue: id, lasting, run });
    }

    pub(super) fn load(&mut self) {
        let id = self.queue();
        let bytes = self.rng.random_range(1..3000);
        let live = self.live.get_mut(&id).unwrap();
        if live.loaded < live.paged && live.loading.is_none() {
            let (from, to) = (live.loaded, live.paged);
            live.loading = Some((from, to, bytes));
            self.request(Request::Load { queue: id, from, to, bytes });
        }
    }

    pub(super) fn purge_or_drop(&mut self) {
        let id = self.queue();
        let live = &self.live[&id];
        if self.rng.random_bool(0.7) {
            if let Some((first, last)) = live.messages.keys().next().zip(live.messages.keys().last()) {
                self.settle_range(id, *first, *last);
                let live = self.live.get_mut(&id).unwrap();
                (live.loaded, live.loading) = (live.paged, None);
            }
        } else {
            match live.durable {
                true => self.push(Op::Drop { queue: id }),
                false => self.request(Request::Discard { queue: id, first: 0, last: u64::MAX }),
            }
            self.live.remove(&id);
        }
    }

    pub(super) fn define(&mut self) {
        let key: Box<[u8]> = Box::new([self.rng.random_range(0..6)]);
        if self.rng.random_bool(0.3) {
            self.push(Op::Forget { key });
        } else {
            let value = vec![self.rng.random(); self.rng.random_range(0..200)].into();
            self.push(Op::Define { key, value });
        }
    }

    pub(super) fn mark_or_deliver(&mut self) {
        let id = self.queue();
        let live = self.live.get_mut(&id).unwrap();
        let Some((position, message)) = live.messages.iter().choose(&mut self.rng) else { return };
        if !live.durable || !message.lasting {
            return;
        }
        let position = *position;
        if self.rng.random_bool(0.5) {
            self.push(Op::Delivered { queue: id, up_to: position });
        } else {
            let mark = self.rng.random_range(0..4);
            live.marks.insert(position, mark);
            self.push(Op::Mark { queue: id, position, mark });
        }
    }
}
