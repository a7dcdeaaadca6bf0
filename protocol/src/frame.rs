//! Frames: reading one from the front of the receive buffer, and appending them to the send buffer.
//!
//! ```text
//! frame = kind:octet channel:short size:long payload:size*octet end:%xCE
//! ```

use nom::Parser;
use nom::number::complete::{be_u8, be_u16, be_u32};

use crate::method::Method;
use crate::wire::{Parsed, put_with_length};

/// The last octet of every frame.
pub const FRAME_END: u8 = 0xCE;
/// Bytes before the payload.
pub const FRAME_HEADER_LEN: usize = 7;
/// Bytes of a frame that are not payload.
pub const FRAME_OVERHEAD: usize = 8;
/// The smallest `frame_max` of the specification, in bytes of a whole frame.
pub const FRAME_MIN_SIZE: u32 = 4096;
/// What a client says first: the name, 0, and version 0-9-1.
pub const PROTOCOL_HEADER: [u8; 8] = *b"AMQP\x00\x00\x09\x01";

/// Kinds of frames. Not an enum, because an unknown kind has to reach the caller for its error text (C-23).
pub mod kind {
    /// A method.
    pub const METHOD: u8 = 1;
    /// Size and properties of the content that follows a method.
    pub const HEADER: u8 = 2;
    /// A piece of content.
    pub const BODY: u8 = 3;
    /// A sign of life, without payload, on channel 0.
    pub const HEARTBEAT: u8 = 8;
}

/// One frame. The payload lies in the receive buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// One of [`kind`], or what the peer made up.
    pub kind: u8,
    /// The channel; 0 is the connection itself.
    pub channel: u16,
    /// What is between header and end octet.
    pub payload: &'a [u8],
}

/// What makes the rest of the byte stream unreadable. Both are 501 (C-23).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The header announces more than is allowed. The payload was not waited for.
    #[error("{{frame_too_large,{size},{max}}}")]
    TooLarge {
        /// The channel of the frame.
        channel: u16,
        /// The kind of the frame.
        kind: u8,
        /// Bytes of payload announced.
        size: u32,
        /// Bytes of payload that `frame_max` leaves room for: `frame_max` - 8.
        max: u32,
    },
    /// There is something else where the end octet should be. The payload is the `size` bytes
    /// behind the first [`FRAME_HEADER_LEN`] of the input.
    #[error("{{invalid_frame_end_marker,{end}}}")]
    BadEnd {
        /// The channel of the frame.
        channel: u16,
        /// The kind of the frame.
        kind: u8,
        /// Bytes of payload.
        size: u32,
        /// The octet found.
        end: u8,
    },
}

/// Reads the frame at the front of `input` and gives it with its whole length in bytes; None while
/// it is incomplete.
///
/// `frame_max` is the negotiated size of a whole frame in bytes, 0 for no limit. As in RabbitMQ the
/// *payload* may be as long as that, 8 bytes more than a peer should send (C-23).
#[inline]
pub fn decode(input: &[u8], frame_max: u32) -> Result<Option<(Frame<'_>, usize)>, FrameError> {
    let Ok((rest, (kind, channel, size))) = header(input) else {
        return Ok(None);
    };
    if frame_max != 0 && size > frame_max {
        let max = frame_max.saturating_sub(FRAME_OVERHEAD as u32);
        return Err(FrameError::TooLarge { channel, kind, size, max });
    }
    let Some((payload, &[end, ..])) = rest.split_at_checked(size as usize) else {
        return Ok(None);
    };
    if end != FRAME_END {
        return Err(FrameError::BadEnd { channel, kind, size, end });
    }
    let frame = Frame { kind, channel, payload };
    Ok(Some((frame, FRAME_OVERHEAD + payload.len())))
}

/// Appends a method frame.
#[inline]
pub fn write_method(out: &mut Vec<u8>, channel: u16, method: &Method<'_>) {
    write_frame(out, kind::METHOD, channel, |out| method.encode(out));
}

/// Appends the content header frame of class basic. `body_size` is in bytes; `properties` are the
/// flags and values as on the wire.
#[inline]
pub fn write_content_header(out: &mut Vec<u8>, channel: u16, body_size: u64, properties: &[u8]) {
    let [s0, s1, s2, s3, s4, s5, s6, s7] = body_size.to_be_bytes();
    let fixed = [0, 60, 0, 0, s0, s1, s2, s3, s4, s5, s6, s7];
    write_frame(out, kind::HEADER, channel, |out| {
        out.extend_from_slice(&fixed);
        out.extend_from_slice(properties);
    });
}

/// Appends `body` in frames of at most `frame_max` bytes (0 for no limit); nothing for an empty
/// body (C-32).
#[inline]
pub fn write_body(out: &mut Vec<u8>, channel: u16, frame_max: u32, body: &[u8]) {
    for piece in body.chunks(body_frame_payload_max(frame_max)) {
        write_frame(out, kind::BODY, channel, |out| out.extend_from_slice(piece));
    }
}

/// Appends a heartbeat frame.
pub fn write_heartbeat(out: &mut Vec<u8>) {
    write_frame(out, kind::HEARTBEAT, 0, |_| {});
}

/// How many bytes of content go into one body frame under `frame_max` (0 for no limit).
#[inline]
pub const fn body_frame_payload_max(frame_max: u32) -> usize {
    match (frame_max as usize).saturating_sub(FRAME_OVERHEAD) {
        0 if frame_max == 0 => u32::MAX as usize,
        0 => 1,
        max => max,
    }
}

#[inline]
fn write_frame(out: &mut Vec<u8>, kind: u8, channel: u16, payload: impl FnOnce(&mut Vec<u8>)) {
    let [high, low] = channel.to_be_bytes();
    out.extend_from_slice(&[kind, high, low]);
    put_with_length(out, payload);
    out.push(FRAME_END);
}

#[inline]
fn header(input: &[u8]) -> Parsed<'_, (u8, u16, u32)> {
    (be_u8, be_u16, be_u32).parse(input)
}
