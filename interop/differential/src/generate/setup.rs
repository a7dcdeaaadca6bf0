//! The exchanges, queues and bindings that a generated script begins with.

use leveret_protocol::{FieldTable, FieldValue};

use super::{CONFIRMING, Draft, SETUP, Theme};
use crate::step::Action;

impl Draft {
    /// Declares everything.
    pub(super) fn set_up(&mut self) {
        if self.theme == Theme::Routing || self.random.chance(30) {
            self.declare_exchanges();
        }
        for _ in 0..self.random.between(1, 3) {
            let name = format!("@q{}", self.queues.len() + 1);
            self.queues.push(name);
        }
        for index in 0..self.queues.len() {
            self.declare_queue(index);
        }
        for _ in 0..self.exchanges.len() * 2 {
            self.bind();
        }
        self.add(CONFIRMING, Action::ConfirmSelect { nowait: false });
        if self.theme == Theme::Transactions {
            self.add(super::place('a', 3), Action::TxSelect);
        }
    }

    fn declare_exchanges(&mut self) {
        let count = if self.theme == Theme::Routing { self.random.between(2, 4) } else { 1 };
        for _ in 0..count {
            let exchange = format!("@x{}", self.exchanges.len() + 1);
            let kind = self.random.pick(&["direct", "fanout", "topic", "headers"]).to_owned();
            let mut args = FieldTable::new();
            if self.random.chance(25) {
                args.insert("alternate-exchange", format!("@x{}", self.random.between(1, 4)));
            }
            let auto_delete = self.theme == Theme::Routing && self.random.chance(20);
            let internal = self.theme == Theme::Routing && self.random.chance(10);
            let durable = self.random.chance(50);
            let (passive, nowait) = (false, false);
            self.exchanges.push(exchange.clone());
            let declare =
                Action::ExchangeDeclare { exchange, kind, passive, durable, auto_delete, internal, nowait, args };
            self.add(SETUP, declare);
        }
    }

    /// Declares a queue as the theme has them, which may contradict what is there.
    pub(super) fn declare_queue(&mut self, index: usize) {
        let queue = self.queues[index].clone();
        let args = self.queue_arguments();
        let quorum = args.get("x-queue-type").is_some();
        let durable = quorum || self.random.chance(50);
        let lives_shortly = self.theme == Theme::Consumers && !quorum;
        let exclusive = lives_shortly && self.random.chance(10);
        let auto_delete = lives_shortly && self.random.chance(30);
        let declare =
            Action::QueueDeclare { queue, passive: false, durable, exclusive, auto_delete, nowait: false, args };
        self.add(SETUP, declare);
    }

    fn queue_arguments(&mut self) -> FieldTable {
        let mut args = FieldTable::new();
        match self.theme {
            Theme::Settling | Theme::Routing | Theme::Transactions => {}
            Theme::Limits => self.limits(&mut args),
            Theme::Priorities => match self.random.chance(80) {
                true => args.insert("x-max-priority", self.random.pick(&[1i32, 3, 5, 10])),
                false => args.insert("x-queue-type", "quorum"),
            },
            Theme::Expiry => {
                if self.random.chance(60) {
                    args.insert("x-message-ttl", self.random.pick(&[0i32, 20, 40, 60, 60_000]));
                }
                if self.random.chance(15) {
                    self.limits(&mut args);
                }
            }
            Theme::Quorum => {
                args.insert("x-queue-type", "quorum");
                if self.random.chance(60) {
                    args.insert("x-delivery-limit", self.random.between(0, 3) as i32);
                }
                if self.random.chance(20) {
                    args.insert("x-single-active-consumer", true);
                }
            }
            Theme::Consumers => {
                if self.random.chance(60) {
                    args.insert("x-single-active-consumer", true);
                }
                if self.random.chance(15) {
                    args.insert("x-max-priority", 5i32);
                }
            }
        }
        let dead_letters = match self.theme {
            Theme::Limits | Theme::Expiry | Theme::Quorum => 75,
            Theme::Settling | Theme::Priorities => 30,
            Theme::Routing | Theme::Consumers | Theme::Transactions => 0,
        };
        if self.random.chance(dead_letters) {
            self.dead_letter(&mut args);
        }
        args
    }

    fn limits(&mut self, args: &mut FieldTable) {
        if self.random.chance(75) {
            args.insert("x-max-length", self.random.between(0, 4) as i32);
        }
        if self.random.chance(25) {
            args.insert("x-max-length-bytes", FieldValue::I64(self.random.between(2, 12) as i64));
        }
        if self.random.chance(60) {
            args.insert("x-overflow", self.random.pick(&["drop-head", "reject-publish", "reject-publish-dlx"]));
        }
    }

    fn dead_letter(&mut self, args: &mut FieldTable) {
        let exchange = match self.exchanges.first() {
            Some(exchange) if self.random.chance(40) => exchange.clone(),
            _ => String::new(),
        };
        args.insert("x-dead-letter-exchange", exchange);
        if self.random.chance(70) {
            let (_, queue) = self.queue();
            args.insert("x-dead-letter-routing-key", queue);
        }
    }

    /// Binds a queue or an exchange.
    pub(super) fn bind(&mut self) {
        let exchange = self.random.pick(&self.exchanges);
        let key = self.random.pick(&["red", "red.hot", "*.hot", "#", "red.#", "blue"]).to_owned();
        let args = self.binding_arguments();
        if self.random.chance(25) {
            let destination = self.random.pick(&self.exchanges);
            self.add(SETUP, Action::ExchangeBind { destination, source: exchange, key, nowait: false, args });
        } else {
            let (_, queue) = self.queue();
            self.add(SETUP, Action::QueueBind { queue, exchange, key, nowait: false, args });
        }
    }

    fn binding_arguments(&mut self) -> FieldTable {
        let mut args = FieldTable::new();
        if self.random.chance(40) {
            args.insert("x-match", self.random.pick(&["all", "any", "all-with-x", "any-with-x"]));
        }
        for name in ["kind", "x-size"] {
            if self.random.chance(40) {
                args.insert(name, self.random.pick(&[1i32, 2]));
            }
        }
        args
    }
}
