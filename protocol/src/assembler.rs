//! From frames to methods with their content: one [`Assembler`] for each channel.
//!
//! ```text
//!           method without content          header, body-size 0
//!             +------+                 +---------------------------+
//!             v      |                 |                           |
//!           +----------+ with content +---------------+ body-size > 0 +-------------+
//!      ---> |  Method  | -----------> | ContentHeader | ------------> | ContentBody |
//!           +----------+              +---------------+               +-------------+
//!             ^                                                         | last body frame
//!             +---------------------------------------------------------+
//! ```
//!
//! Every other frame is an [`AssemblerError`], and each of those ends the connection. The errors,
//! and which of two wins, are RabbitMQ's (C-23, C-24).

use std::borrow::Cow;

use crate::frame::{self, Frame, kind};
use crate::method::{Method, MethodError, MethodId};
use crate::properties::{BasicProperties, ContentHeader, ContentHeaderError, Treatment};
use crate::reply_code::ReplyCode;

/// The largest `body-size` that is not an error of its own, in bytes (C-23).
pub const CONTENT_BODY_SIZE_MAX: u64 = 512 * 1024 * 1024;

/// What a channel's frames have come to.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'s> {
    /// More frames are needed.
    More,
    /// A method without content.
    Method(Method<'s>),
    /// A method with its content.
    Content(Content<'s>),
}

/// A method and all of its content.
#[derive(Debug, PartialEq, Eq)]
pub struct Content<'s> {
    /// The method that it follows: basic.publish from a client; basic.deliver, get-ok or return
    /// from a server.
    pub method: Method<'s>,
    /// Flags and values as received; [`BasicProperties::decode`] accepts them.
    pub properties: &'s [u8],
    /// Bytes of the body, even if it was not kept.
    pub body_size: u64,
    /// The body is larger than `max_message_size` and was not kept (P-07).
    pub oversized: bool,
    /// The body: borrowed if it came in one frame, owned if it was put together.
    pub body: Cow<'s, [u8]>,
}

/// Which frame comes next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum State {
    /// A method.
    #[default]
    Method,
    /// The content header for this method.
    ContentHeader(MethodId),
    /// Body frames.
    ContentBody {
        /// The method that the content follows.
        method: MethodId,
        /// Bytes of all body frames together.
        body_size: u64,
        /// Bytes still to come; more than 0.
        remaining: u64,
        /// The bytes are counted and not kept.
        oversized: bool,
    },
}

