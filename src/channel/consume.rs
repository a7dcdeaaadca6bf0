//! basic.consume, cancel and get, and the consumers of direct reply-to.

use std::sync::Arc;

use leveret_protocol::Method;
use leveret_protocol::method::basic;

use super::counts::with_counts;
use super::ledger::Unacked;
use super::subscription::{SUBSCRIPTIONS_MAX, Subscription, SubscriptionKey};
use super::{Channel, ChannelError, Session};
use crate::broker::arguments::QueueType;
use crate::broker::{Broker, BrokerError, Queue, REPLY_TO, Subscriber, is_reply_address};
use crate::error::Error;

/// The direct reply-to consumer of a channel (P-12).
pub(super) struct ReplyConsumer {
    /// The address that requests carry instead of the bare name.
    pub(super) address: String,
    subscription: SubscriptionKey,
}

impl Channel {
    pub(super) fn consume(&mut self, consume: &basic::Consume<'_>, s: &mut Session<'_>) -> Result<(), Error> {
        if !consume.consumer_tag.is_empty() && self.subscriptions.by_tag(consume.consumer_tag).is_some() {
            return Err(ChannelError::ConsumerTagReused(consume.consumer_tag.to_owned()).into());
        }
        let tag: Box<str> = match consume.consumer_tag {
            "" => s.broker.generate_name("amq.ctag-").into(),
            tag => tag.into(),
        };
        let name = self.queue_name(consume.queue)?;
        if name == REPLY_TO {
            return self.consume_replies(consume, tag, s);
        }
        if is_reply_address(name.as_bytes()) {
            return Err(BrokerError::ConsumeReplyTo { queue: name, vhost: s.vhost.name.to_string() }.into());
        }
        let queue = s.vhost.accessible_queue(&name, s.peer.id)?;
        let arguments = s.vhost.consumer_arguments(&queue, consume.arguments)?;
        let (prefetch, channel_limit) = self.limits_for(&queue, s)?;
        let timeout_ms = arguments.timeout_ms.or_else(|| queue.consumer_timeout_ms()).filter(|_| !consume.no_ack);
        let subscriber = Subscriber {
            outbox: s.peer.outbox.clone(),
            channel: self.number,
            subscription: 0,
            no_ack: consume.no_ack,
            prefetch,
            priority: arguments.priority,
            exclusive: consume.exclusive,
            channel_limit,
        };
        if !self.consume_again(&tag, &queue, &subscriber, timeout_ms) {
            self.consume_anew(&tag, &queue, subscriber, timeout_ms, s)?;
        }
        self.consume_ok(consume, &tag, s);
        queue.dispatch(s.fx);
        Ok(())
    }

    /// For a quorum queue a consumer that was cancelled and holds deliveries is the same one when it consumes again. False if there
    /// is none.
    fn consume_again(&mut self, tag: &str, queue: &Arc<Queue>, by: &Subscriber, timeout_ms: Option<u64>) -> bool {
        if queue.settings.queue_type != QueueType::Quorum || by.no_ack {
            return false;
        }
        let Some((key, holder)) = self.subscriptions.holding(tag, queue) else { return false };
        let again = queue.take_consumer_again(holder, Subscriber { subscription: key, ..by.clone() });
        if again {
            self.subscriptions.go_on(key, timeout_ms);
        }
        again
    }

    fn consume_anew(
        &mut self,
        tag: &str,
        queue: &Arc<Queue>,
        by: Subscriber,
        timeout_ms: Option<u64>,
        s: &Session<'_>,
    ) -> Result<(), Error> {
        let key = self.subscribe(Subscription {
            tag: tag.into(),
            queue: Some(queue.clone()),
            consumer: None,
            holder: None,
            number: 0,
            no_ack: by.no_ack,
            ended: false,
            is_get: false,
            limited: by.channel_limit.is_some() && !by.no_ack,
            shows_counts: queue.settings.queue_type == QueueType::Quorum,
            timeout_ms,
            unacked: 0,
        })?;
        match queue.add_consumer(Subscriber { subscription: key, ..by }) {
            Ok(consumer) => {
                if let Some(subscription) = self.subscriptions.find(key) {
                    (subscription.consumer, subscription.holder) = (Some(consumer), Some(consumer));
                }
                Ok(())
            }
            Err(refused) => {
                self.subscriptions.end(key);
                Err(s.vhost.consume_refused(refused, queue).into())
            }
        }
    }

    pub(super) fn cancel(&mut self, cancel: &basic::Cancel<'_>, s: &mut Session<'_>) -> Result<(), Error> {
        if let Some(key) = self.subscriptions.by_tag(cancel.consumer_tag) {
            if self.reply.as_ref().is_some_and(|reply| reply.subscription == key) {
                self.forget_reply_consumer(s.broker);
            }
            self.stop_subscription(key, s);
            self.cancelling.push(key);
        }
        if !cancel.nowait {
            self.cancel_ok = Some(cancel.consumer_tag.into());
        }
        Ok(())
    }

    /// Second half of basic.cancel, when what the outbox held for the consumer is sent (S-06).
    pub fn finish_cancel(&mut self, s: &mut Session<'_>) {
        for key in std::mem::take(&mut self.cancelling) {
            self.subscriptions.end(key);
        }
        if let Some(tag) = self.cancel_ok.take() {
            s.out.method(self.number, &Method::BasicCancelOk(basic::CancelOk { consumer_tag: &tag }));
        }
    }

