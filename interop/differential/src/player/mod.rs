//! Plays a script on a broker, step by step, and writes down what each step was answered.
//!
//! After a step the player waits until nothing more can come of it: answers and confirms are counted, every channel is
//! asked for a sign of life, and a bystander counts the messages of all queues until two looks agree.

mod cleaning;
mod hearing;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use leveret_protocol::FieldValue;
use leveret_protocol::method::connection;

use crate::answer::Heard;
use crate::connection::Connection;
use crate::line::LineWriter;
use crate::link::{Gone, PATIENCE};
use crate::names::Names;
use crate::script::Script;
use crate::step::{Action, Place, Step, Target};
use crate::uri::Uri;
use crate::watch::{Counts, Watch};

/// The answers to each step of a script.
pub(crate) type Answers = Vec<Vec<String>>;

/// Plays a script under names that begin with `prefix`, and removes what it made.
pub(crate) fn play(uri: &Uri, script: &Script, prefix: String) -> Answers {
    let mut player = Player {
        uri,
        names: Names::new(prefix),
        connections: BTreeMap::from([(BYSTANDER, Connection::default())]),
        watch: Watch::default(),
        heard: BTreeMap::new(),
        notes: Vec::new(),
        news: 0,
        rest: if script.steps.iter().any(makes_quorum_queue) { REST_QUORUM } else { REST },
    };
    let answers = script.steps.iter().map(|step| player.step(step)).collect();
    player.clean(script);
    answers
}

/// The connection that looks at queues.
const BYSTANDER: char = '~';
/// How long queues have to come to rest between two looks, and how many looks must agree. RabbitMQ's classic queues tell
/// their counts before they look at what was sent earlier, and its quorum queues apply what their log has.
const REST: (Duration, usize) = (Duration::from_millis(3), 2);
const REST_QUORUM: (Duration, usize) = (Duration::from_millis(25), 3);
/// How long RabbitMQ's quorum queues may take to hear that a channel is gone; closing it does not wait for that.
const LOSS_NOTICED: Duration = Duration::from_millis(300);
const ROUNDS_MAX: usize = 200;

struct Player<'a> {
    uri: &'a Uri,
    names: Names,
    connections: BTreeMap<char, Connection>,
    watch: Watch,
    heard: BTreeMap<Place, Heard>,
    notes: Vec<String>,
    /// Grows with everything that is heard.
    news: u64,
    rest: (Duration, usize),
}

