//! Queues, consumers and outboxes: random histories against a plain model, and bounds of what is done at once.

mod active;
mod bounds;
mod deep;
mod histories;
mod lasting;
mod letters;
mod line;
mod model;
mod rig;
mod stored;
mod stuck;
