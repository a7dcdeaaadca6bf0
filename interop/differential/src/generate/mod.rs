//! Scripts made from a seed: the same seed gives the same script on every machine.

mod operations;
mod random;
mod setup;

use random::Random;

use crate::message::Message;
use crate::script::Script;
use crate::step::{Action, Place, Step};

/// What a generated script is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Theme {
    /// Several consumers and gets with settling of every kind, on classic queues.
    Settling,
    /// Exchanges of all types, bound to queues and to each other, with alternates.
    Routing,
    /// Length limits with every overflow, and dead-lettering.
    Limits,
    /// Messages and consumers with priorities.
    Priorities,
    /// Time to live of queues and messages, and dead-lettering.
    Expiry,
    /// Quorum queues with delivery limits.
    Quorum,
    /// Single active, exclusive and prioritised consumers; auto-delete and exclusive queues.
    Consumers,
    /// Transactions.
    Transactions,
}

/// All themes, with their names and how many scripts of each are played.
const THEMES: [(Theme, &str, u64); 8] = [
    (Theme::Settling, "settling", 50),
    (Theme::Routing, "routing", 50),
    (Theme::Limits, "limits", 50),
    (Theme::Priorities, "priorities", 40),
    (Theme::Expiry, "expiry", 40),
    (Theme::Quorum, "quorum", 40),
    (Theme::Consumers, "consumers", 40),
    (Theme::Transactions, "transactions", 30),
];

/// Scripts of all themes, for seeds from 0 on; `times` as many as usual.
pub(crate) fn generated(times: u64) -> impl Iterator<Item = Script> {
    THEMES.into_iter().flat_map(move |(theme, name, count)| {
        (0..count * times).map(move |seed| generate(theme, format!("generated-{name}-{seed:03}"), seed))
    })
}

fn generate(theme: Theme, name: String, seed: u64) -> Script {
    let mut draft = Draft {
        theme,
        random: Random::new(seed, &name),
        steps: Vec::new(),
        queues: Vec::new(),
        exchanges: Vec::new(),
        consumers: Vec::new(),
        holders: Vec::new(),
        bodies: 0,
    };
    draft.set_up();
    for _ in 0..draft.random.between(10, 24) {
        draft.operation();
    }
    draft.drain();
    Script { name, steps: draft.steps }
}

/// A script in the making.
///
/// Messages of two queues never go to consumers of one channel, since their order would be anyone's guess.
#[derive(Debug)]
struct Draft {
    theme: Theme,
    random: Random,
    steps: Vec<Step>,
    queues: Vec<String>,
    exchanges: Vec<String>,
    consumers: Vec<(Place, String)>,
    /// Channels that may have unsettled messages.
    holders: Vec<Place>,
    bodies: u32,
}

const fn place(connection: char, channel: u16) -> Place {
    Place { connection, channel }
}

/// The channel that declares.
const SETUP: Place = place('a', 1);
/// The channel that publishes with confirms.
const CONFIRMING: Place = place('a', 2);
/// Longer than any message of [`Theme::Expiry`] lives that is to die.
const EXPIRED_MS: u64 = 160;

impl Draft {
    /// Appends a step that no message can come of later.
    fn add(&mut self, place: Place, action: Action) {
        self.steps.push(Step { place: Some(place), action, pipelined: false });
    }

    /// Appends a step after which messages may expire.
    fn act(&mut self, place: Place, action: Action) {
        let pipelined = self.theme == Theme::Expiry;
        self.steps.push(Step { place: Some(place), action, pipelined });
        if pipelined {
            self.steps.push(Step { place: None, action: Action::Sleep { ms: EXPIRED_MS }, pipelined: false });
        }
    }

    fn message(&mut self, exchange: &str, key: &str) -> Message {
        self.bodies += 1;
        let body = format!("m{}", self.bodies).into_bytes();
        Message { exchange: exchange.to_owned(), key: key.to_owned(), body, count: 1, ..Message::default() }
    }

    fn queue(&mut self) -> (usize, String) {
        let index = self.random.below(self.queues.len() as u64) as usize;
        (index, self.queues[index].clone())
    }

    /// Closes all but one connection and takes what is left, in order.
    fn drain(&mut self) {
        for connection in ['b', 'c', 'g'] {
            if self.steps.iter().any(|step| step.place.is_some_and(|place| place.connection == connection)) {
                self.act(place(connection, 0), Action::ConnectionClose);
            }
        }
        for (queue, number) in self.queues.clone().into_iter().zip(1..) {
            let (tag, args) = ("drain".to_owned(), Default::default());
            let consume = Action::Consume { queue, tag, no_ack: true, exclusive: false, nowait: false, args };
            self.act(place('d', number), consume);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_scripts_are_what_they_are_printed_as() {
        for script in generated(2) {
            let printed = script.to_string();
            assert_eq!(Script::parse(&script.name, &printed), Ok(script));
        }
    }

    #[test]
    fn a_seed_gives_one_script() {
        assert!(generated(1).eq(generated(1)));
    }
}
