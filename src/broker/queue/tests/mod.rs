//! Queues, consumers and outboxes: random histories against a plain model.

mod deep;
mod histories;
mod letters;
mod model;
mod rig;