/// A frame that may not come now, or that is not what it should be.
///
/// The texts are those that RabbitMQ puts behind the code's name, but for the variants that quote
/// the frame's bytes: they say the reason alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AssemblerError {
    /// Body frames have more bytes than the header announced.
    #[error("content body frame exceeds remaining content size")]
    BodyExceedsRemaining(MethodId),
    /// The header announces more than [`CONTENT_BODY_SIZE_MAX`].
    #[error("content body size {size} exceeds maximum allowed size {CONTENT_BODY_SIZE_MAX}")]
    BodyTooLarge {
        /// The method that the content follows.
        method: MethodId,
        /// Bytes announced.
        size: u64,
    },
    /// A header frame that is too short.
    #[error(transparent)]
    ContentHeader(#[from] ContentHeaderError),
    /// A header for a class other than the method's.
    #[error("expected content header for class {}, got one for class {class} instead", method.class)]
    ContentHeaderOfOtherClass {
        /// The method that the content follows.
        method: MethodId,
        /// The class in the header.
        class: u16,
    },
    /// A method or header where body frames belong.
    #[error("expected content body, got non content body frame instead")]
    ExpectedContentBody(MethodId),
    /// A method or body where the header belongs, or a header whose weight is not 0.
    #[error("expected content header for class {}, got non content header frame instead", .0.class)]
    ExpectedContentHeader(MethodId),
    /// A header or body without a method.
    #[error("expected method frame, got non method frame instead")]
    ExpectedMethod,
    /// A heartbeat on a channel (C-17).
    #[error("unexpected heartbeat")]
    Heartbeat,
    /// A method frame that is no method.
    #[error(transparent)]
    Method(#[from] MethodError),
    /// The header's properties cannot be read.
    #[error("malformed properties")]
    Properties(MethodId),
    /// A frame of a kind that does not exist.
    #[error("unknown_frame")]
    UnknownFrame {
        /// Its kind.
        kind: u8,
    },
}

impl AssemblerError {
    /// The code to close the connection with.
    pub const fn reply_code(&self) -> ReplyCode {
        match self {
            Self::BodyExceedsRemaining(_)
            | Self::BodyTooLarge { .. }
            | Self::ContentHeader(_)
            | Self::Method(_)
            | Self::Properties(_)
            | Self::UnknownFrame { .. } => ReplyCode::FrameError,
            Self::ContentHeaderOfOtherClass { .. }
            | Self::ExpectedContentBody(_)
            | Self::ExpectedContentHeader(_)
            | Self::ExpectedMethod
            | Self::Heartbeat => ReplyCode::UnexpectedFrame,
        }
    }

    /// The method to name in connection.close; None for 0,0.
    pub const fn method(&self) -> Option<MethodId> {
        match *self {
            Self::BodyExceedsRemaining(method)
            | Self::BodyTooLarge { method, .. }
            | Self::ContentHeaderOfOtherClass { method, .. }
            | Self::ExpectedContentBody(method)
            | Self::ExpectedContentHeader(method)
            | Self::Properties(method) => Some(method),
            Self::Method(
                MethodError::Syntax { class, method } | MethodError::UnknownClassOrMethod { class, method },
            ) => Some(MethodId { class, method }),
            Self::ContentHeader(_)
            | Self::ExpectedMethod
            | Self::Heartbeat
            | Self::Method(MethodError::InvalidUtf8 { .. } | MethodError::Truncated)
            | Self::UnknownFrame { .. } => None,
        }
    }
}

/// The state of one channel between two frames.
///
/// Invariants: `body` holds the bytes received of a body that is not oversized, and is empty in the
/// states before. No buffer is ever larger than twice the bytes received for it, or
/// [`BODY_RESERVED_MAX`]: what a header announces costs nothing.
#[derive(Debug, Default)]
pub struct Assembler {
    state: State,
    /// The payload of the method with content.
    method: Vec<u8>,
    /// Flags and values of the content header.
    properties: Vec<u8>,
    body: Vec<u8>,
}

impl Assembler {
    /// An assembler that waits for a method.
    pub const fn new() -> Self {
        Self { state: State::Method, method: Vec::new(), properties: Vec::new(), body: Vec::new() }
    }

    /// Takes the channel's next frame. A body of more than `max_message_size` bytes is not kept.
    ///
    /// After an error the state is as before it.
    #[inline]
    pub fn frame<'s>(&'s mut self, frame: &Frame<'s>, max_message_size: u64) -> Result<Step<'s>, AssemblerError> {
        match frame.kind {
            kind::METHOD => self.method(frame.payload),
            kind::HEADER => self.content_header(ContentHeader::decode(frame.payload)?, max_message_size),
            kind::BODY => self.content_body(frame.payload),
            kind::HEARTBEAT => Err(AssemblerError::Heartbeat),
            kind => Err(AssemblerError::UnknownFrame { kind }),
        }
    }

    /// Which frame comes next.
    pub const fn state(&self) -> State {
        self.state
    }

    /// Bytes of memory held for content in progress.
    pub const fn capacity(&self) -> usize {
        self.method.capacity() + self.properties.capacity() + self.body.capacity()
    }

    #[inline]
    fn method<'s>(&'s mut self, payload: &'s [u8]) -> Result<Step<'s>, AssemblerError> {
        if payload.len() < METHOD_ID_LEN {
            return Err(MethodError::Truncated.into());
        }
        match self.state {
            State::Method => {}
            State::ContentHeader(method) => {
                return Err(AssemblerError::ExpectedContentHeader(method));
            }
            State::ContentBody { method, .. } => {
                return Err(AssemblerError::ExpectedContentBody(method));
            }
        }
        let method = Method::decode(payload)?;
        if !method.has_content() {
            return Ok(Step::Method(method));
        }
        refill(&mut self.method, payload);
        self.state = State::ContentHeader(method.id());
        Ok(Step::More)
    }

    fn content_header(&mut self, header: ContentHeader<'_>, max_message_size: u64) -> Result<Step<'_>, AssemblerError> {
        let method = match self.state {
            State::Method => return Err(AssemblerError::ExpectedMethod),
            State::ContentHeader(method) => method,
            State::ContentBody { method, .. } => {
                return Err(AssemblerError::ExpectedContentBody(method));
            }
        };
        check_header(method, &header)?;
        refill(&mut self.properties, header.properties);
        let (body_size, oversized) = (header.body_size, header.body_size > max_message_size);
        if body_size == 0 {
            return self.finish(0, oversized, Cow::Borrowed(&[]));
        }
        self.state = State::ContentBody { method, body_size, remaining: body_size, oversized };
        Ok(Step::More)
    }

    fn content_body<'s>(&'s mut self, payload: &'s [u8]) -> Result<Step<'s>, AssemblerError> {
        let (method, body_size, remaining, oversized) = match self.state {
            State::Method => return Err(AssemblerError::ExpectedMethod),
            State::ContentHeader(method) => {
                return Err(AssemblerError::ExpectedContentHeader(method));
            }
            State::ContentBody { method, body_size, remaining, oversized } => (method, body_size, remaining, oversized),
        };
        let remaining =
            remaining.checked_sub(payload.len() as u64).ok_or(AssemblerError::BodyExceedsRemaining(method))?;
        if remaining == 0 && oversized {
            return self.finish(body_size, true, Cow::Borrowed(&[]));
        }
        if remaining == 0 && self.body.is_empty() {
            return self.finish(body_size, false, Cow::Borrowed(payload));
        }
        if !oversized {
            extend_body(&mut self.body, payload, body_size);
        }
        if remaining == 0 {
            let body = std::mem::take(&mut self.body);
            return self.finish(body_size, false, Cow::Owned(body));
        }
        self.state = State::ContentBody { method, body_size, remaining, oversized };
        Ok(Step::More)
    }

    fn finish<'s>(
        &'s mut self,
        body_size: u64,
        oversized: bool,
        body: Cow<'s, [u8]>,
    ) -> Result<Step<'s>, AssemblerError> {
        self.state = State::Method;
        Ok(Step::Content(Content {
            method: Method::decode(&self.method)?,
            properties: &self.properties,
            body_size,
            oversized,
            body,
        }))
    }
}

