//! What a channel has delivered and the client has not settled, by delivery tag.

use std::collections::VecDeque;

use super::subscription::SubscriptionKey;
use crate::broker::Entry;

/// An unacked delivery.
pub(super) struct Unacked {
    pub(super) subscription: SubscriptionKey,
    pub(super) entry: Entry,
}

/// Unacked deliveries in order of their tags. A delivery settled out of order leaves a gap, so that finding a tag stays a look at one
/// place or a binary search; gaps are closed when they are more than the rest.
#[derive(Default)]
pub(super) struct Ledger {
    slots: VecDeque<(u64, Option<Unacked>)>,
    live: usize,
}

/// The deque gives memory back when it is empty and has more than this many slots.
const KEEP_SLOTS: usize = 64;

impl Ledger {
    /// Adds the newest.
    #[inline]
    pub(super) fn push(&mut self, tag: u64, unacked: Unacked) {
        self.slots.push_back((tag, Some(unacked)));
        self.live += 1;
    }

    /// Takes one; none if the tag is not unacked.
    #[inline]
    pub(super) fn take(&mut self, tag: u64) -> Option<Unacked> {
        let at = self.find(tag)?;
        let unacked = self.slots[at].1.take()?;
        self.live -= 1;
        if at == 0 {
            self.close_front();
        } else if self.slots.len() > 2 * self.live + 64 {
            self.slots.retain(|(_, unacked)| unacked.is_some());
        }
        Some(unacked)
    }

    /// Takes all up to and including `tag` in order of their tags; none if that tag is not unacked (S-08).
    pub(super) fn take_up_to(&mut self, tag: u64) -> Option<impl Iterator<Item = Unacked> + '_> {
        let at = self.find(tag).filter(|at| self.slots[*at].1.is_some())?;
        Some(self.take_first(at + 1))
    }

    /// Takes all in order of their tags.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Unacked> + '_ {
        self.take_first(self.slots.len())
    }

    /// Puts back what was taken by a transaction that is rolled back (P-14).
    pub(super) fn restore(&mut self, mut taken: Vec<(u64, Unacked)>) {
        self.live += taken.len();
        let slots = self.slots.drain(..).filter(|(_, unacked)| unacked.is_some());
        let mut all: Vec<_> = slots.chain(taken.drain(..).map(|(tag, unacked)| (tag, Some(unacked)))).collect();
        all.sort_unstable_by_key(|(tag, _)| *tag);
        self.slots = all.into();
    }

    /// Whether a tag is unacked.
    pub(super) fn has(&self, tag: u64) -> bool {
        self.find(tag).is_some_and(|at| self.slots[at].1.is_some())
    }

    /// Tags and subscriptions of all that is unacked, in order.
    pub(super) fn tags(&self) -> impl Iterator<Item = (u64, SubscriptionKey)> + '_ {
        self.slots.iter().filter_map(|(tag, unacked)| Some((*tag, unacked.as_ref()?.subscription)))
    }

    fn take_first(&mut self, n: usize) -> impl Iterator<Item = Unacked> + '_ {
        let taken = self.slots.range(..n).filter(|(_, unacked)| unacked.is_some()).count();
        self.live -= taken;
        if n == self.slots.len() && n > KEEP_SLOTS {
            return Taking::All(std::mem::take(&mut self.slots).into_iter());
        }
        Taking::Some(self.slots.drain(..n))
    }

    #[inline]
    fn find(&self, tag: u64) -> Option<usize> {
        let first = self.slots.front()?.0;
        let guess = usize::try_from(tag.checked_sub(first)?).ok()?;
        match self.slots.get(guess) {
            Some((found, _)) if *found == tag => Some(guess),
            _ => self.slots.binary_search_by_key(&tag, |(tag, _)| *tag).ok(),
        }
    }

    fn close_front(&mut self) {
        while self.slots.front().is_some_and(|(_, unacked)| unacked.is_none()) {
            self.slots.pop_front();
        }
        if self.slots.is_empty() && self.slots.capacity() > KEEP_SLOTS {
            self.slots = VecDeque::new();
        }
    }
}

/// The slots being taken, in order.
enum Taking<'a> {
    Some(std::collections::vec_deque::Drain<'a, (u64, Option<Unacked>)>),
    All(std::collections::vec_deque::IntoIter<(u64, Option<Unacked>)>),
}

impl Iterator for Taking<'_> {
    type Item = Unacked;

    fn next(&mut self) -> Option<Unacked> {
        loop {
            let slot = match self {
                Self::Some(drain) => drain.next(),
                Self::All(all) => all.next(),
            };
            if let Some(unacked) = slot?.1 {
                return Some(unacked);
            }
        }
    }
}
