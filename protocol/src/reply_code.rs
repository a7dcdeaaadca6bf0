//! Reply codes: why a method was refused, a channel or a connection closed, a message returned.

/// Makes the codes from one table: number, variant, name in texts, and whether it ends the
/// connection.
macro_rules! reply_codes {
    ($($(#[$doc:meta])* $code:literal $variant:ident $name:literal $hard:literal,)*) => {
        /// A reply code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum ReplyCode {
            $($(#[$doc])* $variant = $code,)*
        }

        impl ReplyCode {
            /// All codes in ascending order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name that starts a reply text, such as `NOT_FOUND` (C-22).
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Whether the error ends the connection, not only the channel.
            pub const fn is_hard(self) -> bool {
                match self {
                    $(Self::$variant => $hard,)*
                }
            }

            /// The code with this number.
            pub const fn from_u16(code: u16) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

reply_codes! {
    /// No error.
    200 Success "SUCCESS" false,
    /// Content is larger than the peer takes now.
    311 ContentTooLarge "CONTENT_TOO_LARGE" false,
    /// No queue took a mandatory message.
    312 NoRoute "NO_ROUTE" false,
    /// No consumer took an immediate message.
    313 NoConsumers "NO_CONSUMERS" false,
    /// An operator closed the connection.
    320 ConnectionForced "CONNECTION_FORCED" true,
    /// Unknown virtual host, by the specification.
    402 InvalidPath "INVALID_PATH" true,
    /// The user may not do it.
    403 AccessRefused "ACCESS_REFUSED" false,
    /// There is no such thing.
    404 NotFound "NOT_FOUND" false,
    /// It belongs to another connection.
    405 ResourceLocked "RESOURCE_LOCKED" false,
    /// The request does not fit what is there.
    406 PreconditionFailed "PRECONDITION_FAILED" false,
    /// A frame could not be read.
    501 FrameError "FRAME_ERROR" true,
    /// A method has illegal values.
    502 SyntaxError "SYNTAX_ERROR" true,
    /// A method that is not accepted from this side.
    503 CommandInvalid "COMMAND_INVALID" true,
    /// A method on a channel that is in the wrong state.
    504 ChannelError "CHANNEL_ERROR" true,
    /// A frame that is not expected now.
    505 UnexpectedFrame "UNEXPECTED_FRAME" true,
    /// The server lacks something.
    506 ResourceError "RESOURCE_ERROR" true,
    /// Never allowed to anyone.
    530 NotAllowed "NOT_ALLOWED" true,
    /// Not supported.
    540 NotImplemented "NOT_IMPLEMENTED" true,
    /// The server failed.
    541 InternalError "INTERNAL_ERROR" true,
}

impl ReplyCode {
    /// The number on the wire.
    pub const fn as_u16(self) -> u16 {
        self as u16
    }
}
