//! Counting deliveries in what a consumer's connection receives.
//!
//! A message that has the form of the one before it is recognised by a few comparisons at known
//! places. They cover all that is counted on: kinds, sizes, channel and ends of the three frames,
//! the size of the body and the delivery tag. Any other message is read frame by frame.

use leveret_protocol::frame::{FRAME_END, FRAME_HEADER_LEN, FRAME_OVERHEAD, Frame, kind};
use leveret_protocol::{ContentHeader, Method};

use super::block::STAMP_LEN;
use super::client::{content_body_size, decode, end_or_method};
use super::error::{Error, Result};

/// One message received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Delivered {
    /// The channel it came on.
    pub channel: u16,
    /// Its delivery tag.
    pub delivery_tag: u64,
    /// The first 8 bytes of the body, 0 if it is shorter.
    pub stamp: u64,
}

/// The state of all channels of a connection.
#[derive(Debug)]
pub(super) struct Deliveries {
    /// By channel number - 1.
    channels: Vec<ChannelState>,
    form: Option<Form>,
}

#[derive(Debug, Clone, Default)]
struct ChannelState {
    last_tag: u64,
    incoming: Option<Incoming>,
}

/// A message that has not arrived whole.
#[derive(Debug, Clone)]
struct Incoming {
    delivery_tag: u64,
    /// None before the content header.
    missing: Option<u64>,
    /// The first bytes of the body.
    start: Vec<u8>,
}

impl Deliveries {
    /// For consumers on the channels 1 to `channels`.
    pub(super) fn new(channels: u16) -> Self {
        Self { channels: vec![ChannelState::default(); channels.into()], form: None }
    }

    /// Tells `each` about the messages that are complete in `input`. Gives the number of bytes that
    /// were dealt with.
    pub(super) fn read(&mut self, input: &[u8], mut each: impl FnMut(Delivered)) -> Result<usize> {
        let mut at = 0;
        loop {
            let rest = &input[at..];
            let form = match self.form.filter(|form| form.fits(rest)) {
                Some(form) => Some(form),
                None => Form::of(rest)?,
            };
            if let Some(form) = form {
                self.form = Some(form);
                each(self.whole(form.delivered(rest))?);
                at += form.len;
                continue;
            }
            let Some((frame, len)) = decode(rest)? else {
                return Ok(at);
            };
            if let Some(delivered) = self.frame(&frame)? {
                each(delivered);
            }
            at += len;
        }
    }

    /// Takes in a message whose frames follow each other.
    #[inline]
    fn whole(&mut self, delivered: Delivered) -> Result<Delivered> {
        let channel = self.channel(delivered.channel)?;
        if channel.incoming.is_some() {
            return Err(Error::Protocol("a delivery within a delivery".into()));
        }
        channel.count(delivered.delivery_tag)?;
        Ok(delivered)
    }

    /// Takes in a frame; gives the message that it completes.
    fn frame(&mut self, frame: &Frame<'_>) -> Result<Option<Delivered>> {
        let out_of_place = || Error::Protocol("content out of place".into());
        match frame.kind {
            kind::HEADER => {
                let channel = self.channel(frame.channel)?;
                let incoming = channel.incoming.as_mut().filter(|incoming| incoming.missing.is_none());
                incoming.ok_or_else(out_of_place)?.missing = Some(content_body_size(frame.payload)?);
            }
            kind::BODY => {
                let channel = self.channel(frame.channel)?;
                let incoming = channel.incoming.as_mut().ok_or_else(out_of_place)?;
                let missing = incoming.missing.ok_or_else(out_of_place)?;
                let missing = missing.checked_sub(frame.payload.len() as u64).ok_or_else(out_of_place)?;
                incoming.missing = Some(missing);
                let wanted = STAMP_LEN.saturating_sub(incoming.start.len());
                incoming.start.extend(frame.payload.iter().take(wanted));
            }
            _ => {
                let Some(Method::BasicDeliver(deliver)) = end_or_method(frame)? else {
                    return Ok(None);
                };
                let channel = self.channel(frame.channel)?;
                let before = channel.incoming.replace(Incoming {
                    delivery_tag: deliver.delivery_tag,
                    missing: None,
                    start: Vec::new(),
                });
                if before.is_some() {
                    return Err(out_of_place());
                }
            }
        }
        self.completed(frame.channel)
    }

