//! basic.qos: how many deliveries may be unacked (S-01, S-02, S-03, M-13).

use std::sync::Arc;

use leveret_protocol::Method;
use leveret_protocol::method::basic;

use super::{Channel, ChannelError, Session};
use crate::broker::arguments::QueueType;
use crate::broker::{BrokerError, ChannelLimit, Effects, Queue};
use crate::error::Error;

impl Channel {
    pub(super) fn qos(&mut self, qos: &basic::Qos, s: &mut Session<'_>) -> Result<(), Error> {
        if qos.prefetch_size != 0 {
            return Err(ChannelError::PrefetchSize(qos.prefetch_size).into());
        }
        if qos.global && s.broker.compat().honours_global_qos() {
            self.channel_prefetch = Some(qos.prefetch_count);
            self.limit_channel(u32::from(qos.prefetch_count), s);
        } else {
            self.prefetch = qos.prefetch_count;
        }
        s.out.method(self.number, &Method::BasicQosOk(basic::QosOk {}));
        Ok(())
    }

    /// The limits for a new consumer: its own, and the channel's if there is one. A quorum queue knows no limit of a channel: it is taken
    /// as each consumer's own, or refused, as the compatibility says.
    pub(super) fn limits_for(&self, queue: &Queue, s: &Session<'_>) -> Result<(u32, Option<Arc<ChannelLimit>>), Error> {
        match (queue.settings.queue_type, self.channel_prefetch) {
            (QueueType::Quorum, Some(_)) if s.broker.compat().refuses_global_qos_on_quorum() => {
                let (queue, vhost) = (queue.name.to_string(), s.vhost.name.to_string());
                Err(BrokerError::GlobalQosOnQuorum { queue, vhost }.into())
            }
            (QueueType::Quorum, Some(prefetch)) => Ok((u32::from(prefetch), None)),
            _ => Ok((u32::from(self.prefetch), self.limit.clone())),
        }
    }

    /// Sets the limit that all consumers of the channel share; 0 lifts it.
    fn limit_channel(&mut self, max: u32, s: &mut Session<'_>) {
        let limit = match &self.limit {
            Some(limit) => limit.clone(),
            None if max == 0 => return,
            None => self.begin_limit(),
        };
        limit.set_max(max);
        self.resume_consumers(s.fx);
    }

    fn begin_limit(&mut self) -> Arc<ChannelLimit> {
        let limit = Arc::new(ChannelLimit::default());
        for subscription in self.subscriptions.iter_mut().filter(|sub| !sub.no_ack && !sub.is_get) {
            let Some(queue) = subscription.queue.as_ref().filter(|queue| is_limited(queue)) else { continue };
            subscription.limited = true;
            match subscription.consumer {
                Some(consumer) => queue.set_channel_limit(consumer, limit.clone()),
                None => limit.add_unacked(subscription.unacked),
            }
        }
        self.limit = Some(limit.clone());
        limit
    }

    /// Consumers that waited for the channel's limit may go on, each time another one first, so that none waits for ever.
    pub fn resume_consumers(&mut self, fx: &mut Effects) {
        let mut waiting: Vec<_> = self
            .subscriptions
            .iter()
            .filter(|(_, subscription)| subscription.limited)
            .filter_map(|(_, subscription)| subscription.queue.clone().zip(subscription.consumer))
            .collect();
        if waiting.is_empty() {
            return;
        }
        self.resumed = self.resumed.wrapping_add(1);
        let first = self.resumed % waiting.len();
        waiting.rotate_left(first);
        for (queue, consumer) in waiting {
            queue.resume_channel(consumer, fx);
        }
    }
}

/// Whether a channel's limit counts what this queue delivers.
pub(super) fn is_limited(queue: &Queue) -> bool {
    queue.settings.queue_type != QueueType::Quorum
}
