//! AMQP 0-9-1 on the wire.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod field;
pub mod table;
mod wire;

pub use field::{EncodedTable, FieldTable, FieldValue};
pub use table::{Array, TABLE_DEPTH_MAX, Table, TableError, Value};
