//! Bytes on their way to a connection's socket: frames appended to one buffer, large bodies kept by reference between them.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;
use leveret_protocol::Method;
use leveret_protocol::frame::{self, FRAME_END, body_frame_payload_max, kind};
use leveret_protocol::method::basic;

use crate::broker::{Delivery, Message};

/// Slices in one vectored write.
const SLICES_MAX: usize = 64;

/// Buffers above this many bytes are given back once they are empty.
const KEEP_BYTES: usize = 512 * 1024;

/// See the module.
#[derive(Default)]
pub struct Output {
    buffer: Vec<u8>,
    /// Bytes of `buffer` that are written.
    written: usize,
    /// Large bodies, each to be sent before the byte of `buffer` at its offset.
    bodies: VecDeque<(usize, Bytes)>,
    bodies_len: usize,
    /// Bytes of replies among what is not written, at most: they were appended since the output was last empty.
    replies: usize,
}

impl Output {
    /// With the allocation of `buffer`, which must be empty.
    pub fn with_buffer(buffer: Vec<u8>) -> Self {
        debug_assert!(buffer.is_empty());
        Self { buffer, ..Self::default() }
    }

    /// Whether it has an allocation to write into.
    pub fn has_buffer(&self) -> bool {
        self.buffer.capacity() > 0
    }

    /// Bytes not yet written.
    #[inline]
    pub fn len(&self) -> usize {
        self.buffer.len() - self.written + self.bodies_len
    }

    /// Bytes not yet written that answer the client, returned messages and gets among them, but not deliveries: an upper bound.
    #[inline]
    pub fn replies_len(&self) -> usize {
        self.replies.min(self.len())
    }

    /// What was appended since `len` was the length is replies.
    pub fn count_replies(&mut self, len: usize) {
        self.replies = self.replies.min(len) + self.len().saturating_sub(len);
    }

    /// Whether everything is written.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends all that is in another output.
    pub fn append(&mut self, other: Self) {
        let at = self.buffer.len();
        self.buffer.extend_from_slice(&other.buffer[other.written..]);
        self.bodies.extend(other.bodies.into_iter().map(|(offset, body)| (at + offset - other.written, body)));
        self.bodies_len += other.bodies_len;
    }

    /// Appends a method's frame.
    #[inline]
    pub fn method(&mut self, channel: u16, method: &Method<'_>) {
        frame::write_method(&mut self.buffer, channel, method);
    }

    /// Appends a heartbeat.
    pub fn heartbeat(&mut self) {
        frame::write_heartbeat(&mut self.buffer);
    }

    /// Appends header and body frames of a message; `frame_max` is the connection's, 0 for no limit.
    #[inline]
    pub fn content(&mut self, channel: u16, frame_max: u32, message: &Message) {
        self.content_with(channel, frame_max, message.properties(), message);
    }

    /// The same with other properties than the message's own.
    #[inline]
    pub fn content_with(&mut self, channel: u16, frame_max: u32, properties: &[u8], message: &Message) {
        frame::write_content_header(&mut self.buffer, channel, message.body_len() as u64, properties);
        match message.shared_body() {
            None => frame::write_body(&mut self.buffer, channel, frame_max, message.body()),
            Some(body) => self.shared_body(channel, frame_max, body),
        }
    }

    /// Appends header and body frames made of parts (for basic.return).
    pub fn content_parts(&mut self, channel: u16, frame_max: u32, properties: &[u8], body: &[u8]) {
        frame::write_content_header(&mut self.buffer, channel, body.len() as u64, properties);
        frame::write_body(&mut self.buffer, channel, frame_max, body);
    }

    /// Appends a delivery, with other properties than the message's own if there are any.
    #[inline]
    pub fn deliver(
        &mut self,
        channel: u16,
        frame_max: u32,
        consumer_tag: &str,
        delivery_tag: u64,
        delivery: &Delivery,
        properties: Option<&[u8]>,
    ) {
        let Delivery { redelivered, message, .. } = delivery;
        let deliver = basic::Deliver {
            consumer_tag,
            delivery_tag,
            redelivered: *redelivered,
            exchange: message.exchange(),
            routing_key: message.routing_key(),
        };
        self.method(channel, &Method::BasicDeliver(deliver));
        self.content_with(channel, frame_max, properties.unwrap_or_else(|| message.properties()), message);
    }

    /// The next bytes to write; `slices` gets them and is cleared first.
    pub fn slices<'a>(&'a self, slices: &mut Vec<IoSlice<'a>>) {
        slices.clear();
        let mut at = self.written;
        for (offset, body) in &self.bodies {
            if slices.len() + 2 > SLICES_MAX {
                return;
            }
            if at < *offset {
                slices.push(IoSlice::new(&self.buffer[at..*offset]));
                at = *offset;
            }
            slices.push(IoSlice::new(body));
        }
        if at < self.buffer.len() {
            slices.push(IoSlice::new(&self.buffer[at..]));
        }
    }

    /// The next bytes to write when no body is kept by reference.
    #[inline]
    pub fn plain(&self) -> Option<&[u8]> {
        self.bodies.is_empty().then(|| &self.buffer[self.written..])
    }

    /// `n` more bytes are written.
    pub fn advance(&mut self, mut n: usize) {
        while let Some((offset, body)) = self.bodies.front_mut() {
            let before = (*offset - self.written).min(n);
            self.written += before;
            n -= before;
            if self.written < *offset || n < body.len() {
                let _ = body.split_to(n);
                self.bodies_len -= n;
                return self.forget_written();
            }
            n -= body.len();
            self.bodies_len -= body.len();
            self.bodies.pop_front();
        }
        self.written += n;
        self.forget_written();
    }

    fn forget_written(&mut self) {
        if self.written == self.buffer.len() {
            self.buffer.clear();
            self.written = 0;
            self.replies = 0;
        } else if self.written >= KEEP_BYTES / 2 {
            self.buffer.drain(..self.written);
            self.bodies.iter_mut().for_each(|(offset, _)| *offset -= self.written);
            self.written = 0;
        }
    }

    /// Takes the buffer out of an empty output, for another connection to use; none if it is not worth keeping.
    pub fn take_buffer(&mut self) -> Option<Vec<u8>> {
        debug_assert!(self.is_empty());
        self.bodies = VecDeque::new();
        let buffer = std::mem::take(&mut self.buffer);
        (buffer.capacity() > 0 && buffer.capacity() <= KEEP_BYTES).then_some(buffer)
    }

    fn shared_body(&mut self, channel: u16, frame_max: u32, body: &Bytes) {
        let payload_max = body_frame_payload_max(frame_max);
        let mut rest = body.clone();
        while !rest.is_empty() {
            let payload = rest.split_to(rest.len().min(payload_max));
            self.buffer.push(kind::BODY);
            self.buffer.extend_from_slice(&channel.to_be_bytes());
            self.buffer.extend_from_slice(&(payload.len() as u32).to_be_bytes());
            self.bodies_len += payload.len();
            self.bodies.push_back((self.buffer.len(), payload));
            self.buffer.push(FRAME_END);
        }
    }
}
