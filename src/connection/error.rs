//! What ends a connection from our side, beside what its channels refuse. The texts are RabbitMQ's.

use leveret_protocol::frame::kind;
use leveret_protocol::properties::ContentHeader;
use leveret_protocol::{AssemblerError, Frame, FrameError, MethodError, ReplyCode};
use thiserror::Error;

use crate::broker::arguments::{Encoding, Term};

/// Bytes of a frame that a text shows: of a longer one the first (C-23).
const OCTETS_SHOWN: usize = 16;

/// Bytes of class and method in front of a method's arguments.
const METHOD_ID_LEN: usize = 4;

/// Bytes of a method's arguments that a text shows before the text would be cut anyway.
const CANNOT_DECODE_MAX: usize = 255;

/// A violation of the connection's rules. Each displays as the explanation behind the reply code's name.
#[derive(Debug, Error)]
pub enum ConnectionError {
    /// Ordered from outside: shutdown, an operator (C-29): 320.
    #[error("{0}")]
    Forced(String),
    /// The broker failed (C-22): 541.
    #[error("the broker failed; its log says how")]
    Failed,
    /// The frame layer cannot go on (C-23): 501.
    #[error("type {kind}, {octets}: {error}")]
    Frame {
        /// Kind of the frame.
        kind: u8,
        /// Its payload, as text.
        octets: String,
        /// What is wrong.
        error: FrameError,
    },
    /// A frame of an unknown kind, or a heartbeat with payload (C-17, C-23): 501.
    #[error("type {kind}, {octets}: unknown_frame")]
    UnknownFrame {
        /// Kind of the frame.
        kind: u8,
        /// Its payload, as text.
        octets: String,
    },
    /// A frame where none of its kind belongs (C-17, C-24): 505.
    #[error("type {kind}, {octets}")]
    UnexpectedFrame {
        /// Kind of the frame.
        kind: u8,
        /// Its payload, as text.
        octets: String,
    },
    /// A method or content header that cannot be read (C-23, C-25): 501.
    #[error("cannot decode {0}")]
    CannotDecode(String),
    /// Properties that cannot be read (C-23).
    #[error("cannot decode content properties")]
    UnreadableProperties,
    /// Content out of sequence or inconsistent (C-23, C-24).
    #[error(transparent)]
    Content(AssemblerError),
    /// Short strings must be UTF-8 (C-23): 501.
    #[error("Malformed UTF-8 in shortstr")]
    InvalidUtf8,
    /// A method on a channel that is not open (C-26): 504.
    #[error("expected 'channel.open'")]
    ExpectedChannelOpen,
    /// channel.open on an open channel (C-26): 504.
    #[error("second 'channel.open' seen")]
    SecondChannelOpen,
    /// A connection's method out of its turn (C-26): 504.
    #[error("unexpected method in connection state {0}")]
    UnexpectedMethod(&'static str),
    /// More channels than negotiated (C-20): 530.
    #[error("number of channels opened ({0}) has reached the negotiated channel_max ({0})")]
    TooManyChannels(u16),
    /// More connections than the broker takes (C-19): 530.
    #[error("connection refused: node connection limit ({0}) is reached")]
    TooManyConnections(usize),
    /// connection.open with an unknown vhost (C-18): 530.
    #[error("vhost {0} not found")]
    NoVHost(String),
    /// Wrong credentials, for clients that can be told (C-13): 403.
    #[error("Login was refused using authentication mechanism {0}. For details see the broker logfile.")]
    LoginRefused(String),
}

impl ConnectionError {
    /// The frame layer's error, with the payload as far as it has arrived.
    pub(super) fn frame(error: FrameError, input: &[u8]) -> Self {
        match error {
            FrameError::TooLarge { kind, .. } => Self::Frame { kind, octets: octets(&[]), error },
            FrameError::BadEnd { kind, size, .. } => {
                let payload = input.get(7..7 + size as usize).unwrap_or_default();
                Self::Frame { kind, octets: octets(payload), error }
            }
        }
    }

