//! How messages leave a queue for good without having been acked: gone, or as dead letters.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Entry, Queue, State};
use crate::broker::dead_letter::{Letter, Reason};
use crate::broker::effects::Effects;
use crate::broker::moment::Moment;

/// Dead letters that no queue has taken are tried again after so many milliseconds.
const RETRY_MS: u64 = 5000;

/// So many are tried again at once.
const RETRIES_MAX: usize = 64;

/// Dead letters that their queue keeps until another has them (at least once).
#[derive(Default)]
pub(super) struct Stuck {
    kept: BTreeMap<u64, (Entry, Reason)>,
    /// Those before it have been tried.
    next: u64,
    /// Where those begin that were tried again last, if there were as many as are tried at once.
    tried_from: Option<u64>,
    retry_at: Option<Moment>,
}

impl Stuck {
    pub(super) fn retry_at(&self) -> Moment {
        self.retry_at.unwrap_or(Moment::NEVER)
    }

    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }
}

impl State {
    /// A message is over: it becomes a dead letter, or is gone.
    pub(super) fn bury(&mut self, queue: &Arc<Queue>, entry: Entry, reason: Reason, fx: &mut Effects) {
        let Some(to) = self.rules.dead_letter.clone().filter(|_| !self.deleted) else { return self.gone(&entry) };
        let kept = self.rules.at_least_once.then_some(entry.position);
        fx.letter(Letter {
            queue: queue.clone(),
            to,
            reason,
            message: entry.message.clone(),
            failed: entry.total_counts().failed,
            kept,
        });
        match kept {
            None => self.gone(&entry),
            Some(position) => {
                self.stuck.get_or_insert_default().kept.insert(position, (entry, reason));
            }
        }
    }

    /// A message has left the queue for good.
    #[inline]
    pub(super) fn gone(&mut self, entry: &Entry) {
        self.charged = self.charged.saturating_sub(entry.message.cost());
        self.note_gone(entry);
    }

    /// Tries some of the letters again that no queue took.
    pub(super) fn retry_letters(&mut self, queue: &Arc<Queue>, fx: &mut Effects) {
        // Without an exchange they have nowhere to go any more.
        let Some(to) = self.rules.dead_letter.clone() else { return self.drop_stuck() };
        let Some(stuck) = self.stuck.as_deref_mut().filter(|stuck| stuck.retry_at() <= fx.now()) else { return };
        stuck.retry_at = Some(fx.now().plus_ms(RETRY_MS));
        let (mut tried, from) = (0, stuck.next);
        for (position, (entry, reason)) in stuck.kept.range(stuck.next..).take(RETRIES_MAX) {
            tried += 1;
            stuck.next = position + 1;
            fx.letter(Letter {
                queue: queue.clone(),
                to: to.clone(),
                reason: *reason,
                message: entry.message.clone(),
                failed: entry.total_counts().failed,
                kept: Some(*position),
            });
        }
        stuck.tried_from = (tried == RETRIES_MAX).then_some(from);
        if tried < RETRIES_MAX {
            stuck.next = 0;
        }
    }

    /// All that it keeps as dead letters goes with the queue.
    pub(super) fn drop_stuck(&mut self) {
        if let Some(stuck) = self.stuck.take() {
            stuck.kept.values().for_each(|(entry, _)| self.gone(entry));
        }
    }
}

impl Queue {
    /// What became of a letter that it keeps: others have it, or it has to be tried again.
    pub(in crate::broker) fn letter_done(self: &Arc<Self>, position: u64, done: bool, fx: &mut Effects) {
        self.change(fx, |state, fx| {
            let Some(stuck) = &mut state.stuck else { return };
            if !done {
                let retry_at = fx.now().plus_ms(RETRY_MS);
                stuck.retry_at.get_or_insert(retry_at);
                return state.set_timed();
            }
            let Some((entry, _)) = stuck.kept.remove(&position) else { return };
            // Where one of those that were tried again has found a queue, more may: they need not wait.
            if stuck.tried_from.is_some_and(|from| (from..stuck.next).contains(&position)) {
                stuck.tried_from = None;
                stuck.retry_at = Some(fx.now());
            }
            if stuck.len() == 0 {
                state.stuck = None;
            }
            state.gone(&entry);
        });
    }
}
