//! Whole connections over pipes, from the first byte to the last, in virtual time.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod alarm;
mod client;
mod closing;
mod handshake;
mod heartbeats;
mod slow_reader;
