//! basic.qos: how many deliveries may be unacked (S-01, S-02, S-03, M-13).

use std::sync::Arc;

use leveret_protocol::Method;
use leveret_protocol::method::basic;

use super::{Channel, ChannelError, Session};
use crate::broker::ChannelLimit;
use crate::error::Error;

impl Channel {
    pub(super) fn qos(&mut self, qos: &basic::Qos, s: &mut Session<'_>) -> Result<(), Error> {
        if qos.prefetch_size != 0 {
            return Err(ChannelError::PrefetchSize(qos.prefetch_size).into());
        }
        if qos.global && s.broker.compat().honours_global_qos() {
            self.limit_channel(u32::from(qos.prefetch_count), s);
        } else {
            self.prefetch = qos.prefetch_count;
        }
        s.out.method(self.number, &Method::BasicQosOk(basic::QosOk {}));
        Ok(())
    }

    /// Sets the limit that all consumers of the channel share; 0 lifts it.
    fn limit_channel(&mut self, max: u32, s: &mut Session<'_>) {
        let limit = match &self.limit {
            Some(limit) => limit.clone(),
            None if max == 0 => return,
            None => self.begin_limit(),
        };
        limit.set_max(max);
        self.resume_consumers(s);
    }

    fn begin_limit(&mut self) -> Arc<ChannelLimit> {
        let limit = Arc::new(ChannelLimit::default());
        for (_, subscription) in self.subscriptions.iter().filter(|(_, sub)| !sub.no_ack && !sub.is_get) {
            limit.add_unacked(subscription.unacked);
            if let (Some(queue), Some(consumer)) = (&subscription.queue, subscription.consumer) {
                queue.set_channel_limit(consumer, limit.clone());
            }
        }
        self.limit = Some(limit.clone());
        limit
    }

    /// Consumers that waited for the channel's limit may go on.
    pub(super) fn resume_consumers(&mut self, s: &mut Session<'_>) {
        for (_, subscription) in self.subscriptions.iter() {
            if let (Some(queue), Some(consumer)) = (&subscription.queue, subscription.consumer) {
                queue.resume(consumer, s.fx);
            }
        }
    }
}
