//! What the store tells, and whether it is right.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;

use super::model::{Live, Logged, LoggedQueue};
use super::text::Text;
use crate::broker::journal::{Loaded, QueueId, Request};
use crate::store::error::StoreError;
use crate::store::keeper::Keeper;
use crate::store::{Recovered, Sink};

/// What the store has told.
#[derive(Default)]
pub(super) struct Told(pub(super) Mutex<Vec<Event>>);

pub(super) enum Event {
    Loaded(QueueId, u64, Result<Vec<Loaded<Text>>, StoreError>),
    PagedOut(QueueId),
}

impl Sink<Text> for Told {
    fn loaded(&self, queue: QueueId, from: u64, result: Result<Vec<Loaded<Text>>, StoreError>) {
        self.0.lock().push(Event::Loaded(queue, from, result));
    }

    fn paged_out(&self, queue: QueueId, _: usize) {
        self.0.lock().push(Event::PagedOut(queue));
    }

    fn written(&self, _: u64, _: Option<Duration>) {}

    fn space_low(&self, _: bool) {}

    fn failed(&self, error: StoreError) {
        panic!("no thread has failed: {error}");
    }
}

/// What was loaded is what was paged out and is not settled, in order, without a gap.
pub(super) fn take_loaded(live: &mut Live, from: u64, loaded: &[Loaded<Text>]) {
    let Some((asked, to, bytes)) = live.loading.filter(|(asked, ..)| *asked == from) else { return };
    live.loading = None;
    assert_eq!(asked, from);
    let mut taken = 0;
    let end = loaded.last().map_or(from, |last| last.position + 1);
    for message in loaded {
        let known = live.messages.get(&message.position);
        let known = known.or_else(|| live.leaving.get(&message.position).map(|(message, _)| message));
        assert_eq!(known, Some(&message.message), "at {}", message.position);
        taken += 10 + message.message.len;
        let mark = live.marks.get(&message.position).copied().unwrap_or(0);
        // A mark may be on its way to the keeper.
        assert!(message.mark == mark || !live.marks.is_empty(), "the mark of {}", message.position);
    }
    assert!(loaded.is_sorted_by(|a, b| a.position < b.position) && end <= to);
    assert!(loaded.first().is_none_or(|first| first.position >= from));
    let end = if taken < bytes { to } else { end };
    let wanted = live.messages.range(from..end).map(|(position, _)| *position);
    for position in wanted {
        assert!(loaded.iter().any(|message| message.position == position), "{position} was not loaded");
    }
    live.loaded = end;
}

/// Loads everything that was recovered; what is loaded can be loaded again.
pub(super) fn read_all(keeper: &mut Keeper<Text>, recovered: &Recovered) -> BTreeMap<QueueId, Vec<Loaded<Text>>> {
    let told = Told::default();
    let mut all = BTreeMap::new();
    for queue in &recovered.queues {
        let (mut from, mut messages) = (0, Vec::new());
        loop {
            keeper.request(Request::Load { queue: queue.queue, from, to: queue.next, bytes: 700 });
            keeper.serve(true, &told).unwrap();
            let Some(Event::Loaded(_, _, loaded)) = told.0.lock().pop() else { panic!("nothing was told") };
            let loaded = loaded.unwrap();
            let Some(last) = loaded.last() else { break };
            from = last.position + 1;
            messages.extend(loaded);
        }
        all.insert(queue.queue, messages);
    }
    all
}

/// Whether what was recovered is what the model has.
pub(super) fn compare(
    model: &Logged,
    recovered: &Recovered,
    messages: &BTreeMap<QueueId, Vec<Loaded<Text>>>,
) -> Result<(), String> {
    let definitions: Vec<_> = model.definitions.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    if definitions != recovered.definitions {
        return Err("definitions differ".to_owned());
    }
    for (id, queue) in &model.queues {
        if !queue.messages.is_empty() && !messages.contains_key(id) {
            return Err(format!("{id:?} is not there"));
        }
    }
    for queue in &recovered.queues {
        let none = LoggedQueue::default();
        let known = model.queues.get(&queue.queue);
        let is_dropped = known.is_none();
        let known = known.unwrap_or(&none);
        let found = &messages[&queue.queue];
        let same = found.len() == known.messages.len()
            && found.iter().zip(&known.messages).all(|(loaded, (position, (message, mark)))| {
                loaded.position == *position && loaded.message == *message && loaded.mark == *mark
            });
        if !same {
            let got: Vec<_> = found.iter().map(|loaded| (loaded.position, loaded.message.id, loaded.mark)).collect();
            let want: Vec<_> = known.messages.iter().map(|(at, (message, mark))| (*at, message.id, *mark)).collect();
            return Err(format!("{:?} dropped {is_dropped} has {got:?}, not {want:?}", queue.queue));
        }
        let weight: u64 = known.messages.values().map(|(message, _)| message.len as u64).sum();
        let first = known.messages.keys().next().copied().unwrap_or(queue.next);
        if (queue.count, queue.weight, queue.first) != (found.len() as u64, weight, first) {
            return Err(format!("{queue:?} has {} messages of weight {weight} from {first}", found.len()));
        }
        if queue.next <= known.messages.keys().last().copied().unwrap_or(0).max(known.delivered_written) {
            return Err(format!("{queue:?} gives positions twice"));
        }
        for loaded in found {
            let at_least = loaded.position <= known.delivered_written;
            let at_most = loaded.position <= known.delivered;
            if (at_least && !loaded.redelivered) || (loaded.redelivered && !at_most) {
                return Err(format!("{:?}: redelivered of {} is wrong", queue.queue, loaded.position));
            }
        }
    }
    Ok(())
}
