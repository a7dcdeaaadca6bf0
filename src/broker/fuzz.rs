//! What fuzz targets call, and a test with pseudo-random input. Each takes any bytes and panics when a promise does not hold.

use super::definitions::{self, Bytes, Definition};
use super::journal::Payload;
use super::kept::Kept;

/// A message as the store has it: what is read is the same when it is read again after it was written.
pub fn kept(input: &[u8]) {
    let Some(kept) = Kept::read(input) else { return };
    let written = write(&kept);
    assert_eq!(written.len(), kept.encoded_len());
    assert!(written.len() <= input.len());
    let again = Kept::read(&written).expect("it was written by us");
    assert_eq!(write(&again), written);
    assert_eq!((again.lasting, again.message.body()), (kept.lasting, kept.message.body()));
}

fn write(kept: &Kept) -> Vec<u8> {
    let mut out = Vec::new();
    kept.write(&mut out);
    out
}

/// A key, behind an octet for its length, and a value: a definition that is read is the same when it is read again.
pub fn definition(input: &[u8]) {
    let Some((len, rest)) = input.split_first() else { return };
    let (key, value) = rest.split_at(usize::from(*len).min(rest.len()));
    let Some(read) = definitions::read(key, value) else { return };
    let written = encode(&read);
    let again = definitions::read(&written.0, &written.1).expect("it was written by us");
    // As bytes: a number that is none does not equal itself.
    assert_eq!(encode(&again), written);
}

fn encode(definition: &Definition) -> (Bytes, Bytes) {
    match definition {
        Definition::Exchange(vhost, exchange) => definitions::exchange(vhost, exchange),
        Definition::Queue(vhost, queue) => definitions::queue(vhost, queue),
        Definition::Binding(vhost, pair) => (definitions::binding_key(vhost, pair), Bytes::default()),
        Definition::Policy(vhost, policy) => definitions::policy(vhost, policy),
        Definition::VHost(vhost, definition) => definitions::vhost(vhost, definition),
    }
}

#[cfg(test)]
mod tests {
    use leveret_protocol::FieldTable;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;
    use crate::broker::arguments::QueueType;
    use crate::broker::definitions::{PolicyDefinition, QueueDefinition, VHostDefinition};
    use crate::broker::exchange::ExchangeType;
    use crate::broker::journal::QueueId;
    use crate::broker::message::{Body, Life, Message, MoreKeys, Parts};
    use crate::broker::moment::Moment;
    use crate::broker::policy::{ApplyTo, Kind};
    use crate::broker::topology::{BoundPair, ExchangeDefinition, ExchangeFlags};

    /// What is right but for a few bytes gets further than noise.
    fn samples() -> Vec<Vec<u8>> {
        let more_keys = MoreKeys { cc: &[b"cc"], bcc: &[b"bcc", b""] };
        let life = Life { ttl_ms: Some(5), priority: Some(3), more_keys, ..Life::default() };
        let parts = Parts {
            exchange: b"exchange",
            routing_key: b"key",
            properties: &[0x10, 0, 2],
            body: Body::Borrowed(b"body"),
            persistent: true,
            copies: 1,
            life,
        };
        let message = Message::new(&mut Vec::new(), parts);
        let mut arguments = FieldTable::new();
        arguments.push("x-max-length", 10);
        arguments.push("x-overflow", "reject-publish");
        let flags = ExchangeFlags { durable: true, auto_delete: false, internal: true };
        let exchange_type = ExchangeType::Topic;
        let exchange = ExchangeDefinition { name: "e".into(), exchange_type, flags, arguments: arguments.clone() };
        let (source, destination) = ("e".into(), "q".into());
        let bytes = arguments.encode().into();
        let pair = BoundPair { source, destination, to_queue: true, key: [1, 2].into(), arguments: bytes };
        let queue = QueueDefinition {
            name: "q".to_owned(),
            id: QueueId(512),
            auto_delete: true,
            queue_type: QueueType::Quorum,
            arguments,
            earlier_ttls: vec![(Moment(5), Some(7)), (Moment(6), None)],
        };
        let mut definition = FieldTable::new();
        definition.push("max-length", 10);
        let policy = PolicyDefinition {
            kind: Kind::Operator,
            name: "p".to_owned(),
            pattern: "^q".to_owned(),
            apply_to: ApplyTo::QuorumQueues,
            priority: -3,
            definition,
        };
        let vhost = || "/".to_owned();
        let definitions = [
            Definition::Exchange(vhost(), exchange),
            Definition::Queue(vhost(), queue),
            Definition::Binding(vhost(), pair),
            Definition::Policy(vhost(), policy),
            Definition::VHost(vhost(), VHostDefinition { default_queue_type: Some(QueueType::Quorum) }),
        ];
        let definitions = definitions.iter().map(|definition| {
            let (key, value) = encode(definition);
            [&[key.len() as u8], &key[..], &value[..]].concat()
        });
        std::iter::once(write(&Kept { message, lasting: true, flushed: false })).chain(definitions).collect()
    }

    #[test]
    fn any_bytes_are_read_or_refused() {
        let mut rng = StdRng::seed_from_u64(1);
        let samples = samples();
        samples.iter().skip(1).for_each(|sample| {
            let (key, value) = sample[1..].split_at(sample[0].into());
            assert!(definitions::read(key, value).is_some());
        });
        for round in 0..40_000 {
            let sample = samples.get(round % (samples.len() + 1));
            let mut input = sample.cloned().unwrap_or_else(|| vec![0; rng.random_range(0..200)]);
            if sample.is_none() {
                rng.fill(&mut input[..]);
            }
            for _ in 0..rng.random_range(0..4) {
                if let Some(at) = input.len().checked_sub(1).map(|last| rng.random_range(0..=last)) {
                    input[at] = [0, 1, 0x7f, 0xff, rng.random()][rng.random_range(0..5)];
                }
            }
            input.truncate(rng.random_range(0..=input.len() * 2));
            kept(&input);
            definition(&input);
        }
    }
}
