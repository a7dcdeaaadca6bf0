//! What the broker does with messages, without sockets, files or a clock.

pub mod arguments;
pub mod compat;
