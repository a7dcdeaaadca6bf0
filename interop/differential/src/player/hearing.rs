//! What a broker says, noted as answers, and what follows from it.

use leveret_protocol::method::{channel, connection};

use super::{BYSTANDER, Player};
use crate::answer::show_message;
use crate::line::LineWriter;
use crate::said::Said;
use crate::step::{Action, Place};
use crate::watch::{Counts, FIRST_CHANNEL};

impl Player<'_> {
    pub(super) fn hear(&mut self, letter: char, number: u16, said: Said) {
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
                    Some(text) => line.word(names.show(text)).finish(),
                    None => line.finish(),
                });
            }
            Said::DeclareOk { queue, ready, consumers } => {
                let declared = channel.fulfil("queue.declare-ok").and_then(|expected| expected.action);
                let line = LineWriter::new("queue.declare-ok").word(names.show(&queue));
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
                let shown = names.show(&consumer);
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
                heard.cancelled(LineWriter::new("basic.cancel").word(names.show(consumer)).finish());
            }
            Said::Close { code, text, method } => {
                let what = if number == 0 { "connection.close" } else { "channel.close" };
                let line = LineWriter::new(what).word(code.to_string()).word(names.show(text)).word(method);
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

    pub(super) fn lost(&mut self, place: Option<Place>) {
        self.news += 1;
        if let Some(place) = place {
            self.notes.push(format!("{} gone", place.connection)); // how it went is the operating system's word
            self.give_up(place.connection);
        }
    }
}
