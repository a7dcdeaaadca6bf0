//! basic.publish: checks in RabbitMQ's order (P-01), routing, returns and confirms.

use std::sync::Arc;

use leveret_protocol::method::basic;
use leveret_protocol::properties::{Treatment, canonicalize_headers_in_place};
use leveret_protocol::{BasicProperties, EncodedTable, Method, ReplyCode, Table};

use super::routes::{Route, Routes};
use super::tx::Publication;
use super::{Channel, ChannelError, Mode, PENDING_BYTES_MAX, Session};
use crate::broker::arguments::{Expiration, sender_selected_keys, without_bcc};
use crate::broker::exchange::RoutingKeys;
use crate::broker::{Body, Found, Life, Message, MoreKeys, Parts, REPLY_TO, ReplyRoute, is_reply_address};
use crate::error::Error;

/// A publish with its content.
pub struct Publish<'a> {
    /// The method.
    pub method: basic::Publish<'a>,
    /// Property flags and values as on the wire, readable.
    pub properties: &'a [u8],
    /// Bytes of the body, even if it was not kept because it is too large.
    pub body_size: u64,
    /// The body.
    pub body: Body<'a>,
}

/// Flags that say that no property is there.
const NO_PROPERTIES: [u8; 2] = [0, 0];

/// Bits of the second octet of the flags that stand for no property; they are dropped (C-24).
const UNKNOWN_FLAGS: u8 = 0b11;

/// What the broker makes of a message's properties.
#[derive(Default)]
struct Understood<'a> {
    persistent: bool,
    priority: Option<u8>,
    ttl_ms: Option<u64>,
    /// CC and BCC (P-11).
    more_keys: Vec<&'a [u8]>,
    /// How many of them are of CC.
    cc: usize,
    headers: Option<Table<'a>>,
    /// The properties to send on, where they are not those received.
    rewritten: Option<Vec<u8>>,
}

/// A mandatory message that went nowhere (P-03).
pub(super) struct Unroutable {
    exchange: Vec<u8>,
    routing_key: Vec<u8>,
    properties: Vec<u8>,
    body: Vec<u8>,
}

impl Unroutable {
    pub(super) fn send_back(&self, channel: u16, s: &mut Session<'_>) {
        let method = basic::Return {
            reply_code: ReplyCode::NoRoute.as_u16(),
            reply_text: ReplyCode::NoRoute.name(),
            exchange: &self.exchange,
            routing_key: &self.routing_key,
        };
        s.out.method(channel, &Method::BasicReturn(method));
        s.out.content_parts(channel, s.peer.frame_max, &self.properties, &self.body);
    }
}

impl Channel {
    /// Takes a message: routes it and puts it into the batch.
    #[inline]
    pub fn publish(&mut self, publish: Publish<'_>, s: &mut Session<'_>) -> Result<(), Error> {
        if publish.method.immediate {
            return Err(ChannelError::Immediate.into());
        }
        if publish.body_size > s.peer.message_size_max {
            let (size, max) = (publish.body_size, s.peer.message_size_max);
            return Err(ChannelError::MessageTooLarge { size, max }.into());
        }
        if publish.properties == NO_PROPERTIES && !is_reply_address(publish.method.routing_key) {
            let route = self.route(publish.method.exchange, publish.method.routing_key, s)?;
            return self.hand_over(&publish, &Understood::default(), route, false, s);
        }
        let main = publish.method.routing_key;
        if let Some(treatment) = Treatment::decode(publish.properties)
            && treatment.expiration.is_none_or(Expiration::is_plain)
            && !is_reply_address(main)
        {
            // The exchange is checked before the expiration (P-01).
            let route = self.route(publish.method.exchange, main, s)?;
            return self.hand_over(&publish, &Understood::by(treatment)?, route, false, s);
        }
        let understood = self.understand(&publish, s)?;
        if understood.more_keys.is_empty() && understood.headers.is_none() && !is_reply_address(main) {
            let route = self.route(publish.method.exchange, main, s)?;
            return self.hand_over(&publish, &understood, route, false, s);
        }
        self.publish_selectively(&publish, &understood, s)
    }

