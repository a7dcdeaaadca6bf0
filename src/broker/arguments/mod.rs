//! Typed arguments of queues and consumers, and what a sender's properties say beside the routing key.
//!
//! Values come as field tables and go as typed settings. Each violation is a variant of [`ArgumentError`] that shows the
//! explanation RabbitMQ gives.
//!
//! # The order of checks
//!
//! A **new queue**, [`declare`]:
//!
//! 1. server-named: an unknown type, then a type that needs a name;
//! 2. `x-dead-letter-exchange` is a long string;
//! 3. `x-queue-type`;
//! 4. the values of arguments known to the type, in the order of `x-expires`, `x-message-ttl`,
//!    `x-dead-letter-routing-key`, `x-dead-letter-strategy`, the lengths, `x-max-priority`, `x-overflow`, ...;
//! 5. arguments that only other types know: in the client's order if it named the type, else sorted by name, because the
//!    type that the broker writes into the table sorts it;
//! 6. quorum and stream: `auto-delete`, `exclusive-owner`, `non-durable`;
//! 7. stream: segment size, filter size;
//! 8. `x-queue-master-locator` on a classic queue, where it is refused.
//!
//! An **existing queue**, [`redeclare`]: values are *not* validated, only compared with those of the first
//! declare. So a bad value is reported as inequivalent, and arguments that only other types know pass. The order is:
//! exclusive (405), `durable`, `auto_delete`, the arguments known to the *current* type.
//!
//! Reserved names, missing permissions and the owner of an exclusive queue come before either; an exclusive
//! queue of another connection answers with [`ArgumentError::ExclusiveAccess`].

mod check;
mod consumer;
mod equivalence;
mod error;
mod expiration;
mod interval;
mod known;
mod queue;
mod sender_selected;
mod term;
#[cfg(test)]
mod tests;
mod values;
mod without_effect;

pub use consumer::{ConsumerArguments, StreamOffset};
pub use error::{ArgumentError, InvalidValue, QueueReference};
pub use expiration::Expiration;
pub use interval::is_interval;
pub use known::QueueType;
pub use queue::{
    DeadLetterStrategy, DelayedRetry, DelayedRetryType, Overflow, QueueSettings, ReceivedDeclare, declare, redeclare,
};
pub use sender_selected::{sender_selected_keys, without_bcc};
pub(crate) use term::{Encoding, Term};
pub use without_effect::WITHOUT_EFFECT;
