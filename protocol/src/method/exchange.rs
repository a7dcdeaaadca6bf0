//! Class exchange (40).

use super::arguments::methods;

methods! {
    /// Creates an exchange, or checks that it is as described.
    Declare<'a> [Short] {
        /// Its name.
        exchange: ShortStr,
        /// `type` in the specification: how it routes.
        kind: ShortStr,
        /// Only ask whether it exists.
        passive: Bit,
        /// It survives a restart.
        durable: Bit,
        /// It goes with its last binding.
        auto_delete: Bit,
        /// Only other exchanges may publish to it.
        internal: Bit,
        /// No answer is wanted.
        nowait: Bit,
        /// Extensions.
        arguments: Table,
    }

    /// The exchange exists.
    DeclareOk {}

    /// Deletes an exchange.
    Delete<'a> [Short] {
        /// Its name.
        exchange: ShortStr,
        /// Only if nothing is bound to it.
        if_unused: Bit,
        /// No answer is wanted.
        nowait: Bit,
    }

    /// The exchange does not exist.
    DeleteOk {}

    /// Binds an exchange to an exchange.
    Bind<'a> [Short] {
        /// Where messages go.
        destination: ShortStr,
        /// Where they come from.
        source: ShortStr,
        /// Which ones.
        routing_key: ShortStr,
        /// No answer is wanted.
        nowait: Bit,
        /// Which ones, for exchanges that look at headers.
        arguments: Table,
    }

    /// The binding exists.
    BindOk {}

    /// Removes a binding of an exchange to an exchange.
    Unbind<'a> [Short] {
        /// Where messages went.
        destination: ShortStr,
        /// Where they came from.
        source: ShortStr,
        /// Part of the binding's identity.
        routing_key: ShortStr,
        /// No answer is wanted.
        nowait: Bit,
        /// Part of the binding's identity.
        arguments: Table,
    }

    /// The binding does not exist.
    UnbindOk {}
}