    pub(super) fn get(&mut self, get: &basic::Get<'_>, s: &mut Session<'_>) -> Result<(), Error> {
        let name = self.queue_name(get.queue)?;
        if is_reply_address(name.as_bytes()) {
            return Err(BrokerError::GetReplyTo { queue: name, vhost: s.vhost.name.to_string() }.into());
        }
        let queue = s.vhost.accessible_queue(&name, s.peer.id)?;
        if queue.settings.single_active_consumer && queue.settings.queue_type == QueueType::Quorum {
            return Err(BrokerError::GetSingleActive { queue: name, vhost: s.vhost.name.to_string() }.into());
        }
        if queue.makes_wait(&s.peer.outbox, s.fx) {
            *s.later = true;
            return Ok(());
        }
        let subscription = match get.no_ack {
            true => None,
            false => Some(self.subscriptions.of_get(&queue).ok_or(ChannelError::TooManyConsumers(SUBSCRIPTIONS_MAX))?),
        };
        let Some((entry, left)) = queue.get(get.no_ack, s.fx) else {
            if let Some(key) = subscription {
                self.subscriptions.free_if_done(key);
            }
            s.out.method(self.number, &Method::BasicGetEmpty(basic::GetEmpty {}));
            return Ok(());
        };
        self.delivery_tag += 1;
        let get_ok = basic::GetOk {
            delivery_tag: self.delivery_tag,
            redelivered: entry.redelivered,
            exchange: entry.message.exchange(),
            routing_key: entry.message.routing_key(),
            message_count: u32::try_from(left).unwrap_or(u32::MAX),
        };
        s.out.method(self.number, &Method::BasicGetOk(get_ok));
        let properties = match queue.settings.queue_type {
            QueueType::Quorum => with_counts(&entry.message, entry.total_counts(), s.broker.compat()),
            QueueType::Classic | QueueType::Stream => None,
        };
        let properties = properties.as_deref().unwrap_or_else(|| entry.message.properties());
        s.out.content_with(self.number, s.peer.frame_max, properties, &entry.message);
        if let Some(key) = subscription {
            let timeout_ms = queue.consumer_timeout_ms();
            if let Some(subscription) = self.subscriptions.find(key) {
                subscription.unacked += 1;
                subscription.timeout_ms = timeout_ms;
            }
            if let Some(timeout_ms) = timeout_ms {
                self.sent(self.delivery_tag, timeout_ms, s.broker, s.peer, s.fx);
            }
            self.ledger.push(self.delivery_tag, Unacked { subscription: key, entry });
        }
        Ok(())
    }

    /// Takes a consumer off its queue; it stays known until what the outbox holds for it is sent.
    pub(super) fn stop_subscription(&mut self, key: SubscriptionKey, s: &mut Session<'_>) {
        let Some(subscription) = self.subscriptions.find(key) else { return };
        if let (Some(queue), Some(consumer)) = (&subscription.queue, subscription.consumer.take())
            && queue.remove_consumer(consumer, s.fx)
        {
            s.vhost.delete_unused(&queue.clone(), s.fx);
        }
    }

    pub(super) fn forget_reply_consumer(&mut self, broker: &Broker) {
        if let Some(reply) = self.reply.take() {
            broker.replies().remove(&reply.address);
        }
    }

    fn consume_replies(
        &mut self,
        consume: &basic::Consume<'_>,
        tag: Box<str>,
        s: &mut Session<'_>,
    ) -> Result<(), Error> {
        if self.reply.is_some() {
            return Err(ChannelError::ReplyConsumerSet.into());
        }
        if !consume.no_ack {
            return Err(ChannelError::ReplyConsumerAcks.into());
        }
        let subscription = self.subscribe(Subscription {
            tag: tag.clone(),
            queue: None,
            consumer: None,
            holder: None,
            number: 0,
            no_ack: true,
            ended: false,
            is_get: false,
            limited: false,
            shows_counts: false,
            timeout_ms: None,
            unacked: 0,
        })?;
        let address = s.broker.replies().add(&s.peer.outbox, self.number, subscription);
        self.reply = Some(ReplyConsumer { address, subscription });
        self.consume_ok(consume, &tag, s);
        Ok(())
    }

    fn subscribe(&mut self, subscription: Subscription) -> Result<SubscriptionKey, Error> {
        self.subscriptions.add(subscription).ok_or_else(|| ChannelError::TooManyConsumers(SUBSCRIPTIONS_MAX).into())
    }

    fn consume_ok(&self, consume: &basic::Consume<'_>, consumer_tag: &str, s: &mut Session<'_>) {
        if !consume.nowait {
            s.out.method(self.number, &Method::BasicConsumeOk(basic::ConsumeOk { consumer_tag }));
        }
    }

    /// The queue that a method means: the one declared last if it names none (M-25).
    pub(super) fn queue_name(&self, given: &str) -> Result<String, Error> {
        match (given, &self.last_queue) {
            ("", None) => Err(ChannelError::NoQueueDeclared.into()),
            ("", Some(last)) => Ok(last.to_string()),
            (name, _) => Ok(name.to_owned()),
        }
    }
}
