//! Class channel (20): conversations within a connection.

use super::arguments::methods;

methods! {
    /// Opens the channel that the frame names.
    Open {} [ShortStr]

    /// The channel is open.
    OpenOk {} [LongStr]

    /// Asks the other side to pause or go on sending content.
    Flow {
        /// Whether content may flow.
        active: Bit,
    }

    /// The answer to [`Flow`].
    FlowOk {
        /// Whether content flows.
        active: Bit,
    }

    /// The sender ends the channel.
    Close<'a> {
        /// Why, as a number.
        reply_code: Short,
        /// Why, as text.
        reply_text: ShortStr,
        /// Class of the method that failed, or 0.
        class_id: Short,
        /// The method that failed, or 0.
        method_id: Short,
    }

    /// The other side agrees to the end.
    CloseOk {}
}
