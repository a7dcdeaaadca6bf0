//! AMQP 0-9-1 on the wire.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod assembler;
pub mod field;
pub mod frame;
pub mod method;
pub mod properties;
pub mod reply_code;
pub mod table;
mod wire;

pub use assembler::{Assembler, AssemblerError, Content, State, Step, whole_publish};
pub use field::{EncodedTable, FieldTable, FieldValue};
pub use frame::{Frame, FrameError};
pub use method::{Method, MethodError, MethodId};
pub use properties::{
    BasicProperties, ContentHeader, PropertiesError, canonicalize_headers_in_place,
};
pub use reply_code::ReplyCode;
pub use table::{Array, TABLE_DEPTH_MAX, Table, TableError, Value};
