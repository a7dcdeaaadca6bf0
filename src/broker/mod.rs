//! The pure core of the broker: no sockets, no files, no clock; whoever calls gives what it needs and gets values back.

pub mod arguments;
pub mod compat;
pub mod exchange;
pub mod topology;

mod slab;