    /// The way of a message whose headers may decide where it goes, or that answers a direct reply-to address.
    fn publish_selectively(
        &mut self,
        publish: &Publish<'_>,
        understood: &Understood<'_>,
        s: &mut Session<'_>,
    ) -> Result<(), Error> {
        let exchange = publish.method.exchange;
        let keys = RoutingKeys { main: publish.method.routing_key, others: &understood.more_keys };
        let mut replied = false;
        if exchange.is_empty() {
            for key in keys.iter().filter(|key| is_reply_address(key)) {
                replied |= self.reply_to(key, publish, understood, s);
            }
        }
        if keys.others.is_empty() && !is_reply_address(keys.main) && self.knows_route(exchange, keys.main, s) {
            let route = self.route(exchange, keys.main, s)?;
            return self.hand_over(publish, understood, route, replied, s);
        }
        self.check_exchange(exchange, s)?;
        let generation = s.vhost.generation();
        let mut found = Found::default();
        s.vhost.route(exchange, &keys, understood.headers, s.route, &mut found)?;
        let route: Route = found.queues.into();
        if keys.others.is_empty() && !found.depends_on_headers && !exchange.is_empty() {
            self.routes().remember(generation, exchange, keys.main, route.clone());
        }
        self.hand_over(publish, understood, route, replied, s)
    }

    /// The route of an exchange and a key for a message without headers.
    #[inline]
    fn route(&mut self, exchange: &[u8], key: &[u8], s: &mut Session<'_>) -> Result<Route, Error> {
        let generation = s.vhost.generation();
        if let Some(route) = self.routes().find(generation, exchange, key) {
            return Ok(route.clone());
        }
        self.check_exchange(exchange, s)?;
        let mut found = Found::default();
        s.vhost.route(exchange, &RoutingKeys::one(key), None, s.route, &mut found)?;
        let route: Route = found.queues.into();
        if !found.depends_on_headers {
            self.routes().remember(generation, exchange, key, route.clone());
        }
        Ok(route)
    }

    fn knows_route(&mut self, exchange: &[u8], key: &[u8], s: &Session<'_>) -> bool {
        self.routes().find(s.vhost.generation(), exchange, key).is_some()
    }

    fn routes(&mut self) -> &mut Routes {
        self.routes.get_or_insert_with(|| Box::new(Routes::new()))
    }

    fn check_exchange(&self, exchange: &[u8], s: &Session<'_>) -> Result<(), Error> {
        if s.vhost.is_internal(exchange)? {
            let (exchange, vhost) = (String::from_utf8_lossy(exchange).into_owned(), s.vhost.name.to_string());
            return Err(ChannelError::InternalExchange { exchange, vhost }.into());
        }
        Ok(())
    }

    /// Reads the properties and checks them in the order of P-01.
    fn understand<'a>(&self, publish: &Publish<'a>, s: &Session<'_>) -> Result<Understood<'a>, Error> {
        let properties = BasicProperties::decode(publish.properties).map_err(Error::from)?;
        let mut understood = Understood {
            persistent: properties.delivery_mode == Some(2),
            priority: properties.priority,
            ..Understood::default()
        };
        let asks_reply = properties.reply_to == Some(REPLY_TO.as_bytes());
        if asks_reply || properties.expiration.is_some() || properties.headers.is_some() || properties.user_id.is_some()
        {
            self.check_exchange(publish.method.exchange, s)?;
        }
        let mut rewrite = publish.properties.get(1).is_some_and(|flags| flags & UNKNOWN_FLAGS != 0);
        let mut plain_expiration = None;
        let address = match &self.reply {
            _ if !asks_reply => None,
            None => return Err(ChannelError::NoReplyConsumer.into()),
            Some(reply) => Some(reply.address.as_bytes()),
        };
        if let Some(expiration) = properties.expiration {
            let ms = Expiration::parse(expiration)?;
            understood.ttl_ms = Some(ms);
            plain_expiration = (!Expiration::is_plain(expiration)).then(|| ms.to_string());
        }
        let mut headers: Option<EncodedTable> = None;
        if let Some(table) = properties.headers {
            understood.headers = Some(table);
            (understood.more_keys, understood.cc) = sender_selected_keys(table)?;
            headers = without_bcc(table);
            rewrite = true;
        }
        if let Some(user) = properties.user_id
            && user != s.peer.user.as_bytes()
        {
            let (claimed, user) = (String::from_utf8_lossy(user).into_owned(), s.peer.user.to_string());
            return Err(ChannelError::UserId { claimed, user }.into());
        }
        if rewrite || address.is_some() || plain_expiration.is_some() {
            let mut outgoing: BasicProperties<'_> = properties;
            outgoing.reply_to = address.or(outgoing.reply_to);
            outgoing.expiration = plain_expiration.as_ref().map(String::as_bytes).or(outgoing.expiration);
            if let Some(headers) = &headers {
                outgoing.headers = Some(headers.as_table());
            }
            let mut raw = Vec::with_capacity(publish.properties.len() + 64);
            outgoing.encode(&mut raw);
            canonicalize_headers_in_place(&mut raw);
            understood.rewritten = Some(raw);
        }
        Ok(understood)
    }

