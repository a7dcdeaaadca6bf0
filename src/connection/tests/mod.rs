//! Whole connections over pipes, from the first byte to the last, in virtual time.

mod alarm;
mod client;
mod closing;
mod handshake;
mod heartbeats;
mod late;
mod slow_reader;
