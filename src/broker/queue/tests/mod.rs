//! Queues, consumers and outboxes: random histories against a plain model.

mod histories;
mod model;
mod rig;
