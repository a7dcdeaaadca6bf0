//! What the fuzz targets call, and the tests with pseudo-random input. Each takes any bytes and
//! panics when a promise of the crate does not hold.

use crate::assembler::{Assembler, BODY_RESERVED_MAX, Step, whole_publish};
use crate::frame::{self, FRAME_OVERHEAD, kind};
use crate::method::Method;
use crate::properties::{BasicProperties, ContentHeader, canonicalize_headers_in_place};
use crate::table::Table;

/// Frames and their payloads: what was read is read the same again after it was written.
pub fn decode(input: &[u8]) {
    let mut rest = input;
    while let Ok(Some((frame, len))) = frame::decode(rest, 0) {
        assert_eq!(len, FRAME_OVERHEAD + frame.payload.len());
        method(frame.payload);
        if let Ok(header) = ContentHeader::decode(frame.payload) {
            properties(header.properties);
        }
        rest = &rest[len..];
    }
    method(input);
    properties(input);
}

/// A channel's frames: content adds up, memory stays within what was received, and the way without
/// state agrees with the assembler.
pub fn assemble(input: &[u8]) {
    const MESSAGE_SIZE_MAX: u64 = 4096;

    let mut assembler = Assembler::new();
    let (mut rest, mut whole) = (input, None::<(&[u8], &[u8])>);
    while let Ok(Some((frame, len))) = frame::decode(rest, 0) {
        rest = &rest[len..];
        match assembler.frame(&frame, MESSAGE_SIZE_MAX) {
            Err(error) => {
                assert!(error.reply_code().is_hard());
                assert_eq!(whole, None, "whole content was refused: {error}");
                break;
            }
            Ok(Step::Content(content)) => {
                BasicProperties::decode(content.properties).expect("checked properties");
                assert_eq!(content.oversized, content.body_size > MESSAGE_SIZE_MAX);
                match content.oversized {
                    true => assert!(content.body.is_empty()),
                    false => assert_eq!(content.body.len() as u64, content.body_size),
                }
                if let Some((properties, body)) = whole.take() {
                    assert_eq!(content.properties, properties);
                    assert!(content.oversized || *content.body == *body);
                }
            }
            Ok(Step::Method(method)) => assert!(!method.has_content()),
            Ok(Step::More) if frame.kind == kind::METHOD => {
                if frame.payload.starts_with(&[0, 60, 0, 40]) {
                    whole = whole_publish(rest, frame.channel, 0).map(|(header, body, _)| (header.properties, body));
                }
            }
            Ok(Step::More) => {}
        }
        assert!(assembler.capacity() <= BODY_RESERVED_MAX + 2 * input.len() + 4096);
    }
}

/// A table: the owned form says the same as the borrowed one.
pub fn table(input: &[u8]) {
    let Ok(table) = Table::parse(input) else {
        return;
    };
    let owned = table.to_owned();
    assert_eq!(owned.len(), table.iter().count());
    for (name, _) in table {
        assert!(table.get(name).is_some());
    }
    // Canonical form and owned form write the same letters and booleans.
    let mut raw = Vec::new();
    let headers = Some(table);
    let with_headers = BasicProperties { headers, ..Default::default() };
    with_headers.encode(&mut raw);
    canonicalize_headers_in_place(&mut raw);
    let canonical = BasicProperties::decode(&raw).expect("still readable");
    let canonical = canonical.headers.expect("still there");
    assert_eq!(canonical.as_bytes(), owned.encode());
    assert!(owned.sorted_by_name().len() <= table.iter().count());
}

fn method(payload: &[u8]) {
    let Ok(method) = Method::decode(payload) else {
        return;
    };
    let mut written = Vec::new();
    method.encode(&mut written);
    assert_eq!(Method::decode(&written), Ok(method));
}

fn properties(raw: &[u8]) {
    let Ok(properties) = BasicProperties::decode(raw) else {
        return;
    };
    let mut written = Vec::new();
    properties.encode(&mut written);
    assert_eq!(written.len(), raw.len());
    assert_eq!(BasicProperties::decode(&written), Ok(properties));
}