/// Finds the whole content of a basic.publish right behind its method frame: a header frame and,
/// unless the body is empty, exactly one body frame, all complete, well-formed and on `channel`.
/// Gives the header (its properties are readable), the body, and the length of these frames in
/// bytes.
///
/// None means nothing but that [`Assembler`] has to decide, from the method frame on. This way
/// keeps no state and copies nothing; most publishes go it.
#[inline]
pub fn whole_publish(input: &[u8], channel: u16, frame_max: u32) -> Option<(ContentHeader<'_>, &[u8], usize)> {
    let (frame, header_len) = frame::decode(input, frame_max).ok()??;
    if frame.kind != kind::HEADER || frame.channel != channel {
        return None;
    }
    let header = ContentHeader::decode(frame.payload).ok()?;
    check_header(PUBLISH, &header).ok()?;
    if header.body_size == 0 {
        return Some((header, &[], header_len));
    }
    let (frame, body_len) = frame::decode(input.get(header_len..)?, frame_max).ok()??;
    let whole = frame.kind == kind::BODY && frame.channel == channel && frame.payload.len() as u64 == header.body_size;
    whole.then_some((header, frame.payload, header_len + body_len))
}

#[inline]
fn check_header(method: MethodId, header: &ContentHeader<'_>) -> Result<(), AssemblerError> {
    let (class, size) = (header.class_id, header.body_size);
    if header.weight != 0 {
        return Err(AssemblerError::ExpectedContentHeader(method));
    }
    if class != method.class {
        return Err(AssemblerError::ContentHeaderOfOtherClass { method, class });
    }
    if size > CONTENT_BODY_SIZE_MAX {
        return Err(AssemblerError::BodyTooLarge { method, size });
    }
    if header.properties == NO_PROPERTIES || Treatment::decode(header.properties).is_some() {
        return Ok(());
    }
    BasicProperties::decode(header.properties).map(drop).map_err(|_| AssemblerError::Properties(method))
}

/// Appends to a body, doubling its room as needed but not beyond the announced size.
fn extend_body(body: &mut Vec<u8>, bytes: &[u8], body_size: u64) {
    let needed = body.len() + bytes.len();
    if needed > body.capacity() {
        let grown = BODY_RESERVED_MAX.max(2 * needed);
        let announced = usize::try_from(body_size).unwrap_or(usize::MAX);
        body.reserve_exact(grown.min(announced) - body.len());
    }
    body.extend_from_slice(bytes);
}

/// Replaces what a buffer holds. One that grew out of the ordinary is given back first.
fn refill(buffer: &mut Vec<u8>, bytes: &[u8]) {
    buffer.clear();
    buffer.shrink_to(BUFFER_KEPT_MAX);
    buffer.extend_from_slice(bytes);
}

/// The flags of a message without properties.
const NO_PROPERTIES: [u8; 2] = [0, 0];

const METHOD_ID_LEN: usize = 4;
const PUBLISH: MethodId = MethodId { class: 60, method: 40 };

/// Room for a body in several frames that is taken at once, in bytes: a few frames of the usual
/// size.
pub const BODY_RESERVED_MAX: usize = 512 * 1024;

/// Room that a channel keeps for the method and the properties of its next publish, in bytes.
const BUFFER_KEPT_MAX: usize = 1024;
