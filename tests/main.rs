//! The broker as a client sees it: what it answers, frame by frame. One file per feature; the names of tests say the
//! behaviour and the row of the compatibility list that asks for it.
//!
//! By default the tests start one broker in this process. With `LEVERET_TEST_URL=HOST:PORT` they judge the broker
//! that listens there, which may be RabbitMQ; tests of rules that are Leveret's own then pass without a look.

#![allow(clippy::unwrap_used)]

mod support;

mod alternate;
mod binding;
mod boundaries;
mod cancel;
mod channel;
mod close;
mod confirm;
mod connection;
mod consume;
mod crash;
mod dead_letter;
mod default_type;
mod disk;
mod equivalence;
mod exchange;
mod expiry;
mod frames;
mod garbage;
mod get;
mod headers;
mod journal;
mod limits;
mod lines;
mod names;
mod overflow;
mod policy;
mod prefetch;
mod priority;
mod publish;
mod queue;
mod quorum;
mod reply_to;
mod restart;
mod returns;
mod settle;
mod single_active;
mod store;
mod tables;
mod topic;
mod tune;
mod turns;
mod tx;
