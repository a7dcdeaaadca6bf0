//! exchange.* and queue.*: from method arguments to calls of the vhost. Line ends are stripped from names here (M-24).

use std::borrow::Cow;

use leveret_protocol::Method;
use leveret_protocol::method::{exchange, queue};

use super::{Channel, Session};
use crate::broker::topology::{Declare, ExchangeFlags};
use crate::broker::{BrokerError, Effects, Queue, QueueDeclare, REPLY_TO, ReplyRoute, is_reply_address};
use crate::error::Error;

impl Channel {
    pub(super) fn exchange_declare(&self, m: &exchange::Declare<'_>, s: &mut Session<'_>) -> Result<(), Error> {
        let declare = Declare {
            name: &clean(m.exchange),
            exchange_type: m.kind,
            passive: m.passive,
            flags: ExchangeFlags { durable: m.durable, auto_delete: m.auto_delete, internal: m.internal },
            arguments: m.arguments,
        };
        s.vhost.declare_exchange(&declare, s.fx)?;
        self.answer(m.nowait, Method::ExchangeDeclareOk(exchange::DeclareOk {}), s)
    }

    pub(super) fn exchange_delete(&self, m: &exchange::Delete<'_>, s: &mut Session<'_>) -> Result<(), Error> {
        s.vhost.delete_exchange(&clean(m.exchange), m.if_unused, s.fx)?;
        self.answer(m.nowait, Method::ExchangeDeleteOk(exchange::DeleteOk {}), s)
    }

    pub(super) fn exchange_bind(&self, m: &exchange::Bind<'_>, s: &mut Session<'_>) -> Result<(), Error> {
        s.vhost.bind_exchange(&clean(m.destination), &clean(m.source), m.routing_key, m.arguments, s.fx)?;
        self.answer(m.nowait, Method::ExchangeBindOk(exchange::BindOk {}), s)
    }

    pub(super) fn exchange_unbind(&self, m: &exchange::Unbind<'_>, s: &mut Session<'_>) -> Result<(), Error> {
        s.vhost.unbind_exchange(&clean(m.destination), &clean(m.source), m.routing_key, m.arguments, s.fx)?;
        self.answer(m.nowait, Method::ExchangeUnbindOk(exchange::UnbindOk {}), s)
    }

    pub(super) fn queue_declare(&mut self, m: &queue::Declare<'_>, s: &mut Session<'_>) -> Result<(), Error> {
        let given = clean(m.queue);
        if given == REPLY_TO || is_reply_address(given.as_bytes()) {
            return self.reply_queue_declare(m, &given, s);
        }
        let queue = if m.passive {
            let queue = s.vhost.accessible_queue(&given, s.peer.id)?;
            queue.declared_again(s.fx);
            queue
        } else {
            let server_named = given.is_empty();
            let name = if server_named { Cow::Owned(s.broker.generate_name("amq.gen-")) } else { given };
            let declare = QueueDeclare {
                name: &name,
                server_named,
                durable: m.durable,
                exclusive: m.exclusive,
                auto_delete: m.auto_delete,
                arguments: &m.arguments.to_owned(),
            };
            let (queue, created) = s.vhost.declare_queue(&declare, s.peer.id, s.fx)?;
            if created {
                note_no_effect(&queue, s.fx);
            }
            if created && m.exclusive {
                s.own(&queue);
            }
            queue
        };
        self.last_queue = Some(queue.name.clone());
        if m.nowait {
            return Ok(());
        }
        let counts = queue.counts();
        let ok = queue::DeclareOk {
            queue: &queue.name,
            message_count: saturated(counts.ready),
            consumer_count: saturated(counts.consumers),
        };
        s.out.method(self.number, &Method::QueueDeclareOk(ok));
        Ok(())
    }

    pub(super) fn queue_bind(&self, m: &queue::Bind<'_>, s: &mut Session<'_>) -> Result<(), Error> {
        let (queue, key) = self.binding_names(m.queue, m.routing_key)?;
        refuse_reply_address(&queue)?;
        s.vhost.bind_queue(&queue, &clean(m.exchange), &key, m.arguments, s.peer.id, s.fx)?;
        self.answer(m.nowait, Method::QueueBindOk(queue::BindOk {}), s)
    }

    pub(super) fn queue_unbind(&self, m: &queue::Unbind<'_>, s: &mut Session<'_>) -> Result<(), Error> {
        let (queue, key) = self.binding_names(m.queue, m.routing_key)?;
        refuse_reply_address(&queue)?;
        s.vhost.unbind_queue(&queue, &clean(m.exchange), &key, m.arguments, s.peer.id, s.fx)?;
        self.answer(false, Method::QueueUnbindOk(queue::UnbindOk {}), s)
    }

    pub(super) fn queue_purge(&self, m: &queue::Purge<'_>, s: &mut Session<'_>) -> Result<(), Error> {
        let name = self.queue_name(m.queue)?;
        let message_count = match is_reply_address(name.as_bytes()) {
            true => 0,
            false => s.vhost.accessible_queue(&name, s.peer.id)?.purge(s.fx),
        };
        let ok = queue::PurgeOk { message_count: saturated(message_count) };
        self.answer(m.nowait, Method::QueuePurgeOk(ok), s)
    }

    pub(super) fn queue_delete(&self, m: &queue::Delete<'_>, s: &mut Session<'_>) -> Result<(), Error> {
        let name = self.queue_name(&clean(m.queue))?;
        let message_count = s.vhost.delete_queue(&name, m.if_unused, m.if_empty, s.peer.id, s.fx)?;
        let ok = queue::DeleteOk { message_count: saturated(message_count) };
        self.answer(m.nowait, Method::QueueDeleteOk(ok), s)
    }

    /// Whether a requester can still be answered.
    fn reply_queue_declare(&mut self, m: &queue::Declare<'_>, name: &str, s: &mut Session<'_>) -> Result<(), Error> {
        if name != REPLY_TO && s.broker.replies().find(name.as_bytes()) != ReplyRoute::Alive {
            return Err(s.vhost.no_queue(name).into());
        }
        self.last_queue = Some(name.into());
        let ok = queue::DeclareOk { queue: name, message_count: 0, consumer_count: 1 };
        self.answer(m.nowait, Method::QueueDeclareOk(ok), s)
    }

    /// Queue and key of a bind: with both empty, the key is the queue's name too (M-09).
    fn binding_names(&self, queue: &str, key: &str) -> Result<(String, String), Error> {
        let queue = clean(queue);
        let name = self.queue_name(&queue)?;
        let key = if queue.is_empty() && key.is_empty() { name.clone() } else { key.to_owned() };
        Ok((name, key))
    }

    fn answer(&self, nowait: bool, method: Method<'_>, s: &mut Session<'_>) -> Result<(), Error> {
        if !nowait {
            s.out.method(self.number, &method);
        }
        Ok(())
    }
}

fn refuse_reply_address(queue: &str) -> Result<(), Error> {
    if is_reply_address(queue.as_bytes()) { Err(BrokerError::BindReplyTo.into()) } else { Ok(()) }
}

fn note_no_effect(queue: &Queue, fx: &mut Effects) {
    let arguments: Vec<_> = queue.settings.without_effect().collect();
    if !arguments.is_empty() {
        fx.note(format!(
            "queue '{}' was declared with arguments that have no effect yet: {}",
            queue.name,
            arguments.join(" ")
        ));
    }
}

/// A name without line ends (M-24).
fn clean(name: &str) -> Cow<'_, str> {
    if name.contains(['\r', '\n']) { name.replace(['\r', '\n'], "").into() } else { name.into() }
}

fn saturated(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