    /// Delivers to a direct reply-to consumer. True if that counts as routed.
    fn reply_to(
        &mut self,
        address: &[u8],
        publish: &Publish<'_>,
        understood: &Understood<'_>,
        s: &mut Session<'_>,
    ) -> bool {
        let route = s.broker.replies().find(address);
        let routed = match route {
            ReplyRoute::Alive => true,
            ReplyRoute::Gone => s.broker.compat().routes_replies_to_gone_requesters(),
            ReplyRoute::MadeUp => false,
        };
        if route == ReplyRoute::Alive {
            let message = Message::new(
                s.bytes,
                Parts {
                    exchange: publish.method.exchange,
                    routing_key: address,
                    properties: understood.properties(publish),
                    body: publish.body.clone(),
                    persistent: understood.persistent,
                    copies: 1,
                    life: Life::default(),
                },
            );
            if let Mode::Transaction(tx) = &mut self.mode {
                let bytes = publish.body.as_slice().len() + publish.properties.len() + size_of::<Publication>();
                *s.pending += bytes;
                tx.publish(Publication::Reply { address: address.to_vec(), message }, bytes);
            } else {
                s.broker.replies().deliver(address, message, s.fx);
            }
        }
        routed
    }

    /// Last step: to the queues, or back to the publisher, or nowhere; and counted for its confirm.
    #[inline]
    fn hand_over(
        &mut self,
        publish: &Publish<'_>,
        understood: &Understood<'_>,
        route: Route,
        replied: bool,
        s: &mut Session<'_>,
    ) -> Result<(), Error> {
        let number = match &mut self.mode {
            Mode::Plain => 0,
            Mode::Confirm(confirms) => {
                s.batch.confirm(self.number);
                confirms.count()
            }
            Mode::Transaction(_) => return self.hold(publish, understood, route, replied, s),
        };
        let Some(message) = understood.message(publish, &route, s) else {
            if publish.method.mandatory && !replied {
                understood.unroutable(publish).send_back(self.number, s);
            }
            return Ok(());
        };
        let Some((last, others)) = route.split_last() else { return Ok(()) };
        for queue in others {
            s.batch.publish(queue, message.clone(), self.number, number);
        }
        s.batch.publish(last, message, self.number, number);
        Ok(())
    }

    /// Keeps a publish for the commit.
    fn hold(
        &mut self,
        publish: &Publish<'_>,
        understood: &Understood<'_>,
        route: Route,
        replied: bool,
        s: &mut Session<'_>,
    ) -> Result<(), Error> {
        let publication = match understood.message(publish, &route, s) {
            Some(message) => Publication::Routed { queues: route, message },
            None if publish.method.mandatory && !replied => Publication::Returned(understood.unroutable(publish)),
            None => return Ok(()),
        };
        let bytes = publish.body.as_slice().len() + publish.properties.len() + size_of::<Publication>();
        *s.pending += bytes;
        if let Mode::Transaction(tx) = &mut self.mode {
            tx.publish(publication, bytes);
        }
        if *s.pending > PENDING_BYTES_MAX {
            return Err(ChannelError::TooMuchPending(PENDING_BYTES_MAX).into());
        }
        Ok(())
    }
}

impl Understood<'_> {
    #[inline]
    fn by(treatment: Treatment<'_>) -> Result<Self, Error> {
        Ok(Self {
            persistent: treatment.delivery_mode == Some(2),
            priority: treatment.priority,
            ttl_ms: treatment.expiration.map(Expiration::parse).transpose()?,
            ..Self::default()
        })
    }

    fn properties<'b>(&'b self, publish: &'b Publish<'_>) -> &'b [u8] {
        self.rewritten.as_deref().unwrap_or(publish.properties)
    }

    /// The message for the queues of a route; none if there are none.
    #[inline]
    fn message(&self, publish: &Publish<'_>, route: &Route, s: &mut Session<'_>) -> Option<Message> {
        if route.is_empty() {
            return None;
        }
        let parts = Parts {
            exchange: publish.method.exchange,
            routing_key: publish.method.routing_key,
            properties: self.properties(publish),
            body: publish.body.clone(),
            persistent: self.persistent,
            copies: Arc::as_ref(route).len(),
            life: Life {
                arrived: s.fx.now(),
                ttl_ms: self.ttl_ms,
                priority: self.priority,
                more_keys: self.more_keys(),
                ..Life::default()
            },
        };
        Some(Message::new(s.bytes, parts))
    }

    fn more_keys(&self) -> MoreKeys<'_> {
        let (cc, bcc) = self.more_keys.split_at(self.cc);
        MoreKeys { cc, bcc }
    }

    fn unroutable(&self, publish: &Publish<'_>) -> Unroutable {
        Unroutable {
            exchange: publish.method.exchange.to_vec(),
            routing_key: publish.method.routing_key.to_vec(),
            properties: self.properties(publish).to_vec(),
            body: publish.body.as_slice().to_vec(),
        }
    }
}