    fn completed(&mut self, number: u16) -> Result<Option<Delivered>> {
        let channel = self.channel(number)?;
        let Some(incoming) = channel.incoming.take_if(|incoming| incoming.missing == Some(0)) else {
            return Ok(None);
        };
        channel.count(incoming.delivery_tag)?;
        Ok(Some(Delivered { channel: number, delivery_tag: incoming.delivery_tag, stamp: stamp(&incoming.start) }))
    }

    #[inline]
    fn channel(&mut self, number: u16) -> Result<&mut ChannelState> {
        let channel = self.channels.get_mut(usize::from(number).wrapping_sub(1));
        channel.ok_or_else(|| Error::Protocol(format!("a delivery on channel {number}")))
    }
}

impl ChannelState {
    /// Tags go up by one.
    #[inline]
    fn count(&mut self, delivery_tag: u64) -> Result<()> {
        if delivery_tag != self.last_tag + 1 {
            let last = self.last_tag;
            let text = format!("delivery tag {delivery_tag} after {last}");
            return Err(Error::Protocol(text));
        }
        self.last_tag = delivery_tag;
        Ok(())
    }
}

/// Where things are in a delivery of three frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Form {
    method: FrameForm,
    header: FrameForm,
    body: FrameForm,
    delivery_tag_at: usize,
    len: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FrameForm {
    kind: u8,
    at: usize,
    payload_len: u32,
}

impl Form {
    /// The form of the message at the front of `input`; None if it is no delivery, not complete, or
    /// has not exactly one body frame.
    fn of(input: &[u8]) -> Result<Option<Self>> {
        let mut at = 0;
        let mut form_of = |frame: &Frame<'_>, len: usize| {
            at += len;
            FrameForm { kind: frame.kind, at: at - len, payload_len: frame.payload.len() as u32 }
        };
        let Some((method, method_len)) = decode(input)? else {
            return Ok(None);
        };
        let Some(Method::BasicDeliver(deliver)) = end_or_method(&method)? else {
            return Ok(None);
        };
        let Some((header, header_len)) = decode(&input[method_len..])? else {
            return Ok(None);
        };
        let Some((body, body_len)) = decode(&input[method_len + header_len..])? else {
            return Ok(None);
        };
        let size = ContentHeader::decode(header.payload).map(|content| content.body_size);
        let whole = header.kind == kind::HEADER
            && body.kind == kind::BODY
            && size == Ok(body.payload.len() as u64)
            && method.channel == header.channel
            && method.channel == body.channel;
        Ok(whole.then(|| Self {
            method: form_of(&method, method_len),
            header: form_of(&header, header_len),
            body: form_of(&body, body_len),
            delivery_tag_at: FRAME_HEADER_LEN + 4 + 1 + deliver.consumer_tag.len(),
            len: method_len + header_len + body_len,
        }))
    }

    /// Whether a message of this form is at the front of `input`.
    #[inline]
    fn fits(&self, input: &[u8]) -> bool {
        let Some(message) = input.get(..self.len) else {
            return false;
        };
        let channel = [message[1], message[2]];
        let body_size_at = self.header.at + FRAME_HEADER_LEN + 4;
        self.method.fits(message, channel)
            && self.header.fits(message, channel)
            && self.body.fits(message, channel)
            && message[FRAME_HEADER_LEN..FRAME_HEADER_LEN + 4] == BASIC_DELIVER
            && usize::from(message[FRAME_HEADER_LEN + 4]) + FRAME_HEADER_LEN + 5 == self.delivery_tag_at
            && integer(message, body_size_at) == u64::from(self.body.payload_len)
    }

    /// The message at the front of `message`, which fits.
    #[inline]
    fn delivered(&self, message: &[u8]) -> Delivered {
        let body = self.body.at + FRAME_HEADER_LEN;
        Delivered {
            channel: u16::from_be_bytes([message[1], message[2]]),
            delivery_tag: integer(message, self.delivery_tag_at),
            stamp: stamp(&message[body..body + self.body.payload_len as usize]),
        }
    }
}

