//! A message as the store keeps it.

use super::journal::Payload;
use super::message::{Body, Message, Parts};

/// A message, and whether the queue that has it keeps it over a restart.
#[derive(Clone)]
pub struct Kept {
    /// The message.
    pub message: Message,
    /// It is persistent, or its queue keeps all messages.
    pub lasting: bool,
    /// Its queue promises that what it confirms is flushed.
    pub flushed: bool,
}

/// Octet of flags, lengths of exchange and routing key, length of the properties; then these and the body.
const HEAD_LEN: usize = 7;

/// Bits of the octet of flags.
const PERSISTENT: u8 = 1;
const LASTING: u8 = 2;

impl Payload for Kept {
    fn is_persistent(&self) -> bool {
        self.lasting
    }

    fn shared_id(&self) -> Option<usize> {
        self.message.shared_id()
    }

    fn encoded_len(&self) -> usize {
        HEAD_LEN + self.message.wire_len()
    }

    fn must_be_flushed(&self) -> bool {
        self.flushed
    }

    fn weight(&self) -> u64 {
        self.message.body_len() as u64
    }

    fn write(&self, out: &mut Vec<u8>) {
        let message = &self.message;
        let flags = (u8::from(message.is_persistent()) * PERSISTENT) | (u8::from(self.lasting) * LASTING);
        // The lengths are those of short strings, which fit an octet.
        out.extend_from_slice(&[flags, message.exchange().len() as u8, message.routing_key().len() as u8]);
        out.extend_from_slice(&(message.properties().len() as u32).to_le_bytes());
        for part in [message.exchange(), message.routing_key(), message.properties(), message.body()] {
            out.extend_from_slice(part);
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<HEAD_LEN>()?;
        let [flags, exchange_len, key_len, properties_len @ ..] = *head;
        let (exchange, rest) = rest.split_at_checked(exchange_len.into())?;
        let (routing_key, rest) = rest.split_at_checked(key_len.into())?;
        let (properties, body) = rest.split_at_checked(u32::from_le_bytes(properties_len) as usize)?;
        let parts = Parts {
            exchange,
            routing_key,
            properties,
            body: Body::Borrowed(body),
            persistent: flags & PERSISTENT != 0,
            copies: 1,
        };
        Some(Self {
            message: Message::new(&mut Vec::with_capacity(bytes.len()), parts),
            lasting: flags & LASTING != 0,
            flushed: false,
        })
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lasting = self.lasting;
        write!(f, "Kept {{ lasting: {lasting}, key: {:?} }}", String::from_utf8_lossy(self.message.routing_key()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            exchange in prop::collection::vec(any::<u8>(), 0..=255),
            routing_key in prop::collection::vec(any::<u8>(), 0..=255),
            properties in prop::collection::vec(any::<u8>(), 0..400),
            body in prop::collection::vec(any::<u8>(), 0..20_000),
            persistent: bool,
            lasting: bool,
        ) {
            let parts = Parts {
                exchange: &exchange,
                routing_key: &routing_key,
                properties: &properties,
                body: Body::Borrowed(&body),
                persistent,
                copies: 1,
            };
            let kept = Kept { message: Message::new(&mut Vec::new(), parts), lasting, flushed: false };
            let mut bytes = Vec::new();
            kept.write(&mut bytes);
            prop_assert_eq!(bytes.len(), kept.encoded_len());
            let read = Kept::read(&bytes).unwrap();
            prop_assert_eq!(read.message.exchange(), exchange);
            prop_assert_eq!(read.message.routing_key(), routing_key);
            prop_assert_eq!(read.message.properties(), properties);
            prop_assert_eq!(read.message.body(), body);
            prop_assert_eq!((read.message.is_persistent(), read.lasting), (persistent, lasting));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = Kept::read(&bytes);
        }
    }
}
