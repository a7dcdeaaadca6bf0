//! Whatever a peer sends, the broker neither panics nor harms anyone else. The cases are the same at every run.

use std::thread;

use leveret::config::Config;

use crate::support::*;

const THREADS: u64 = 4;
const CASES_PER_THREAD: u64 = 60;

/// Numbers that look random, from a seed (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

/// Frames that are all right, on channel 1 with the queue and exchange `n`.
fn good_frames(n: &str) -> Vec<Vec<u8>> {
    let arguments = table! { "x-max-length" => 5, "x-priority" => 1, "k" => vec![FieldValue::from("v"), 1.5.into()] };
    let arguments = arguments.as_table();
    let methods: [Method<'_>; 28] = [
        queue::Declare { arguments, ..declare(n) }.into(),
        passive(n).into(),
        x_declare(n, "topic").into(),
        x_delete(n).into(),
        queue::Bind { arguments, ..bind(n, n, "a.#") }.into(),
        unbind(n, n, "a.#").into(),
        x_bind(n, n, "*").into(),
        x_unbind(n, n, "*").into(),
        purge(n).into(),
        delete(n).into(),
        get(n).into(),
        basic::Consume { arguments, ..consume(n, "t") }.into(),
        cancel("t").into(),
        publish(n, "a.b").into(),
        publish("", n).into(),
        qos(3).into(),
        ack(1).into(),
        ack_multiple(0).into(),
        nack(1, true).into(),
        reject(2, false).into(),
        basic::Recover { requeue: true }.into(),
        confirm::Select::default().into(),
        tx::Select {}.into(),
        tx::Commit {}.into(),
        tx::Rollback {}.into(),
        channel::Flow { active: true }.into(),
        channel_close().into(),
        channel::Open {}.into(),
    ];
    let mut frames: Vec<_> = methods.map(|method| encoded(1, 1, &payload(method))).into();
    let properties = BasicProperties { headers: Some(arguments), expiration: Some(b"5"), ..Default::default() };
    let mut message = encoded(1, 1, &payload(publish(n, "a.b")));
    let mut header = vec![0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3];
    properties.encode(&mut header);
    message.extend(encoded(2, 1, &header));
    message.extend(encoded(3, 1, b"abc"));
    frames.push(message);
    frames.push(encoded(8, 0, b""));
    frames
}

/// A few frames with a few bytes changed, cut or doubled.
fn spoiled(frames: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..=random.below(12)).flat_map(|_| frames[random.below(frames.len())].clone()).collect();
    for _ in 0..random.below(4) {
        let at = random.below(bytes.len());
        match random.below(4) {
            0 => bytes[at] = random.below(256) as u8,
            1 => bytes[at] ^= 1 << random.below(8),
            2 => drop(bytes.remove(at)),
            _ => bytes.insert(at, bytes[at]),
        }
        if bytes.is_empty() {
            break;
        }
    }
    bytes
}

#[test]
fn c_23_no_bytes_make_the_broker_panic_or_harm_others() {
    if !ours_only() {
        return;
    }
    let broker = start(Config::default());
    let mut bystander = Wire::connect_to(broker);
    bystander.log_in(&Login::default());
    let q = bystander.queue();
    bystander.fill_queue(&q, &["kept"]);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                let connections = (0..CASES_PER_THREAD).map(|case| {
                    let mut random = Random((thread * CASES_PER_THREAD + case + 1) * 0x9E37_79B9_7F4A);
                    let mut c = Wire::connect_to(broker);
                    if case % 10 > 0 {
                        c.log_in(&Login::default());
                    }
                    c.raw(&spoiled(&good_frames(&name()), &mut random));
                    c.says_no_more();
                    c
                });
                // The broker takes its time over some; so it does over all of them at once.
                let connections: Vec<_> = connections.collect();
                connections.into_iter().for_each(|mut c| drop(c.bytes_to_end()));
            });
        }
    });
    assert_eq!(panics(), 0);
    assert_eq!(bystander.drain(&q), ["kept"]);
}
