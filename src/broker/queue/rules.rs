//! What a queue goes by: its arguments and the policies that apply to it, merged. A live queue is given them anew when a policy changes.

use std::sync::Arc;

use super::limits::Limits;
use crate::broker::arguments::{
    DeadLetterStrategy, DelayedRetry, DelayedRetryType, Overflow, QueueSettings, QueueType,
};
use crate::broker::compat::Compat;
use crate::broker::dead_letter::Address;
use crate::broker::policy::QueuePolicy;

/// Consumers of quorum queues have this long to settle a delivery unless something else is said, in milliseconds.
const CONSUMER_TIMEOUT_MS: u64 = 30 * 60 * 1000;

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rules {
    pub(super) quorum: bool,
    pub(super) limits: Option<Limits>,
    /// Milliseconds that a message lives at most.
    pub(super) message_ttl_ms: Option<u64>,
    /// Milliseconds that the queue stays without being used.
    pub(super) expires_ms: Option<u64>,
    /// Where dead letters go.
    pub(super) dead_letter: Option<Arc<Address>>,
    /// A dead letter stays until another queue has it.
    pub(super) at_least_once: bool,
    /// A message that failed more often is dead.
    pub(super) delivery_limit: Option<u32>,
    /// Only failed deliveries count to the limit, not all that came back (0.1).
    pub(super) failures_only: bool,
    /// When what came back may be delivered again.
    pub(super) delayed_retry: Option<Box<DelayedRetry>>,
    /// Milliseconds that a consumer may hold a delivery.
    pub(super) consumer_timeout_ms: Option<u64>,
}

impl Rules {
    pub(super) fn of(settings: &QueueSettings, policy: &QueuePolicy, compat: Compat) -> Self {
        let quorum = settings.queue_type == QueueType::Quorum;
        // The policies that apply say nothing for the arguments that the type does not know.
        let overflow = settings.given_overflow().or(policy.overflow).unwrap_or_default();
        let max_length = least(settings.max_length, policy.max_length);
        let max_length_bytes = least(settings.max_length_bytes, policy.max_length_bytes);
        let exchange = settings.dead_letter_exchange.clone().or_else(|| policy.dead_letter_exchange.clone());
        let routing_key = settings.dead_letter_routing_key.clone().or_else(|| policy.dead_letter_routing_key.clone());
        let strategy = match settings.arguments.get("x-dead-letter-strategy") {
            Some(_) => settings.dead_letter_strategy,
            None => policy.dead_letter_strategy.unwrap_or_default(),
        };
        let consumer_timeout_ms = match quorum || !compat.consumer_timeout_only_on_quorum() {
            true => least(settings.consumer_timeout_ms, policy.consumer_timeout_ms).or(Some(CONSUMER_TIMEOUT_MS)),
            false => None,
        };
        Self {
            quorum,
            limits: Limits::new(max_length, max_length_bytes, overflow),
            message_ttl_ms: least(settings.message_ttl_ms, policy.message_ttl_ms),
            expires_ms: least(settings.expires_ms, policy.expires_ms),
            dead_letter: exchange.map(|exchange| {
                Arc::new(Address { exchange: exchange.into(), routing_key: routing_key.map(Into::into) })
            }),
            at_least_once: quorum && strategy == DeadLetterStrategy::AtLeastOnce && overflow == Overflow::RejectPublish,
            delivery_limit: if quorum { delivery_limit(settings, policy, compat) } else { None },
            failures_only: compat.delivery_limit_counts_failures_only(),
            delayed_retry: match compat.delays_retries() {
                true => delayed_retry(settings, policy),
                false => None,
            },
            consumer_timeout_ms: consumer_timeout_ms.filter(|ms| *ms > 0),
        }
    }

    /// Milliseconds that a message with these counts of returns has to wait, if it has to.
    pub(super) fn retry_delay_ms(&self, rejected: bool, failed: u32) -> Option<u64> {
        let DelayedRetry { retry_type, min_ms, max_ms } = **self.delayed_retry.as_ref()?;
        let delays = match retry_type {
            DelayedRetryType::Disabled => false,
            DelayedRetryType::All => true,
            DelayedRetryType::Failed => rejected,
            DelayedRetryType::Returned => !rejected,
        };
        let min = min_ms.filter(|min| delays && self.quorum && *min > 0)?;
        let delay = if rejected { min.saturating_mul(u64::from(failed.max(1))) } else { min };
        Some(delay.min(max_ms.unwrap_or(u64::MAX)))
    }
}

/// The smaller of two limits, where there are any.
fn least(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    [a, b].into_iter().flatten().min()
}

/// The smaller one; a negative one is no limit.
fn delivery_limit(settings: &QueueSettings, policy: &QueuePolicy, compat: Compat) -> Option<u32> {
    let given = [settings.delivery_limit, policy.delivery_limit];
    let limit = |n: i64| u32::try_from(n).unwrap_or(if n < 0 { u32::MAX } else { u32::MAX - 1 });
    match given.into_iter().flatten().map(limit).min() {
        Some(u32::MAX) => None,
        Some(limit) => Some(limit),
        None => compat.default_delivery_limit(),
    }
}

fn delayed_retry(settings: &QueueSettings, policy: &QueuePolicy) -> Option<Box<DelayedRetry>> {
    let own = settings.delayed_retry;
    let given = settings.arguments.get("x-delayed-retry-type").is_some();
    let delays = DelayedRetry {
        retry_type: if given { own.retry_type } else { policy.delayed_retry_type.unwrap_or_default() },
        min_ms: own.min_ms.or(policy.delayed_retry_min_ms),
        max_ms: own.max_ms.or(policy.delayed_retry_max_ms),
    };
    (delays.retry_type != DelayedRetryType::Disabled).then(|| Box::new(delays))
}
