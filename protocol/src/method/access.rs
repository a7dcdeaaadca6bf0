//! Class access (30): tickets, which have no meaning any more but are still asked for.

use super::arguments::methods;

methods! {
    /// Asks for a ticket.
    Request<'a> {
        /// What it would be for.
        realm: ShortStr,
        /// Alone.
        exclusive: Bit,
        /// To look at.
        passive: Bit,
        /// To create and delete.
        active: Bit,
        /// To publish.
        write: Bit,
        /// To consume.
        read: Bit,
    }

    /// A ticket.
    RequestOk {
        /// Its number.
        ticket: Short,
    }
}
