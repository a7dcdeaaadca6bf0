//! AMQP 0-9-1 on the wire, for both ends of a connection.
//!
//! ```text
//! connection = protocol-header *frame
//! frame      = kind channel size payload %xCE
//! payload    = method | content-header | content-body | heartbeat
//! message    = method [ content-header *content-body ]     ; on one channel
//! ```
//!
//! - [`frame`] cuts frames from the front of a buffer and appends them to one.
//! - [`method`] has a struct for each method; [`Method`] is any of them.
//! - [`properties`] reads content headers.
//! - [`table`] has field tables as received, [`field`] those that own their values.
//! - [`assembler`] puts a channel's frames together.
//! - [`reply_code`] has the numbers and names of errors.
//!
//! What holds throughout:
//!
//! - No I/O, no clock, no logging, no `unsafe`.
//! - Reading borrows from the input and allocates nothing; only the assembler copies, and only what
//!   does not lie in one buffer.
//! - Nothing that a peer sends panics, recurses deeper than [`TABLE_DEPTH_MAX`], or makes memory
//!   grow beyond a constant plus twice the bytes received.
//! - A value that exists was checked: a [`Table`] can be walked without errors, a [`Method`] has no
//!   bytes left over.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod assembler;
pub mod field;
pub mod frame;
#[doc(hidden)]
pub mod fuzz;
pub mod method;
pub mod properties;
pub mod reply_code;
pub mod table;
mod wire;

pub use assembler::{Assembler, AssemblerError, Content, State, Step, whole_publish};
pub use field::{EncodedTable, FieldTable, FieldValue};
pub use frame::{Frame, FrameError};
pub use method::{Method, MethodError, MethodId};
pub use properties::{BasicProperties, ContentHeader, PropertiesError, canonicalize_headers_in_place};
pub use reply_code::ReplyCode;
pub use table::{Array, TABLE_DEPTH_MAX, Table, TableError, Value};

/// The examples of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
