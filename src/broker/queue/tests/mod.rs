//! Queues, consumers and outboxes: random histories against a plain model.

mod deep;
mod histories;
mod model;
mod rig;