impl Player<'_> {
    fn step(&mut self, step: &Step) -> Vec<String> {
        if let Err(Gone { .. }) = self.perform(step) {
            self.lost(step.place);
        }
        if step.pipelined {
            return Vec::new();
        }
        if self.rest == REST_QUORUM && step.action.ends_consumers() {
            std::thread::sleep(LOSS_NOTICED);
        }
        self.settle();
        let mut lines: Vec<String> = std::mem::take(&mut self.notes);
        for (place, heard) in std::mem::take(&mut self.heard) {
            lines.extend(heard.into_lines(place));
        }
        for (queue, counts) in self.watch.changes() {
            let line = LineWriter::new("queue").word(self.names.show(queue));
            lines.push(match counts {
                Counts::Gone => line.flag("gone", true).finish(),
                Counts::Here { ready, consumers } => {
                    line.named("ready", ready.to_string()).named("consumers", consumers.to_string()).finish()
                }
            });
        }
        lines
    }

    fn perform(&mut self, step: &Step) -> Result<(), Gone> {
        match (&step.action, step.place) {
            (Action::Sleep { ms }, _) => std::thread::sleep(Duration::from_millis(*ms)),
            (Action::Wait { queue, ready }, _) => self.wait(queue, *ready),
            (Action::Await { count }, Some(place)) => self.await_deliveries(place, *count),
            (Action::ConnectionDrop, Some(place)) => {
                self.connection(place.connection).forget();
                self.watch.lost(place.connection, BYSTANDER);
            }
            (Action::ConnectionClose, Some(place)) => {
                let close = connection::Close { reply_code: 200, reply_text: "Goodbye", class_id: 0, method_id: 0 };
                let (uri, connection) = (self.uri, self.connection(place.connection));
                let link = connection.link(uri)?;
                link.write(0, close);
                link.flush()?;
                connection.channels.entry(0).or_default().sent(&step.action, 0);
            }
            (action, Some(place)) => self.send(place, action)?,
            (_, None) => {}
        }
        Ok(())
    }

    fn send(&mut self, place: Place, action: &Action) -> Result<(), Gone> {
        let target = match action {
            Action::Ack { target, .. } | Action::Nack { target, .. } | Action::Reject { target, .. } => Some(target),
            _ => None,
        };
        let channel = self.connection(place.connection).channels.get(&place.channel);
        let tag = target.map(|target| match (target, channel) {
            (Target::Tag(tag), _) => Some(*tag),
            (target, channel) => channel.and_then(|channel| channel.find(target)),
        });
        if tag == Some(None) {
            self.notes.push(format!("{place} nothing to settle"));
            return Ok(());
        }
        if let Action::QueueDeclare { queue, nowait: true, .. } = action {
            self.watch_declared(place, queue.clone(), action);
        }
        let connection = self.connections.entry(place.connection).or_default();
        connection.send(self.uri, place.channel, action, &self.names, tag.flatten().unwrap_or_default())
    }

    fn connection(&mut self, connection: char) -> &mut Connection {
        self.connections.entry(connection).or_default()
    }

    /// Looks at a queue from now on, unless looking keeps it from expiring or its name is not known.
    fn watch_declared(&mut self, place: Place, queue: String, declare: &Action) {
        let Action::QueueDeclare { exclusive, args, passive: false, .. } = declare else {
            return;
        };
        if args.get("x-expires").is_none() && !queue.is_empty() {
            let connection = if *exclusive { place.connection } else { BYSTANDER };
            self.watch.add(&self.names.to_wire(&queue), connection);
        }
    }

    // --- Waiting ---

    fn settle(&mut self) {
        self.pump_all(|player, letter| {
            let connection = &player.connections[&letter];
            connection.channels.values().any(|channel| channel.waits() || channel.waits_for_confirms())
        });
        self.ping();
        let (mut before, mut quiet) = (self.news, 0);
        for _ in 0..ROUNDS_MAX {
            self.look();
            self.ping();
            quiet = if self.news == before { quiet + 1 } else { 0 };
            if quiet >= self.rest.1 {
                break;
            }
            before = self.news;
            std::thread::sleep(self.rest.0);
        }
    }

    fn ping(&mut self) {
        let letters: Vec<char> = self.connections.keys().copied().filter(|letter| *letter != BYSTANDER).collect();
        for letter in letters {
            if let Err(Gone { .. }) = self.connection(letter).ping() {
                self.lost(Some(Place { connection: letter, channel: 0 }));
            }
        }
        self.pump_all(|player, letter| player.connections[&letter].channels.values().any(|channel| channel.waits()));
    }

    fn look(&mut self) {
        for (queue, letter, channel) in self.watch.due() {
            let uri = self.uri;
            if let Err(Gone { .. }) = self.connection(letter).look(uri, channel, &queue) {
                self.lost(Some(Place { connection: letter, channel: 0 }));
            }
        }
        self.pump_all(|player, letter| player.watch.waits(letter));
    }

    fn wait(&mut self, queue: &str, wanted: u32) {
        let wire = self.names.to_wire(queue);
        let deadline = Instant::now() + PATIENCE * 2;
        loop {
            self.look();
            let seen = self.watch.queues.get(&wire).and_then(|watched| watched.seen);
            if matches!(seen, Some(Counts::Here { ready, .. }) if ready == wanted) {
                return;
            }
            if Instant::now() > deadline {
                self.notes.push(format!("waited for nothing, {queue} is {seen:?}"));
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn await_deliveries(&mut self, place: Place, count: usize) {
        let missing = move |player: &Self, letter| {
            letter == place.connection && player.heard.get(&place).map_or(0, Heard::deliveries) < count
        };
        self.pump_all(missing);
    }

    /// Reads every connection as long as it misses something. One that misses it for too long is noted.
    fn pump_all(&mut self, missing: impl Fn(&Self, char) -> bool) {
        let letters: Vec<char> = self.connections.keys().copied().collect();
        for letter in letters {
            let deadline = Instant::now() + PATIENCE;
            while missing(self, letter) {
                let Some(link) = &mut self.connection(letter).link else {
                    break;
                };
                match link.read(deadline) {
                    Ok(said) if said.is_empty() => {
                        self.notes.push(format!("{letter} no answer within {} s", PATIENCE.as_secs()));
                        self.give_up(letter);
                        break;
                    }
                    Ok(said) => said.into_iter().for_each(|(channel, said)| self.hear(letter, channel, said)),
                    Err(Gone { .. }) => self.lost(Some(Place { connection: letter, channel: 0 })),
                }
            }
        }
    }

    /// Stops waiting for answers that do not come: the connection begins anew.
    fn give_up(&mut self, letter: char) {
        self.connection(letter).forget();
        self.watch.lost(letter, BYSTANDER);
    }
}

fn makes_quorum_queue(step: &Step) -> bool {
    let Action::QueueDeclare { args, .. } = &step.action else {
        return false;
    };
    args.get("x-queue-type").and_then(FieldValue::as_str) == Some("quorum")
}
