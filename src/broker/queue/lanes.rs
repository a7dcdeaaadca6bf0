//! The ready messages of a queue by priority, each priority a lane.
//!
//! A queue without priorities has one lane and pays for no other. A lane costs the same however deep it is, and so does finding the
//! first that is not empty.
//!
//! Which lane a message stands in is the same for every line of RabbitMQ, as the store keeps it. In which order the lanes are emptied is not.

use std::collections::VecDeque;

use super::disk::Recovered;
use super::ready::{Entry, RUN_BYTES, Ready, Run, Wanted, footprint};
use crate::broker::compat::QuorumPriorities;
use crate::broker::message::Message;
use crate::broker::moment::Moment;

/// See the module.
pub(super) struct Lanes {
    /// The lane of messages without a priority.
    first: Ready,
    /// The priority of that lane.
    base: u8,
    /// The highest priority; those above count as this one.
    max: u8,
    /// What comes back is delivered in the order in which it came back, before all else (quorum queues, Q-33).
    returns_in_turn: bool,
    order: QuorumPriorities,
    more: Option<Box<More>>,
}

/// The other lanes, made when first needed.
struct More {
    /// By priority; that of the base stays empty.
    lanes: Vec<Ready>,
    /// A bit for each lane that is not empty, that of the base included.
    filled: [u64; 4],
    returned: VecDeque<Entry>,
    /// Messages taken out of lanes, modulo [`ROUND`].
    turn: u8,
    /// Of the lanes and of what was returned, without the first lane.
    len: usize,
    bytes: usize,
    body_bytes: usize,
    last_position: u64,
}

/// Of so many messages one is of the lower level, where there are two.
const ROUND: u8 = 3;

/// The lanes of a quorum queue, as bits; [`LOWER`] are those of the lower level.
const ALL: u64 = 0xffff_ffff;
const LOWER: u64 = 0x1f;

/// A lane as the store knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane(pub(super) u16);

impl Lane {
    /// That of messages without a priority.
    pub(super) const FIRST: Self = Self(0);

    fn of_priority(priority: u8) -> Self {
        Self(u16::from(priority) + 1)
    }

    fn priority(self) -> Option<u8> {
        u8::try_from(self.0.checked_sub(1)?).ok()
    }
}

/// A place where a message can be first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    First,
    Lane(u8),
    Returned,
}

impl Lanes {
    /// Of a classic queue with priorities up to `max`.
    pub(super) fn classic(max: u8) -> Self {
        let order = QuorumPriorities::Strict;
        Self { first: Ready::default(), base: 0, max, returns_in_turn: false, order, more: None }
    }

    /// Of a quorum queue: priorities 0 to 31, whatever they mean.
    pub(super) fn quorum(order: QuorumPriorities) -> Self {
        Self { first: Ready::default(), base: 4, max: 31, returns_in_turn: true, order, more: None }
    }

    /// Adds a message at the end of its lane. Gives its position.
    #[inline]
    pub(super) fn push(&mut self, message: Message) -> u64 {
        let lane = self.priority_of(&message);
        if lane == self.base && self.more.is_none() {
            return self.first.push(message);
        }
        let base = self.base;
        let more = self.more();
        let (bytes, body) = (footprint(&message), message.body_len());
        let last = more.last_position;
        more.fill(lane);
        if lane == base {
            self.first.go_on_after(last);
            let last = self.first.push(message);
            self.more().last_position = last;
            return last;
        }
        let ready = &mut more.lanes[usize::from(lane)];
        ready.go_on_after(last);
        let position = ready.push(message);
        more.last_position = position;
        more.count(1, bytes as isize, body as isize);
        position
    }

    /// Puts a message back where it was, or before all others where returns go in turn.
    pub(super) fn put_back(&mut self, entry: Entry) {
        let lane = self.priority_of(&entry.message);
        let in_turn = self.returns_in_turn;
        if lane == self.base && !in_turn {
            if let Some(more) = &mut self.more {
                more.fill(lane);
            }
            return self.first.put_back(entry);
        }
        let more = self.more();
        more.count(1, footprint(&entry.message) as isize, entry.message.body_len() as isize);
        if in_turn {
            more.returned.push_back(entry);
        } else {
            more.fill(lane);
            more.lanes[usize::from(lane)].put_back(entry);
        }
    }

