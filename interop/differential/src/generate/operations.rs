//! What happens in a generated script once everything is declared.

use leveret_protocol::{FieldTable, FieldValue};

use super::{CONFIRMING, Draft, SETUP, Theme, place};
use crate::step::{Action, Place, Target};

impl Draft {
    /// Appends one operation.
    pub(super) fn operation(&mut self) {
        if self.theme == Theme::Transactions && self.random.chance(20) {
            return self.end_transaction();
        }
        match self.random.below(100) {
            0..40 => self.publish(),
            40..52 => self.get(),
            52..64 => self.consume(),
            64..84 => self.settle(),
            84..87 => self.recover(),
            87..90 => self.cancel(),
            90..92 => self.close(),
            92..95 => self.change_queue(),
            _ => self.change_routing(),
        }
    }

    fn publish(&mut self) {
        let (_, queue) = self.queue();
        let (exchange, key) = match self.exchanges.is_empty() || self.random.chance(30) {
            true => (String::new(), queue.clone()),
            false => (
                self.random.pick(&self.exchanges),
                self.random.pick(&["red", "red.hot", "blue", "blue.hot", ""]).to_owned(),
            ),
        };
        let mut message = self.message(&exchange, &key);
        message.mandatory = self.random.chance(15);
        if self.random.chance(15) {
            message.count = self.random.between(2, 5) as u32;
        }
        let numbers = &mut message.properties.numbers;
        if self.random.chance(20) {
            numbers.insert("delivery-mode", self.random.between(1, 2));
        }
        if self.random.chance(if self.theme == Theme::Priorities { 85 } else { 5 }) {
            numbers.insert("priority", self.random.pick(&[0, 1, 2, 3, 5, 9, 200]));
        }
        if self.theme == Theme::Expiry && self.random.chance(50) {
            let expiration = self.random.pick(&["0", "20", "50", "60000"]);
            message.properties.texts.insert("expiration", expiration.into());
        }
        message.properties.headers = self.headers();
        let place = match self.theme {
            Theme::Transactions if self.random.chance(60) => place('a', 3),
            Theme::Quorum | Theme::Priorities => CONFIRMING,
            _ => self.random.pick(&[SETUP, CONFIRMING, CONFIRMING]),
        };
        self.act(place, Action::Publish(message));
    }

    fn headers(&mut self) -> Option<FieldTable> {
        let mut headers = FieldTable::new();
        if self.theme == Theme::Routing {
            for name in ["kind", "x-size"] {
                if self.random.chance(40) {
                    headers.insert(name, FieldValue::I64(self.random.between(1, 2) as i64));
                }
            }
        }
        for name in ["CC", "BCC"] {
            if self.random.chance(5) {
                let (_, queue) = self.queue();
                headers.insert(name, vec![FieldValue::from(queue), FieldValue::from("red")]);
            }
        }
        if self.random.chance(10) {
            headers.insert("n", self.random.between(0, 9) as i16);
        }
        (!headers.is_empty()).then_some(headers)
    }

    fn get(&mut self) {
        let (_, queue) = self.queue();
        let place = match self.theme {
            Theme::Transactions if self.random.chance(50) => place('a', 3),
            _ => place('g', 1),
        };
        let no_ack = self.random.chance(20);
        self.act(place, Action::Get { queue, no_ack });
        self.holders.push(place);
    }

    fn consume(&mut self) {
        let (index, queue) = self.queue();
        let place = place(self.random.pick(&['b', 'c']), 1 + index as u16);
        let tag = format!("c{}", self.consumers.len() + 1);
        if self.random.chance(80) {
            let count = self.random.between(1, 4) as u16;
            self.add(place, Action::Qos { count, global: false });
        }
        let mut args = FieldTable::new();
        let priorities = if matches!(self.theme, Theme::Priorities | Theme::Consumers) { 50 } else { 5 };
        if self.random.chance(priorities) {
            args.insert("x-priority", self.random.between(0, 10) as i32 - 3);
        }
        let exclusive = self.theme == Theme::Consumers && self.random.chance(15);
        let no_ack = self.random.chance(12);
        self.consumers.push((place, tag.clone()));
        self.holders.push(place);
        self.act(place, Action::Consume { queue, tag, no_ack, exclusive, nowait: false, args });
    }

    fn holder(&mut self) -> Option<Place> {
        (!self.holders.is_empty()).then(|| self.random.pick(&self.holders))
    }

    fn settle(&mut self) {
        let Some(place) = self.holder() else {
            return self.publish();
        };
        let target = match self.random.below(10) {
            0..6 => Target::First,
            6..9 => Target::Last,
            _ => Target::Tag(self.random.between(0, 3)),
        };
        let (multiple, requeue) = (self.random.chance(25), self.random.chance(55));
        let action = match self.random.below(10) {
            0..4 => Action::Ack { target, multiple },
            4..7 => Action::Nack { target, multiple, requeue },
            _ => Action::Reject { target, requeue },
        };
        self.act(place, action);
    }

    fn recover(&mut self) {
        if let Some(place) = self.holder() {
            self.act(place, Action::Recover { requeue: true });
        }
    }

    fn cancel(&mut self) {
        if self.consumers.is_empty() {
            return;
        }
        let (place, tag) = self.random.pick(&self.consumers);
        self.act(place, Action::Cancel { tag, nowait: false });
    }

    fn close(&mut self) {
        let Some(holder) = self.holder() else {
            return;
        };
        match self.random.below(3) {
            0 => self.act(place(holder.connection, 0), Action::ConnectionClose),
            _ => self.act(holder, Action::ChannelClose),
        }
    }

    fn change_queue(&mut self) {
        let (index, queue) = self.queue();
        // A transaction that publishes to a queue which is gone at commit is an error of RabbitMQ's own.
        let choices = if self.theme == Theme::Transactions { 2 } else { 5 };
        match self.random.below(choices) {
            0 => self.act(SETUP, Action::QueuePurge { queue, nowait: false }),
            1 => self.declare_queue(index),
            _ => {
                let (if_unused, if_empty) = (self.random.chance(30), self.random.chance(30));
                self.act(SETUP, Action::QueueDelete { queue, if_unused, if_empty, nowait: false });
                self.declare_queue(index);
            }
        }
    }

    fn change_routing(&mut self) {
        if self.exchanges.is_empty() {
            return self.publish();
        }
        if self.random.chance(60) {
            return self.bind();
        }
        let exchange = self.random.pick(&self.exchanges);
        let if_unused = self.random.chance(30);
        self.add(SETUP, Action::ExchangeDelete { exchange, if_unused, nowait: false });
    }

    fn end_transaction(&mut self) {
        let action = if self.random.chance(70) { Action::TxCommit } else { Action::TxRollback };
        self.add(place('a', 3), action);
    }
}
