//! Single active consumer: one consumer gets everything, the others wait for it to leave.

use std::cmp::Reverse;

use super::consumers::{Consumers, Place};

/// A consumer of a quorum queue that has no prefetch has room for so many, where that counts.
const UNLIMITED: u32 = 2000;

/// Who is active and who waits, by slot.
pub(super) struct Single {
    active: Option<u32>,
    /// In the order in which they came, or in which they were active last.
    waiting: Vec<u32>,
    /// The rules of quorum queues: a later consumer of a higher priority takes over, and among equal ones that with most room is first.
    quorum: bool,
    /// The active one settles what it has, and then another takes over.
    fading: bool,
}

impl Single {
    pub(super) fn new(quorum: bool) -> Self {
        Self { active: None, waiting: Vec::new(), quorum, fading: false }
    }
}

impl Consumers {
    /// Whether only one consumer at a time gets messages.
    pub(super) fn is_single(&self) -> bool {
        self.single.is_some()
    }

    /// A new consumer comes to a queue with a single active one.
    pub(super) fn queue_up(&mut self, index: u32) {
        let Some(single) = self.single.as_mut() else { return };
        single.waiting.push(index);
        self.offer_to_be_active(index);
    }

    /// One that waits may be active now: nobody else is, or it takes over.
    pub(super) fn offer_to_be_active(&mut self, index: u32) {
        let Some(single) = self.single.as_mut() else { return };
        let Some(active) = single.active else { return self.activate_next() };
        if !single.quorum || single.fading || self.priority_of(index) <= self.priority_of(active) {
            return;
        }
        if self.is_leaving(active) {
            return;
        }
        if self.unacked_of(active) == 0 {
            self.step_down(active);
        } else {
            self.move_to(active, Place::Fading);
            if let Some(single) = self.single.as_mut() {
                single.fading = true;
            }
        }
    }

    /// A consumer held a delivery too long: it waits, and others go before it until it has settled that.
    pub(super) fn give_up_single(&mut self, index: u32) {
        if self.single.as_ref().is_some_and(|single| single.active == Some(index)) {
            self.leave_single(index);
            if let Some(single) = self.single.as_mut() {
                single.waiting.push(index);
            }
        }
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.single.as_ref().map_or(0, |single| single.waiting.len())
    }

    /// A consumer will not be active any more, or will only stay in the way until it has left.
    pub(super) fn stop_waiting(&mut self, index: u32) {
        let Some(single) = self.single.as_mut() else { return };
        single.waiting.retain(|waiting| *waiting != index);
        single.fading &= single.active != Some(index);
    }

    /// A consumer has left.
    pub(super) fn leave_single(&mut self, index: u32) {
        let Some(single) = self.single.as_mut() else { return };
        single.waiting.retain(|waiting| *waiting != index);
        if single.active == Some(index) {
            single.active = None;
            self.activate_next();
        }
    }

    /// A consumer has settled all it had.
    pub(super) fn settled_all(&mut self, index: u32) {
        if self.single.as_ref().is_some_and(|single| single.fading && single.active == Some(index)) {
            self.step_down(index);
        }
    }

    /// The active one joins the end of those that wait, and the first of them is active; unless whoever was to take over has left.
    fn step_down(&mut self, active: u32) {
        self.move_to(active, Place::Waiting);
        if let Some(single) = self.single.as_mut() {
            single.active = None;
            single.waiting.insert(0, active);
        }
        self.activate_next();
        if let Some(single) = self.single.as_mut()
            && single.active != Some(active)
        {
            single.waiting.retain(|waiting| *waiting != active);
            single.waiting.push(active);
        }
    }

    /// The one of the highest priority that came first; in a quorum queue the one with most room among those of the highest priority.
    fn activate_next(&mut self) {
        let Some(single) = self.single.as_ref() else { return };
        let by_turn = single.waiting.iter().enumerate().rev().filter(|(_, index)| !self.is_given_up(**index));
        let next = match single.quorum {
            true => by_turn.max_by_key(|(_, index)| {
                let (prefetch, number) = self.prefetch_of(**index);
                (self.priority_of(**index), if prefetch == 0 { UNLIMITED } else { prefetch }, Reverse(number))
            }),
            false => by_turn.max_by_key(|(_, index)| self.priority_of(**index)),
        };
        let next = next.map(|(at, index)| (at, *index));
        let Some(single) = self.single.as_mut() else { return };
        single.fading = false;
        if let Some((at, index)) = next {
            single.waiting.remove(at);
            single.active = Some(index);
            self.enter_ring(index);
        }
    }
}
