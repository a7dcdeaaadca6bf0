//! Queues, consumers and outboxes: random histories against a plain model.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod histories;
mod model;
mod rig;
