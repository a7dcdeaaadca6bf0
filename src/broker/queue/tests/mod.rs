//! Queues, consumers and outboxes: random histories against a plain model, and bounds of what is done at once.

mod active;
mod bounds;
mod deep;
mod histories;
mod letters;
mod model;
mod rig;