impl FrameForm {
    #[inline]
    fn fits(&self, message: &[u8], channel: [u8; 2]) -> bool {
        let [s0, s1, s2, s3] = self.payload_len.to_be_bytes();
        let start = [self.kind, channel[0], channel[1], s0, s1, s2, s3];
        message[self.at..self.at + FRAME_HEADER_LEN] == start
            && message[self.at + self.payload_len as usize + FRAME_OVERHEAD - 1] == FRAME_END
    }
}

#[inline]
fn stamp(body: &[u8]) -> u64 {
    body.first_chunk().map_or(0, |first: &[u8; STAMP_LEN]| u64::from_be_bytes(*first))
}

#[inline]
fn integer(bytes: &[u8], at: usize) -> u64 {
    stamp(&bytes[at..])
}

const BASIC_DELIVER: [u8; 4] = [0, 60, 0, 60];

#[cfg(test)]
mod tests {
    use leveret_protocol::frame;
    use leveret_protocol::method::{basic, channel};

    use super::*;

    fn deliver(out: &mut Vec<u8>, channel: u16, tag: u64, body: &[u8], frame_max: u32) {
        let method = basic::Deliver {
            consumer_tag: "c1",
            delivery_tag: tag,
            redelivered: false,
            exchange: b"",
            routing_key: b"q",
        };
        frame::write_method(out, channel, &method.into());
        frame::write_content_header(out, channel, body.len() as u64, &[0, 0]);
        frame::write_body(out, channel, frame_max, body);
    }

    fn body(stamp: u64, size: usize) -> Vec<u8> {
        let mut body = stamp.to_be_bytes().to_vec();
        body.resize(size, 0);
        body
    }

    /// What is counted if `bytes` come in pieces of `piece`.
    fn read(bytes: &[u8], piece: usize) -> Result<Vec<(u16, u64, u64)>> {
        let mut deliveries = Deliveries::new(2);
        let (mut found, mut pending) = (Vec::new(), Vec::new());
        for piece in bytes.chunks(piece) {
            pending.extend_from_slice(piece);
            let len = deliveries.read(&pending, |d| found.push((d.channel, d.delivery_tag, d.stamp)))?;
            pending.drain(..len);
        }
        assert!(pending.is_empty());
        Ok(found)
    }

    #[test]
    fn messages_are_counted_however_they_are_cut() {
        let mut bytes = Vec::new();
        deliver(&mut bytes, 1, 1, &body(7, 16), 0);
        deliver(&mut bytes, 2, 1, &body(8, 16), 0);
        deliver(&mut bytes, 1, 2, &body(9, 5000), 4096);
        deliver(&mut bytes, 1, 3, &[], 0);
        frame::write_heartbeat(&mut bytes);
        deliver(&mut bytes, 1, 4, b"short", 0);
        deliver(&mut bytes, 1, 5, &body(10, 16), 0);
        let expected = [(1, 1, 7), (2, 1, 8), (1, 2, 9), (1, 3, 0), (1, 4, 0), (1, 5, 10)];
        for piece in [1, 7, 100, 1000, bytes.len()] {
            assert_eq!(read(&bytes, piece).unwrap(), expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn a_gap_in_delivery_tags_is_an_error() {
        let mut bytes = Vec::new();
        deliver(&mut bytes, 1, 1, &body(1, 16), 0);
        deliver(&mut bytes, 1, 3, &body(1, 16), 0);
        let error = read(&bytes, bytes.len()).unwrap_err();
        assert_eq!(error.to_string(), "the server broke the protocol: delivery tag 3 after 1");
    }

    #[test]
    fn a_wrong_frame_end_is_an_error() {
        for from_end in [1, 16 + 8 + 1] {
            let mut bytes = Vec::new();
            deliver(&mut bytes, 1, 1, &body(1, 16), 0);
            deliver(&mut bytes, 1, 2, &body(1, 16), 0);
            let at = bytes.len() - from_end;
            bytes[at] = 0;
            assert!(matches!(read(&bytes, bytes.len()), Err(Error::Protocol(_))));
        }
    }

    #[test]
    fn the_servers_last_word_is_the_error() {
        let mut bytes = Vec::new();
        let close = channel::Close { reply_code: 404, reply_text: "NOT_FOUND - no queue", ..Default::default() };
        frame::write_method(&mut bytes, 1, &close.into());
        let error = read(&bytes, bytes.len()).unwrap_err();
        assert_eq!(error.to_string(), "the server closed the channel: 404 NOT_FOUND - no queue");
    }
}
