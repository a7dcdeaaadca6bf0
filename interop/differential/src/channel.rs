//! What the player knows of a channel: which answers it waits for, and what is unsettled.

use std::collections::{BTreeSet, HashSet};

use crate::step::{Action, Target};

/// One channel of a connection.
#[derive(Debug, Default)]
pub(crate) struct Channel {
    /// channel.open was sent, and no end was heard of.
    pub(crate) open: bool,
    /// Answers that have to come.
    pub(crate) expected: Vec<Expected>,
    /// channel.flow-ok that have to come.
    pub(crate) pings: usize,
    unsettled: Vec<(u64, Vec<u8>)>,
    no_ack: HashSet<String>,
    published: u64,
    unconfirmed: Option<BTreeSet<u64>>,
}

/// An answer that has to come, and what it will mean.
#[derive(Debug)]
pub(crate) struct Expected {
    /// The method's name.
    pub(crate) reply: &'static str,
    /// The step that asked for it.
    pub(crate) action: Option<Action>,
}

impl Channel {
    /// Notes what was sent.
    pub(crate) fn sent(&mut self, action: &Action, tag: u64) {
        match action {
            Action::ConfirmSelect { .. } => drop(self.unconfirmed.get_or_insert_default()),
            Action::Publish(message) => {
                if let Some(unconfirmed) = &mut self.unconfirmed {
                    let first = self.published + 1;
                    self.published += u64::from(message.count);
                    unconfirmed.extend(first..=self.published);
                }
            }
            Action::Ack { multiple, .. } | Action::Nack { multiple, .. } => self.settle(tag, *multiple),
            Action::Reject { .. } => self.settle(tag, false),
            Action::Recover { .. } => self.unsettled.clear(),
            Action::Consume { tag, no_ack: true, .. } => drop(self.no_ack.insert(tag.clone())),
            _ => {}
        }
        if let Some(reply) = action.reply() {
            self.expected.push(Expected { reply, action: Some(action.clone()) });
        }
    }

    fn settle(&mut self, tag: u64, multiple: bool) {
        self.unsettled.retain(|(other, _)| match (multiple, tag) {
            (true, 0) => false,
            (true, tag) => *other > tag,
            (false, tag) => *other != tag,
        });
    }

    /// The expectation that a reply fulfils.
    pub(crate) fn fulfil(&mut self, reply: &str) -> Option<Expected> {
        let index = self.expected.iter().position(|expected| expected.reply == reply)?;
        Some(self.expected.remove(index))
    }

    /// Notes a consumer that was given its name by the broker.
    pub(crate) fn consumes_without_ack(&mut self, consumer: String) {
        self.no_ack.insert(consumer);
    }

    /// Notes a message that came, unless its consumer does not settle.
    pub(crate) fn delivered(&mut self, consumer: &str, tag: u64, body: &[u8]) {
        if !self.no_ack.contains(consumer) {
            self.unsettled.push((tag, body.to_vec()));
        }
    }

    /// The delivery tag of a target; None if there is no such delivery.
    pub(crate) fn find(&self, target: &Target) -> Option<u64> {
        match target {
            Target::Tag(tag) => Some(*tag),
            Target::First => self.unsettled.iter().map(|(tag, _)| *tag).min(),
            Target::Last => self.unsettled.iter().map(|(tag, _)| *tag).max(),
            Target::Body(body) => self.unsettled.iter().rev().find(|(_, other)| other == body).map(|(tag, _)| *tag),
        }
    }

    /// Takes the publishes that a confirm is about.
    pub(crate) fn confirmed(&mut self, tag: u64, multiple: bool) -> Vec<u64> {
        let unconfirmed = self.unconfirmed.get_or_insert_default();
        let tags: Vec<u64> = match multiple {
            true => unconfirmed.iter().copied().take_while(|other| *other <= tag).collect(),
            false => vec![tag],
        };
        for tag in &tags {
            unconfirmed.remove(tag);
        }
        tags
    }

    /// Whether confirms have to come.
    pub(crate) fn waits_for_confirms(&self) -> bool {
        self.unconfirmed.as_ref().is_some_and(|unconfirmed| !unconfirmed.is_empty())
    }

    /// Whether an answer has to come.
    pub(crate) const fn waits(&self) -> bool {
        !self.expected.is_empty() || self.pings > 0
    }
}