    /// The message last added to a lane, if it is still there, is delivered as redelivered.
    pub(super) fn set_redelivered(&mut self, lane: Lane, position: u64) {
        match lane.priority() {
            None => self.first.set_redelivered(position),
            Some(priority) => self.in_lane(priority, |ready| ready.set_redelivered(position)).unwrap_or(()),
        }
    }

    /// Takes the first.
    #[inline(always)] // as Ready's
    pub(super) fn pop(&mut self) -> Option<Entry> {
        if self.more.is_none() {
            return self.first.pop();
        }
        let place = self.next()?;
        if place != Place::Returned {
            let more = self.more();
            more.turn = (more.turn + 1) % ROUND;
        }
        self.pop_at(place)
    }

    /// Takes the first at a place.
    pub(super) fn pop_at(&mut self, place: Place) -> Option<Entry> {
        let base = self.base;
        let entry = match (place, &mut self.more) {
            (Place::First, more) => {
                let entry = self.first.pop();
                if let Some(more) = more
                    && self.first.is_empty()
                {
                    more.empty(base);
                }
                return entry;
            }
            (_, None) => return None,
            (Place::Returned, Some(more)) => more.returned.pop_front()?,
            (Place::Lane(lane), Some(more)) => {
                let ready = &mut more.lanes[usize::from(lane)];
                let entry = ready.pop()?;
                if ready.is_empty() {
                    more.empty(lane);
                }
                entry
            }
        };
        let (bytes, body) = (footprint(&entry.message), entry.message.body_len());
        self.more().count(-1, -(bytes as isize), -(body as isize));
        Some(entry)
    }

