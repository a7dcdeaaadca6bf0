//! Class connection (10): the handshake, the end, and what concerns all channels.

use super::arguments::methods;

methods! {
    /// Server's first word: who it is and how to log in.
    Start<'a> {
        /// Major version of the protocol: 0.
        version_major: Octet,
        /// Minor version of the protocol: 9.
        version_minor: Octet,
        /// Product, version, capabilities and the like.
        server_properties: Table,
        /// Names of authentication mechanisms, separated by spaces.
        mechanisms: LongStr,
        /// Names of locales, separated by spaces.
        locales: LongStr,
    }

    /// Client's answer: who it is and its credentials.
    StartOk<'a> {
        /// Product, version, capabilities and the like.
        client_properties: Table,
        /// The mechanism chosen.
        mechanism: ShortStr,
        /// What the mechanism says first.
        response: LongStr,
        /// The locale chosen.
        locale: ShortStr,
    }

    /// A mechanism's further question.
    Secure<'a> {
        /// Bytes for the mechanism.
        challenge: LongStr,
    }

    /// The answer to a further question.
    SecureOk<'a> {
        /// Bytes of the mechanism.
        response: LongStr,
    }

    /// Limits that the server proposes.
    Tune {
        /// Highest number of channels, 0 for no limit.
        channel_max: Short,
        /// Longest frame in bytes, 0 for no limit.
        frame_max: Long,
        /// Heartbeat interval in seconds, 0 for none.
        heartbeat: Short,
    }

    /// Limits that the client sets.
    TuneOk {
        /// Highest number of channels, 0 for no limit.
        channel_max: Short,
        /// Longest frame in bytes, 0 for no limit.
        frame_max: Long,
        /// Heartbeat interval in seconds, 0 for none.
        heartbeat: Short,
    }

    /// Enters a virtual host.
    Open<'a> {
        /// Its name.
        virtual_host: ShortStr,
    } [ShortStr, Bit]

    /// The connection is ready.
    OpenOk {} [ShortStr]

    /// The sender ends the connection.
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

    /// The server stops reading from publishers (C-27).
    Blocked<'a> {
        /// What it lacks.
        reason: ShortStr,
    }

    /// The server reads again.
    Unblocked {}

    /// A fresh credential for a long connection (C-28).
    UpdateSecret<'a> {
        /// The credential.
        new_secret: LongStr,
        /// Why it changes.
        reason: ShortStr,
    }

    /// The credential was accepted.
    UpdateSecretOk {}
}
