//! Arguments that are read, checked and compared as RabbitMQ does, and do nothing yet. The README lists the same.

use super::{QueueSettings, QueueType};

/// Of queue.declare. `x-queue-type` does nothing yet when it asks for a stream, which behaves as a classic queue.
pub const WITHOUT_EFFECT: [&str; 7] = [
    "x-consumer-disconnected-timeout",
    "x-initial-cluster-size",
    "x-max-age",
    "x-queue-leader-locator",
    "x-quorum-initial-group-size",
    "x-stream-filter-size-bytes",
    "x-stream-max-segment-size-bytes",
];

impl QueueSettings {
    /// What this queue was declared with and does not do, for its user to be warned.
    pub fn without_effect(&self) -> impl Iterator<Item = &'static str> {
        let given = WITHOUT_EFFECT.into_iter().filter(|name| self.arguments.get(name).is_some());
        let queue_type = (self.queue_type == QueueType::Stream).then_some("x-queue-type");
        given.chain(queue_type)
    }
}