    /// The assembler's error about this frame.
    pub(super) fn assembly(error: AssemblerError, frame: &Frame<'_>) -> Self {
        match error {
            AssemblerError::Method(MethodError::InvalidUtf8 { .. }) => Self::InvalidUtf8,
            AssemblerError::Method(MethodError::Truncated)
            | AssemblerError::UnknownFrame { .. }
            | AssemblerError::ContentHeader(_) => Self::unknown_frame(frame),
            AssemblerError::Method(_) | AssemblerError::Properties(_) => Self::cannot_decode(frame.payload),
            AssemblerError::Heartbeat => Self::unexpected_frame(frame),
            content => Self::Content(content),
        }
    }

    /// A frame that may not come now.
    pub(super) fn unexpected_frame(frame: &Frame<'_>) -> Self {
        Self::UnexpectedFrame { kind: frame.kind, octets: octets(frame.payload) }
    }

    /// A frame that is no method on channel 0.
    pub(super) fn not_on_0(frame: &Frame<'_>) -> Self {
        match frame.kind {
            kind::HEADER if ContentHeader::decode(frame.payload).is_err() => Self::unknown_frame(frame),
            kind::HEADER | kind::BODY => Self::unexpected_frame(frame),
            _ => Self::unknown_frame(frame),
        }
    }

    /// A frame that nobody knows.
    pub(super) fn unknown_frame(frame: &Frame<'_>) -> Self {
        Self::UnknownFrame { kind: frame.kind, octets: octets(frame.payload) }
    }

    /// A method that cannot be read; its arguments are shown as numbers.
    pub(super) fn cannot_decode(payload: &[u8]) -> Self {
        let arguments = payload.get(METHOD_ID_LEN..).unwrap_or_default();
        let shown: Vec<_> = arguments.iter().take(CANNOT_DECODE_MAX).map(u8::to_string).collect();
        Self::CannotDecode(format!("<<{}>>", shown.join(",")))
    }

    /// The reply code.
    pub fn code(&self) -> ReplyCode {
        match self {
            Self::Forced(_) => ReplyCode::ConnectionForced,
            Self::Failed => ReplyCode::InternalError,
            Self::Frame { .. }
            | Self::UnknownFrame { .. }
            | Self::CannotDecode(_)
            | Self::UnreadableProperties
            | Self::InvalidUtf8 => ReplyCode::FrameError,
            Self::UnexpectedFrame { .. } => ReplyCode::UnexpectedFrame,
            Self::Content(error) => error.reply_code(),
            Self::ExpectedChannelOpen | Self::SecondChannelOpen | Self::UnexpectedMethod(_) => ReplyCode::ChannelError,
            Self::TooManyChannels(_) | Self::TooManyConnections(_) | Self::NoVHost(_) => ReplyCode::NotAllowed,
            Self::LoginRefused(_) => ReplyCode::AccessRefused,
        }
    }

    /// Whether the close names the method at fault.
    pub fn names_method(&self) -> bool {
        match self {
            Self::Forced(_)
            | Self::Failed
            | Self::Frame { .. }
            | Self::UnknownFrame { .. }
            | Self::UnexpectedFrame { .. }
            | Self::TooManyChannels(_)
            | Self::LoginRefused(_) => false,
            Self::CannotDecode(_) | Self::UnreadableProperties | Self::InvalidUtf8 => true,
            Self::Content(error) => error.method().is_some(),
            Self::ExpectedChannelOpen
            | Self::SecondChannelOpen
            | Self::UnexpectedMethod(_)
            | Self::TooManyConnections(_)
            | Self::NoVHost(_) => true,
        }
    }

    /// Whether the byte stream is unreadable from here on: the close is sent and what comes is only read away (C-23).
    pub fn is_unreadable(&self) -> bool {
        matches!(self, Self::Frame { .. })
    }
}

/// A payload as RabbitMQ's texts show it.
fn octets(payload: &[u8]) -> String {
    let print = |bytes: &[u8]| Term::Binary(bytes.to_vec()).line(Encoding::Latin1);
    if payload.len() > OCTETS_SHOWN {
        format!("first {OCTETS_SHOWN} octets = {}", print(&payload[..OCTETS_SHOWN]))
    } else {
        format!("all octets = {}", print(payload))
    }
}

/// The method that a frame's payload names, for the close about it: zeros if it names none.
pub(super) fn method_named(frame: &Frame<'_>) -> (u16, u16) {
    match *frame.payload {
        [c0, c1, m0, m1, ..] if frame.kind == kind::METHOD => {
            (u16::from_be_bytes([c0, c1]), u16::from_be_bytes([m0, m1]))
        }
        _ => (0, 0),
    }
}