    /// How many there are.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.first.len() + self.more.as_ref().map_or(0, |more| more.len)
    }

    /// Whether there is none.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_empty() && self.more.as_ref().is_none_or(|more| more.len == 0)
    }

    /// What they take in memory, about, in bytes.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.first.bytes() + self.more.as_ref().map_or(0, |more| more.bytes)
    }

    /// Bytes of their bodies.
    #[inline]
    pub(super) fn body_bytes(&self) -> usize {
        self.first.body_bytes() + self.more.as_ref().map_or(0, |more| more.body_bytes)
    }

    /// Where a message stands first whose end comes first, and when that is: only those at a front count.
    pub(super) fn first_end(&self, end: impl Fn(&Message) -> Moment) -> Option<(Moment, Place)> {
        let Some(more) = &self.more else { return self.first.front().map(|message| (end(message), Place::First)) };
        let returned = more.returned.front().map(|entry| (end(&entry.message), Place::Returned));
        let fronts = self.fronts(more).filter_map(|lane| {
            let message = self.ready_of(more, lane).front()?;
            Some((end(message), self.place(lane)))
        });
        returned.into_iter().chain(fronts).min_by_key(|(moment, _)| *moment)
    }

    /// Removes all of them; positions go on. Gives what was in memory, and the positions that all had in their lanes.
    pub(super) fn clear(&mut self) -> (Self, Vec<(Lane, u64, u64)>) {
        let (first, ranges) = self.first.clear();
        let in_lane = |lane| move |(first, last)| (lane, first, last);
        let mut all: Vec<_> = ranges.into_iter().map(in_lane(Lane::FIRST)).collect();
        let mut more = self.more.take();
        if let Some(more) = &mut more {
            self.first.go_on_after(more.last_position.max(self.first.last_position()));
            for (priority, ready) in (0..=u8::MAX).zip(&more.lanes) {
                all.extend(ready.ranges().into_iter().map(in_lane(Lane::of_priority(priority))));
            }
            for entry in &more.returned {
                all.push((self.lane_of(&entry.message), entry.position, entry.position));
            }
        }
        (Self { first, more, ..*self }, all)
    }

    /// What the store has of a lane.
    pub(super) fn recover(&mut self, lane: Lane, recovered: Recovered) {
        let last = recovered.next.max(1) - 1;
        let ready = Ready::on_disk(&recovered);
        let Some(priority) = lane.priority().filter(|priority| *priority != self.base) else {
            if let Some(more) = &mut self.more {
                more.last_position = more.last_position.max(last);
                if !ready.is_empty() {
                    more.fill(self.base);
                }
            }
            self.first = ready;
            return;
        };
        let more = self.more();
        if more.lanes.len() <= usize::from(priority) {
            more.lanes.resize_with(usize::from(priority) + 1, Ready::default);
        }
        if !ready.is_empty() {
            more.fill(priority);
        }
        more.count(ready.len() as isize, 0, ready.body_bytes() as isize);
        more.last_position = more.last_position.max(last);
        more.lanes[usize::from(priority)] = ready;
    }

    /// The first message in memory of a lane is the next to go; otherwise it must come from disk.
    #[inline]
    pub(super) fn has_next(&self) -> bool {
        match &self.more {
            None => !self.first.is_headless(),
            Some(more) => match self.next() {
                None => false,
                Some(Place::Returned) => true,
                Some(Place::First) => !self.first.is_headless(),
                Some(Place::Lane(lane)) => !more.lanes[usize::from(lane)].is_headless(),
            },
        }
    }

    /// The lane of a message.
    #[inline]
    pub(super) fn lane_of(&self, message: &Message) -> Lane {
        let priority = self.priority_of(message);
        if priority == self.base { Lane::FIRST } else { Lane::of_priority(priority) }
    }

    /// Lanes of which something is on disk.
    pub(super) fn deep_lanes(&self) -> Vec<Lane> {
        let others = self.more.iter().flat_map(|more| (0..=u8::MAX).zip(&more.lanes));
        let others = others.filter(|(_, ready)| ready.is_deep()).map(|(priority, _)| Lane::of_priority(priority));
        self.first.is_deep().then_some(Lane::FIRST).into_iter().chain(others).collect()
    }

    /// What to ask the disk for, where a lane's head has no more than `low` bytes. It is on its way then.
    #[inline]
    pub(super) fn want(&mut self, low: usize) -> Option<(Lane, Wanted)> {
        if let Some(wanted) = self.first.want(low) {
            return Some((Lane::FIRST, wanted));
        }
        let lanes = self.more.as_mut()?.lanes.iter_mut();
        (0..=u8::MAX).zip(lanes).find_map(|(priority, ready)| Some((Lane::of_priority(priority), ready.want(low)?)))
    }

    /// What was wanted of a lane has come. False if it is not wanted any more.
    pub(super) fn loaded(&mut self, lane: Lane, from: u64, entries: Vec<Entry>) -> bool {
        match lane.priority() {
            None => {
                let wanted = self.first.loaded(from, entries);
                if self.first.is_empty()
                    && let Some(more) = &mut self.more
                {
                    more.empty(self.base); // less has come than was counted
                }
                wanted
            }
            Some(priority) => self.in_lane(priority, |ready| ready.loaded(from, entries)).unwrap_or(false),
        }
    }

    /// Takes a run of a lane out of memory that does not fit into a window; none if all fits.
    #[inline]
    pub(super) fn page_out(&mut self, window: usize) -> Option<(Lane, Run)> {
        if let Some(run) = self.first.page_out(window) {
            return Some((Lane::FIRST, run));
        }
        let more = self.more.as_ref().filter(|more| more.bytes > RUN_BYTES)?;
        (0..more.lanes.len() as u16).find_map(|priority| {
            let priority = priority as u8;
            let run = self.in_lane(priority, |ready| ready.page_out(window))??;
            Some((Lane::of_priority(priority), run))
        })
    }

    /// Changes a lane other than the first, and what is counted of it. None for the first, which has no place among the others.
    fn in_lane<T>(&mut self, priority: u8, change: impl FnOnce(&mut Ready) -> T) -> Option<T> {
        if priority == self.base {
            return None;
        }
        let more = self.more.as_mut()?;
        let ready = more.lanes.get_mut(usize::from(priority))?;
        let (len, bytes, body) = (ready.len(), ready.bytes(), ready.body_bytes());
        let result = change(ready);
        let difference = |now: usize, before: usize| now as isize - before as isize;
        let change =
            (difference(ready.len(), len), difference(ready.bytes(), bytes), difference(ready.body_bytes(), body));
        if ready.is_empty() {
            more.empty(priority);
        }
        more.count(change.0, change.1, change.2);
        Some(result)
    }

    /// The memory that the queue is charged for them, in bytes.
    pub(super) fn cost(&self) -> usize {
        let more = self.more.as_ref().map_or(0, |more| {
            let returned = more.returned.iter().map(|entry| entry.message.cost());
            more.lanes.iter().map(Ready::cost).chain(returned).sum()
        });
        self.first.cost() + more
    }

    /// Where the next one to be delivered stands, if there are other lanes than the first.
    fn next(&self) -> Option<Place> {
        let more = self.more.as_ref()?;
        if !more.returned.is_empty() {
            return Some(Place::Returned);
        }
        let lane = match self.order {
            QuorumPriorities::Strict => more.highest()?,
            QuorumPriorities::None => self.earliest(more, ALL)?,
            QuorumPriorities::TwoLevels => match (self.earliest(more, !LOWER & ALL), self.earliest(more, LOWER)) {
                (Some(high), Some(low)) if more.turn == ROUND - 1 => {
                    let position = |lane| self.ready_of(more, lane).first_position();
                    if position(high) < position(low) { high } else { low }
                }
                (high, low) => high.or(low)?,
            },
        };
        Some(self.place(lane))
    }

    /// The lanes whose fronts are fronts of the queue.
    fn fronts<'a>(&'a self, more: &'a More) -> impl Iterator<Item = u8> {
        let (all, levels) = match self.order {
            QuorumPriorities::Strict => (Some(more.filled_lanes()), [0, 0]),
            QuorumPriorities::TwoLevels => (None, [!LOWER & ALL, LOWER]),
            QuorumPriorities::None => (None, [ALL, 0]),
        };
        all.into_iter().flatten().chain(levels.into_iter().filter_map(|level| self.earliest(more, level)))
    }

    /// Of these lanes the one whose first message came first.
    fn earliest(&self, more: &More, lanes: u64) -> Option<u8> {
        let filled = more.filled[0] & lanes;
        let lanes = (0..64).filter(|lane| filled & 1 << lane != 0);
        lanes.min_by_key(|lane| self.ready_of(more, *lane).first_position())
    }

    fn ready_of<'a>(&'a self, more: &'a More, lane: u8) -> &'a Ready {
        if lane == self.base { &self.first } else { &more.lanes[usize::from(lane)] }
    }

    fn place(&self, lane: u8) -> Place {
        if lane == self.base { Place::First } else { Place::Lane(lane) }
    }

    #[inline]
    fn priority_of(&self, message: &Message) -> u8 {
        if self.max == 0 {
            return self.base;
        }
        message.priority().map_or(self.base, |priority| priority.min(self.max))
    }

    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_with(|| {
            let mut more = More {
                lanes: (0..=self.max).map(|_| Ready::default()).collect(),
                filled: [0; 4],
                returned: VecDeque::new(),
                turn: 0,
                len: 0,
                bytes: 0,
                body_bytes: 0,
                last_position: self.first.last_position(),
            };
            if !self.first.is_empty() {
                more.fill(self.base);
            }
            Box::new(more)
        })
    }
}

impl More {
    fn fill(&mut self, lane: u8) {
        self.filled[usize::from(lane / 64)] |= 1 << (lane % 64);
    }

    fn empty(&mut self, lane: u8) {
        self.filled[usize::from(lane / 64)] &= !(1 << (lane % 64));
    }

    fn count(&mut self, len: isize, bytes: isize, body: isize) {
        self.len = self.len.saturating_add_signed(len);
        self.bytes = self.bytes.saturating_add_signed(bytes);
        self.body_bytes = self.body_bytes.saturating_add_signed(body);
    }

    fn highest(&self) -> Option<u8> {
        let word = (0..4).rev().find(|word| self.filled[*word] != 0)?;
        Some((word as u32 * 64 + self.filled[word].ilog2()) as u8)
    }

    fn filled_lanes(&self) -> impl Iterator<Item = u8> {
        (0..4u8).flat_map(move |word| {
            let mut bits = self.filled[usize::from(word)];
            std::iter::from_fn(move || {
                let lane = bits.trailing_zeros();
                bits &= bits.checked_sub(1)?;
                Some(word * 64 + lane as u8)
            })
        })
    }
}
