//! Direct reply-to: addresses that stand for a consumer without a queue (P-12, Q-13).
//!
//! An address is `amq.rabbitmq.reply-to.<number>.<seal>`, both in base64. The seal is made with the broker's secret, so that an
//! address whose requester is gone is told from one that was made up.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dashmap::DashMap;
use foldhash::fast::RandomState;
use foldhash::quality::FixedState;

use super::effects::Effects;
use super::message::Message;
use super::outbox::{Delivery, Outbox};
use super::queue::{DeliveryCounts, Entry};

/// The name under which clients consume replies and that their requests carry in `reply-to`.
pub const REPLY_TO: &str = "amq.rabbitmq.reply-to";

/// Whether a queue name or routing key is an address, well-made or not.
#[inline]
pub fn is_reply_address(name: &[u8]) -> bool {
    name.len() > REPLY_TO.len() && name.starts_with(REPLY_TO.as_bytes()) && name[REPLY_TO.len()] == b'.'
}

/// The reply consumers of all connections.
pub struct ReplyConsumers {
    seal: FixedState,
    next: AtomicU64,
    consumers: DashMap<u64, ReplyConsumer, RandomState>,
}

struct ReplyConsumer {
    outbox: Arc<Outbox>,
    channel: u16,
    subscription: u32,
}

/// What is behind an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyRoute {
    /// It was not made by this broker.
    MadeUp,
    /// Its requester has gone.
    Gone,
    /// Its requester is there.
    Alive,
}

impl ReplyConsumers {
    /// None yet; `secret` makes the seals.
    pub fn new(secret: u64) -> Self {
        Self { seal: FixedState::with_seed(secret), next: AtomicU64::new(1), consumers: DashMap::default() }
    }

    /// Adds a consumer and gives its address.
    pub fn add(&self, outbox: &Arc<Outbox>, channel: u16, subscription: u32) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.consumers.insert(number, ReplyConsumer { outbox: outbox.clone(), channel, subscription });
        let encode = |n: u64| URL_SAFE_NO_PAD.encode(n.to_be_bytes());
        format!("{REPLY_TO}.{}.{}", encode(number), encode(self.seal.hash_one(number)))
    }

    /// Removes the consumer of an address.
    pub fn remove(&self, address: &str) {
        if let Some(number) = self.number(address.as_bytes()) {
            self.consumers.remove(&number);
        }
    }

    /// What is behind an address.
    pub fn find(&self, address: &[u8]) -> ReplyRoute {
        match self.number(address) {
            None => ReplyRoute::MadeUp,
            Some(number) if self.consumers.contains_key(&number) => ReplyRoute::Alive,
            Some(_) => ReplyRoute::Gone,
        }
    }

    /// Delivers a reply, at most once.
    pub fn deliver(&self, address: &[u8], message: Message, fx: &mut Effects) -> ReplyRoute {
        let Some(number) = self.number(address) else { return ReplyRoute::MadeUp };
        let Some(to) = self.consumers.get(&number) else { return ReplyRoute::Gone };
        let entry = Entry { position: 0, redelivered: false, counts: DeliveryCounts::default(), message };
        let delivery = Delivery::new(to.channel, to.subscription, entry);
        if to.outbox.reply(delivery) {
            fx.wake(to.outbox.clone());
        }
        ReplyRoute::Alive
    }

    fn number(&self, address: &[u8]) -> Option<u64> {
        let rest = address.strip_prefix(REPLY_TO.as_bytes())?.strip_prefix(b".")?;
        let dot = rest.iter().position(|byte| *byte == b'.')?;
        let decode = |text: &[u8]| {
            let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
            Some(u64::from_be_bytes(bytes.try_into().ok()?))
        };
        let (number, seal) = (decode(&rest[..dot])?, decode(&rest[dot + 1..])?);
        (self.seal.hash_one(number) == seal).then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p_12_an_address_is_known_by_its_seal() {
        let consumers = ReplyConsumers::new(7);
        let address = consumers.add(&Arc::new(Outbox::new()), 1, 0);
        assert!(is_reply_address(address.as_bytes()));
        assert_eq!(consumers.find(address.as_bytes()), ReplyRoute::Alive);
        consumers.remove(&address);
        assert_eq!(consumers.find(address.as_bytes()), ReplyRoute::Gone);
        assert_eq!(ReplyConsumers::new(8).find(address.as_bytes()), ReplyRoute::MadeUp);
        assert_eq!(consumers.find(b"amq.rabbitmq.reply-to.nonsense"), ReplyRoute::MadeUp);
    }
}
