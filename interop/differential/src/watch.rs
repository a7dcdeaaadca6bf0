//! Counts of a script's queues as the broker tells them to a bystander.

use std::collections::BTreeMap;

/// What a passive declare says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counts {
    /// There is no such queue.
    Gone,
    /// Ready messages and consumers.
    Here { ready: u32, consumers: u32 },
}

/// A queue that is looked at after each step.
#[derive(Debug)]
pub(crate) struct Watched {
    /// The connection that looks: the owner's for an exclusive queue.
    pub(crate) connection: char,
    /// The channel that looks, one for each queue because a missing queue ends it.
    pub(crate) channel: u16,
    /// What was seen last.
    pub(crate) seen: Option<Counts>,
    /// What was said in an answer last.
    said: Option<Counts>,
    /// The answer has to come.
    pub(crate) asked: bool,
}

/// The queues of a script by their names on the wire.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    pub(crate) queues: BTreeMap<String, Watched>,
    channels: u16,
}

/// Channels from here on are the player's own.
pub(crate) const FIRST_CHANNEL: u16 = 1000;

impl Watch {
    /// Begins to look at a queue, or looks from another connection.
    pub(crate) fn add(&mut self, queue: &str, connection: char) {
        let channel = FIRST_CHANNEL + self.channels;
        let watched = self.queues.entry(queue.to_owned()).or_insert_with(|| {
            self.channels += 1;
            Watched { connection, channel, seen: None, said: None, asked: false }
        });
        watched.connection = connection;
        if watched.said == Some(Counts::Gone) {
            (watched.seen, watched.said) = (None, None);
        }
    }

    /// Takes the answer to a look; says whether it is news.
    pub(crate) fn saw(&mut self, connection: char, channel: u16, counts: Counts) -> bool {
        let looking = |watched: &&mut Watched| (watched.connection, watched.channel) == (connection, channel);
        let Some(watched) = self.queues.values_mut().find(looking) else {
            return false;
        };
        watched.asked = false;
        watched.seen.replace(counts) != Some(counts)
    }

    /// The queues to look at now: all that were not seen to be gone.
    pub(crate) fn due(&mut self) -> Vec<(String, char, u16)> {
        let here = self.queues.iter_mut().filter(|(_, watched)| watched.seen != Some(Counts::Gone));
        here.map(|(queue, watched)| {
            watched.asked = true;
            (queue.clone(), watched.connection, watched.channel)
        })
        .collect()
    }

    /// Whether an answer for `connection` has to come.
    pub(crate) fn waits(&self, connection: char) -> bool {
        self.queues.values().any(|watched| watched.asked && watched.connection == connection)
    }

    /// Forgets that answers have to come on `connection`; exclusive queues are looked at by the bystander from now on.
    pub(crate) fn lost(&mut self, connection: char, bystander: char) {
        for watched in self.queues.values_mut().filter(|watched| watched.connection == connection) {
            watched.asked = false;
            watched.connection = bystander;
        }
    }

    /// What has changed since it was asked last, by name on the wire.
    pub(crate) fn changes(&mut self) -> Vec<(String, Counts)> {
        let changed =
            self.queues.iter_mut().filter(|(_, watched)| watched.seen.is_some() && watched.seen != watched.said);
        changed
            .filter_map(|(queue, watched)| {
                watched.said = watched.seen;
                Some((queue.clone(), watched.seen?))
            })
            .collect()
    }
}
