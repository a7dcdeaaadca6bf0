//! From a dead message to the one that is published in its place.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use leveret_protocol::{BasicProperties, EncodedTable, FieldTable, FieldValue};

use super::deaths::NewDeath;
use super::{Deaths, Letter};
use crate::broker::compat::Compat;
use crate::broker::message::{Body, Life, Message, MoreKeys, Parts};
use crate::broker::moment::Moment;

/// A letter with its new key and headers.
pub(super) struct Addressed<'a> {
    letter: &'a Letter,
    at: Moment,
    pub(super) deaths: Deaths,
    pub(super) routing_key: &'a [u8],
    pub(super) cc: Vec<&'a [u8]>,
    pub(super) bcc: Vec<&'a [u8]>,
    pub(super) properties: Vec<u8>,
}

/// The keys that a death tells: all of them, and then for each of BCC the first that is the same is left out. So one that is in BCC too
/// comes later, as with RabbitMQ.
fn told_keys<'a>(key: &'a [u8], cc: &[&'a [u8]], bcc: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let mut hidden: HashMap<&[u8], usize, RandomState> = HashMap::default();
    bcc.iter().for_each(|key| *hidden.entry(key).or_default() += 1);
    let mut keys: Vec<_> = std::iter::once(&key).chain(cc).chain(bcc).copied().collect();
    keys.retain(|key| match hidden.get_mut(*key) {
        Some(left) if *left > 0 => {
            *left -= 1;
            false
        }
        _ => true,
    });
    keys
}

impl<'a> Addressed<'a> {
    pub(super) fn new(letter: &'a Letter, at: Moment, compat: Compat) -> Self {
        let message = &letter.message;
        let (cc, bcc) = message.more_keys();
        let properties = BasicProperties::decode(message.properties()).unwrap_or_default();
        let mut headers = properties.headers.map(|headers| headers.to_owned()).unwrap_or_default();
        let is_own = message.has_died() || compat.honours_published_x_death();
        let mut deaths = match properties.headers.and_then(|headers| headers.get("x-death")) {
            Some(header) if is_own => Deaths::read(header),
            _ => Deaths::default(),
        };
        deaths.add(&NewDeath {
            reason: letter.reason,
            queue: &letter.queue.name,
            at,
            exchange: message.exchange(),
            routing_keys: told_keys(message.routing_key(), &cc, &bcc),
            expiration: properties.expiration,
        });
        headers.remove("x-death");
        headers.push("x-death", deaths.clone().into_value());
        let last = [
            ("queue", FieldValue::from(letter.queue.name.as_bytes())),
            ("reason", FieldValue::from(letter.reason.as_str())),
            ("exchange", FieldValue::from(message.exchange())),
        ];
        for (what, value) in last {
            let first = format!("x-first-death-{what}");
            if !is_own || headers.get(&first).is_none() {
                set(&mut headers, &first, value.clone());
            }
            set(&mut headers, &format!("x-last-death-{what}"), value);
        }
        let headers = EncodedTable::from(&headers.sorted_by_name());
        let mut encoded = Vec::with_capacity(message.properties().len() + headers.as_bytes().len());
        BasicProperties { headers: Some(headers.as_table()), expiration: None, ..properties }.encode(&mut encoded);
        let (routing_key, cc, bcc) = match &letter.to.routing_key {
            Some(key) => (&**key, Vec::new(), Vec::new()),
            None => (message.routing_key(), cc, bcc),
        };
        Self { letter, at, deaths, routing_key, cc, bcc, properties: encoded }
    }

    /// The message for so many queues.
    pub(super) fn message(&self, copies: usize) -> Message {
        let Letter { message, to, failed, .. } = self.letter;
        let parts = Parts {
            exchange: &to.exchange,
            routing_key: self.routing_key,
            properties: &self.properties,
            body: match message.shared_body() {
                Some(body) => Body::Owned(body.clone()),
                None => Body::Borrowed(message.body()),
            },
            persistent: message.is_persistent(),
            copies,
            life: Life {
                arrived: self.at,
                ttl_ms: None,
                priority: message.priority(),
                died: true,
                failed: *failed,
                more_keys: MoreKeys { cc: &self.cc, bcc: &self.bcc },
            },
        };
        Message::new(&mut Vec::new(), parts)
    }
}

fn set(headers: &mut FieldTable, name: &str, value: FieldValue) {
    headers.remove(name);
    headers.push(name, value);
}
