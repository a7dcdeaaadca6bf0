//! Plays a script on a broker, step by step, and writes down what each step was answered.
//!
//! After a step the player waits until nothing more can come of it: answers and confirms are counted, every channel is
//! asked for a sign of life, and a bystander counts the messages of all queues until two looks agree.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use leveret_protocol::FieldValue;
use leveret_protocol::method::{channel, connection};

use crate::answer::{Heard, show_message};
use crate::connection::Connection;
use crate::line::LineWriter;
use crate::link::{Gone, PATIENCE};
use crate::names::Names;
use crate::said::Said;
use crate::script::Script;
use crate::step::{Action, Place, Step, Target};
use crate::uri::Uri;
use crate::watch::{Counts, FIRST_CHANNEL, Watch};

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
        self.settle();
        let mut lines: Vec<String> = std::mem::take(&mut self.notes);
        for (place, heard) in std::mem::take(&mut self.heard) {
            lines.extend(heard.into_lines(place));
        }
        for (queue, counts) in self.watch.changes() {
            let line = LineWriter::new("queue").word(self.names.to_script(queue));
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

    // --- Hearing ---

    fn hear(&mut self, letter: char, number: u16, said: Said) {
        if number >= FIRST_CHANNEL {
            return self.hear_look(letter, number, &said);
        }
        let place = Place { connection: letter, channel: number };
        let connection = self.connections.entry(letter).or_default();
        let channel = connection.channels.entry(number).or_default();
        let heard = self.heard.entry(place).or_default();
        if !matches!(said, Said::FlowOk) {
            self.news += 1;
        }
        let names = &mut self.names;
        match said {
            Said::FlowOk => channel.pings = channel.pings.saturating_sub(1),
            Said::Reply { name: "channel.open-ok", .. } => drop(channel.fulfil("channel.open-ok")),
            Said::Reply { name: "connection.close-ok", .. } => {
                heard.reply("connection.close-ok".to_owned());
                connection.forget();
                self.watch.lost(letter, BYSTANDER);
            }
            Said::Reply { name: name @ "channel.close-ok", .. } => {
                channel.open = false;
                channel.expected.clear();
                channel.pings = 0;
                heard.reply(name.to_owned());
            }
            Said::Reply { name, text } => {
                let wanted = if name == "basic.get-empty" { "basic.get" } else { name };
                if let Some(Action::Consume { no_ack: true, .. }) = channel.fulfil(wanted).and_then(|e| e.action) {
                    text.iter().for_each(|tag| channel.consumes_without_ack(tag.clone()));
                }
                let line = LineWriter::new(name);
                heard.reply(match text {
                    Some(text) => line.word(names.to_script(text)).finish(),
                    None => line.finish(),
                });
            }
            Said::DeclareOk { queue, ready, consumers } => {
                let declared = channel.fulfil("queue.declare-ok").and_then(|expected| expected.action);
                let line = LineWriter::new("queue.declare-ok").word(names.to_script(&queue));
                heard.reply(line.word(ready.to_string()).word(consumers.to_string()).finish());
                if let Some(declare) = declared {
                    self.watch_declared(place, queue, &declare);
                }
            }
            Said::GetOk { tag, redelivered, left, message } => {
                let expected = channel.fulfil("basic.get").and_then(|expected| expected.action);
                if !matches!(expected, Some(Action::Get { no_ack: true, .. })) {
                    channel.delivered("", tag, &message.body);
                }
                let line =
                    LineWriter::new("basic.get-ok").named("tag", tag.to_string()).flag("redelivered", redelivered);
                heard.reply(show_message(line.named("left", left.to_string()), message, names).finish());
            }
            Said::Deliver { consumer, tag, redelivered, message } => {
                channel.delivered(&consumer, tag, &message.body);
                let shown = names.to_script(&consumer);
                let line = LineWriter::new("basic.deliver").word(&shown).named("tag", tag.to_string());
                let line = show_message(line.flag("redelivered", redelivered), message, names);
                heard.delivered(String::from_utf8_lossy(&shown).into_owned(), line.finish());
            }
            Said::Return { code, text, message } => {
                let line = LineWriter::new("basic.return").word(code.to_string()).word(text);
                heard.returned(show_message(line, message, names).finish());
            }
            Said::Confirm { ack, tag, multiple } => heard.confirmed(ack, channel.confirmed(tag, multiple)),
            Said::Cancel { consumer } => {
                heard.cancelled(LineWriter::new("basic.cancel").word(names.to_script(consumer)).finish());
            }
            Said::Close { code, text, method } => {
                let what = if number == 0 { "connection.close" } else { "channel.close" };
                let line = LineWriter::new(what).word(code.to_string()).word(names.to_script(text)).word(method);
                heard.closed(line.finish());
                self.closed(letter, number);
            }
        }
    }

    fn hear_look(&mut self, letter: char, number: u16, said: &Said) {
        let counts = match *said {
            Said::DeclareOk { ready, consumers, .. } => Counts::Here { ready, consumers },
            Said::Close { .. } => {
                self.closed(letter, number);
                Counts::Gone
            }
            _ => {
                let channel = self.connection(letter).channels.entry(number).or_default();
                channel.expected.clear();
                channel.pings = 0;
                return;
            }
        };
        self.news += u64::from(self.watch.saw(letter, number, counts));
    }

    /// Answers a close of the broker.
    fn closed(&mut self, letter: char, number: u16) {
        let connection = self.connection(letter);
        if let Some(link) = &mut connection.link {
            match number {
                0 => link.write(0, connection::CloseOk {}),
                number => link.write(number, channel::CloseOk {}),
            }
            let _ = link.flush(); // the broker may have gone already
        }
        connection.channels.remove(&number);
        if number == 0 {
            self.give_up(letter);
        }
    }

    fn lost(&mut self, place: Option<Place>) {
        self.news += 1;
        if let Some(place) = place {
            self.notes.push(format!("{} gone", place.connection)); // how it went is the operating system's word
            self.give_up(place.connection);
        }
    }

    // --- The end ---

    fn clean(mut self, script: &Script) {
        for connection in self.connections.values_mut() {
            if let Some(link) = connection.link.take() {
                link.close();
            }
        }
        let mut deletes: Vec<Action> = self.names.made_queues().map(|queue| delete_queue(queue.to_owned())).collect();
        for step in &script.steps {
            match &step.action {
                Action::QueueDeclare { queue, .. } => deletes.push(delete_queue(queue.clone())),
                Action::ExchangeDeclare { exchange, .. } => deletes.push(delete_exchange(exchange.clone())),
                _ => {}
            }
        }
        deletes.retain(is_own);
        let mut cleaner = Connection::default();
        for (number, delete) in (1..).zip(&deletes) {
            if cleaner.send(self.uri, number, delete, &self.names, 0).is_err() {
                return;
            }
        }
        if let Some(mut link) = cleaner.link {
            let deadline = Instant::now() + PATIENCE;
            let mut answered = 0;
            while answered < deletes.len() * 2 && Instant::now() < deadline {
                match link.read(deadline) {
                    Ok(said) => answered += said.len(), // channel.open-ok and delete-ok, or a close
                    Err(_) => return,
                }
            }
            link.close();
        }
    }
}

fn delete_queue(queue: String) -> Action {
    Action::QueueDelete { queue, if_unused: false, if_empty: false, nowait: false }
}

fn delete_exchange(exchange: String) -> Action {
    Action::ExchangeDelete { exchange, if_unused: false, nowait: false }
}

fn is_own(delete: &Action) -> bool {
    matches!(delete, Action::QueueDelete { queue: name, .. } | Action::ExchangeDelete { exchange: name, .. }
        if name.starts_with('@') || name.starts_with("amq.gen-"))
}

fn makes_quorum_queue(step: &Step) -> bool {
    let Action::QueueDeclare { args, .. } = &step.action else {
        return false;
    };
    args.get("x-queue-type").and_then(FieldValue::as_str) == Some("quorum")
}
