//! A message as the store keeps it.

use super::journal::Payload;
use super::message::{Body, Life, Message, MoreKeys, Parts};
use super::moment::Moment;

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

/// Bytes before the parts: flags, priority, failed deliveries, when it arrived, its time to live; lengths of exchange, routing key,
/// further keys and properties. Then these, and the body.
const HEAD_LEN: usize = 2 + 4 + 8 + 8 + 1 + 1 + 4 + 4;

/// Bits of the octet of flags.
const PERSISTENT: u8 = 1;
const LASTING: u8 = 2;
const PRIORITY: u8 = 4;
const DIED: u8 = 8;

/// What a message without a time to live of its own has.
const NO_TTL: u64 = u64::MAX;

impl Payload for Kept {
    fn is_persistent(&self) -> bool {
        self.lasting
    }

    fn shared_id(&self) -> Option<usize> {
        self.message.shared_id()
    }

    fn encoded_len(&self) -> usize {
        HEAD_LEN + self.message.wire_len() + self.message.more_keys_len()
    }

    fn must_be_flushed(&self) -> bool {
        self.flushed
    }

    fn weight(&self) -> u64 {
        self.message.body_len() as u64
    }

    fn write(&self, out: &mut Vec<u8>) {
        let message = &self.message;
        let mut flags = 0;
        for (is, flag) in [
            (message.is_persistent(), PERSISTENT),
            (self.lasting, LASTING),
            (message.priority().is_some(), PRIORITY),
            (message.has_died(), DIED),
        ] {
            flags |= if is { flag } else { 0 };
        }
        let (exchange, routing_key, properties) = (message.exchange(), message.routing_key(), message.properties());
        out.extend_from_slice(&[flags, message.priority().unwrap_or(0)]);
        out.extend_from_slice(&message.failed().to_le_bytes());
        out.extend_from_slice(&message.arrived().0.to_le_bytes());
        out.extend_from_slice(&message.ttl_ms().unwrap_or(NO_TTL).to_le_bytes());
        // The lengths are those of short strings, which fit an octet.
        out.extend_from_slice(&[exchange.len() as u8, routing_key.len() as u8]);
        out.extend_from_slice(&(message.more_keys_len() as u32).to_le_bytes());
        out.extend_from_slice(&(properties.len() as u32).to_le_bytes());
        out.extend_from_slice(exchange);
        out.extend_from_slice(routing_key);
        if message.more_keys_len() > 0 {
            let (cc, bcc) = message.more_keys();
            for (keys, end) in [(cc, 0), (bcc, 1)] {
                for key in keys {
                    out.extend_from_slice(&[end, key.len() as u8]);
                    out.extend_from_slice(key);
                }
            }
        }
        out.extend_from_slice(properties);
        out.extend_from_slice(message.body());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<HEAD_LEN>()?;
        let number = |at: usize| head[at..at + 8].try_into().map(u64::from_le_bytes).unwrap_or_default();
        let length = |at: usize| head[at..at + 4].try_into().map(u32::from_le_bytes).unwrap_or_default();
        let flags = head[0];
        let (exchange, rest) = rest.split_at_checked(head[22].into())?;
        let (routing_key, rest) = rest.split_at_checked(head[23].into())?;
        let (more_keys, rest) = rest.split_at_checked(length(24) as usize)?;
        let (properties, body) = rest.split_at_checked(length(28) as usize)?;
        let (cc, bcc) = read_keys(more_keys)?;
        let life = Life {
            arrived: Moment(number(6)),
            ttl_ms: Some(number(14)).filter(|ttl| *ttl != NO_TTL),
            priority: (flags & PRIORITY != 0).then_some(head[1]),
            died: flags & DIED != 0,
            failed: length(2),
            more_keys: MoreKeys { cc: &cc, bcc: &bcc },
        };
        let persistent = flags & PERSISTENT != 0;
        let body = Body::Borrowed(body);
        let parts = Parts { exchange, routing_key, properties, body, persistent, copies: 1, life };
        let message = Message::new(&mut Vec::with_capacity(bytes.len()), parts);
        Some(Self { message, lasting: flags & LASTING != 0, flushed: false })
    }
}

type Keys<'a> = Vec<&'a [u8]>;

/// Keys of CC and of BCC: each behind an octet that says which, and one for its length.
fn read_keys(mut rest: &[u8]) -> Option<(Keys<'_>, Keys<'_>)> {
    let (mut cc, mut bcc) = (Vec::new(), Vec::new());
    while let Some(([which, len], behind)) = rest.split_first_chunk() {
        let (key, behind) = behind.split_at_checked(usize::from(*len))?;
        if *which == 0 {
            cc.push(key)
        } else {
            bcc.push(key)
        }
        rest = behind;
    }
    rest.is_empty().then_some((cc, bcc))
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
            flags in prop::array::uniform3(any::<bool>()),
            (arrived, ttl_ms, priority, failed) in (0..1_u64 << 48, prop::option::of(0..1_u64 << 40), any::<Option<u8>>(), any::<u32>()),
            keys in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..=255), 0..4),
        ) {
            let [persistent, lasting, died] = flags;
            let keys: Vec<_> = keys.iter().map(Vec::as_slice).collect();
            let (cc, bcc) = keys.split_at(keys.len() / 2);
            let life = Life {
                arrived: Moment(arrived),
                ttl_ms,
                priority,
                died,
                failed,
                more_keys: MoreKeys { cc, bcc },
            };
            let body_bytes = Body::Borrowed(&body);
            let parts = Parts {
                exchange: &exchange,
                routing_key: &routing_key,
                properties: &properties,
                body: body_bytes,
                persistent,
                copies: 1,
                life,
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
            prop_assert_eq!((read.message.is_persistent(), read.lasting, read.message.has_died()), (persistent, lasting, died));
            prop_assert_eq!((read.message.arrived(), read.message.ttl_ms()), (Moment(arrived), ttl_ms));
            prop_assert_eq!((read.message.priority(), read.message.failed()), (priority, failed));
            prop_assert_eq!(read.message.more_keys(), (cc.to_vec(), bcc.to_vec()));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = Kept::read(&bytes);
        }
    }
}
