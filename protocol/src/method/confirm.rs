//! Class confirm (85): answers to publishing.

use super::arguments::methods;

methods! {
    /// From now on published messages are answered with ack or nack.
    Select {
        /// No answer is wanted.
        nowait: Bit,
    }

    /// It is so.
    SelectOk {}
}
