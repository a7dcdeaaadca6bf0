//! The fuzz targets with pseudo-random input, the same on every run.

use leveret_protocol::method::{basic, connection, queue};
use leveret_protocol::{BasicProperties, FieldTable, FieldValue, Method, Table, frame, fuzz};

const ROUNDS: usize = 30_000;

#[test]
fn frames_and_payloads_hold_up() {
    mutate(&[frames(), payload(), properties(&table())], fuzz::decode);
}

#[test]
fn assembling_holds_up() {
    mutate(&[frames()], fuzz::assemble);
}

#[test]
fn tables_hold_up() {
    mutate(&[table()], fuzz::table);
}

/// Calls `target` with each seed as it is, then with seeds that were changed a little or a lot.
fn mutate(seeds: &[Vec<u8>], target: fn(&[u8])) {
    seeds.iter().for_each(|seed| target(seed));
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..ROUNDS {
        let mut input = seeds[round % seeds.len()].clone();
        for _ in 0..=random.below(4) {
            let at = random.below(input.len());
            match random.below(6) {
                0 => input[at] = random.below(256) as u8,
                1 => input[at] ^= 1 << random.below(8),
                2 => input[at] = *random.pick(b"SIilLsubBtdfDTFAxV\x00\x01\xff\xce"),
                3 => input.truncate(at.max(1)),
                4 => {
                    let copied = input[at..].to_vec();
                    input.splice(random.below(input.len()).., copied);
                }
                _ => input.insert(at, random.below(256) as u8),
            }
            if input.is_empty() {
                input.push(0);
            }
        }
        target(&input);
    }
}

/// A xorshift generator.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }

    fn pick<'a>(&mut self, from: &'a [u8]) -> &'a u8 {
        &from[self.below(from.len())]
    }
}

fn frames() -> Vec<u8> {
    let raw = properties(&table());
    let publish = basic::Publish { exchange: b"e", routing_key: b"k", ..Default::default() };
    let mut out = Vec::new();
    for body in [&b"hello"[..], b"", &[7; 300]] {
        frame::write_method(&mut out, 1, &publish.into());
        frame::write_content_header(&mut out, 1, body.len() as u64, &raw);
        frame::write_body(&mut out, 1, 108, body);
    }
    frame::write_method(&mut out, 1, &connection::Tune::default().into());
    frame::write_heartbeat(&mut out);
    out
}

fn payload() -> Vec<u8> {
    let bytes = table();
    let arguments = Table::parse(&bytes).unwrap();
    let mut out = Vec::new();
    Method::from(queue::Declare { queue: "q", arguments, ..Default::default() }).encode(&mut out);
    out
}

fn properties(headers: &[u8]) -> Vec<u8> {
    let mut raw = Vec::new();
    BasicProperties {
        content_type: Some(b"text/plain"),
        headers: Some(Table::parse(headers).unwrap()),
        delivery_mode: Some(2),
        ..Default::default()
    }
    .encode(&mut raw);
    raw
}

fn table() -> Vec<u8> {
    let inner = FieldTable::from_iter([("count", FieldValue::I64(3)), ("b", true.into())]);
    FieldTable::from_iter([
        ("x-death", FieldValue::Array(vec![inner.into(), "text".into()])),
        ("d", FieldValue::Decimal { scale: 1, value: 2 }),
        ("t", FieldValue::Timestamp(7)),
        ("f", 1.5f64.into()),
        ("v", FieldValue::Void),
    ])
    .encode()
}
