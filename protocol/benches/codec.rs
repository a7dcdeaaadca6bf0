//! Nanoseconds per message, best of several rounds: `cargo bench -p leveret-protocol`.

#![allow(clippy::print_stdout, reason = "the result")]

use std::hint::black_box;
use std::time::Instant;

use leveret_protocol::method::basic;
use leveret_protocol::{Assembler, Method, Step, frame, whole_publish};

const FRAME_MAX: u32 = 131_072;
const MESSAGES: usize = 2_000;
const ROUNDS: usize = 300;

fn main() {
    for body_len in [16, 1024] {
        let input = publishes(body_len);
        measure(&format!("read publish {body_len} B, whole"), || read_whole(&input));
        measure(&format!("read publish {body_len} B, assembler"), || read_assembled(&input));
    }
    let mut out = Vec::new();
    for body_len in [16, 1024] {
        let body = vec![7; body_len];
        measure(&format!("write deliver {body_len} B"), || write(&mut out, &body));
    }
}

fn measure(name: &str, mut run: impl FnMut()) {
    let best = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .min()
        .unwrap_or_default();
    println!("{name:34} {:7.1} ns", best.as_nanos() as f64 / MESSAGES as f64);
}

fn publishes(body_len: usize) -> Vec<u8> {
    let publish = basic::Publish { routing_key: b"bench.queue.1", ..Default::default() };
    let mut out = Vec::new();
    for _ in 0..MESSAGES {
        frame::write_method(&mut out, 1, &publish.into());
        frame::write_content_header(&mut out, 1, body_len as u64, &[0x10, 0, 2]);
        frame::write_body(&mut out, 1, FRAME_MAX, &vec![7; body_len]);
    }
    out
}

fn read_whole(mut input: &[u8]) {
    while let Ok(Some((frame, len))) = frame::decode(input, FRAME_MAX) {
        let method = Method::decode(frame.payload);
        let Some((header, body, content_len)) = whole_publish(&input[len..], 1, FRAME_MAX) else {
            panic!("a message that is not whole");
        };
        black_box((&method, header, body));
        input = &input[len + content_len..];
    }
}

fn read_assembled(mut input: &[u8]) {
    let mut assembler = Assembler::new();
    while let Ok(Some((frame, len))) = frame::decode(input, FRAME_MAX) {
        if let Ok(Step::Content(content)) = assembler.frame(&frame, u64::MAX) {
            black_box(&content);
        }
        input = &input[len..];
    }
}

fn write(out: &mut Vec<u8>, body: &[u8]) {
    out.clear();
    for delivery_tag in 0..MESSAGES as u64 {
        let deliver = basic::Deliver {
            consumer_tag: "ctag1.0",
            delivery_tag,
            routing_key: b"bench.queue.1",
            ..Default::default()
        };
        frame::write_method(out, 1, &black_box(deliver).into());
        frame::write_content_header(out, 1, body.len() as u64, &[0x10, 0, 2]);
        frame::write_body(out, 1, FRAME_MAX, body);
    }
    black_box(out);
}
