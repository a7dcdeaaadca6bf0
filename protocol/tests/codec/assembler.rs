use std::borrow::Cow;

use leveret_protocol::assembler::{BODY_RESERVED_MAX, CONTENT_BODY_SIZE_MAX};
use leveret_protocol::frame::{self, Frame, kind};
use leveret_protocol::method::{basic, tx};
use leveret_protocol::{
    Assembler, AssemblerError, Content, Method, MethodError, MethodId, ReplyCode, State, Step, whole_publish,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::generate::properties;

const PUBLISH: MethodId = MethodId { class: 60, method: 40 };
const NO_LIMIT: u64 = u64::MAX;
const NO_PROPERTIES: &[u8] = &[0, 0];

fn method<'a>(method: impl Into<Method<'a>>) -> Vec<u8> {
    let mut payload = Vec::new();
    method.into().encode(&mut payload);
    payload
}

fn publish() -> Vec<u8> {
    method(basic::Publish { exchange: b"e", routing_key: b"k", ..Default::default() })
}

fn header(class: u16, weight: u16, size: u64, properties: &[u8]) -> Vec<u8> {
    let (class, weight, size) = (class.to_be_bytes(), weight.to_be_bytes(), size.to_be_bytes());
    [&class[..], &weight, &size, properties].concat()
}

/// Plays frames; all but the last must ask for more. Gives what the last came to.
fn play(frames: &[(u8, Vec<u8>)]) -> Result<String, AssemblerError> {
    let mut assembler = Assembler::new();
    let (last, first) = frames.split_last().unwrap();
    for (kind, payload) in first {
        let frame = Frame { kind: *kind, channel: 1, payload };
        assert_eq!(assembler.frame(&frame, NO_LIMIT), Ok(Step::More));
    }
    let frame = Frame { kind: last.0, channel: 1, payload: &last.1 };
    assembler.frame(&frame, NO_LIMIT).map(|step| format!("{step:?}"))
}

#[test]
fn c_23_c_24_each_violation_has_its_text_and_method() {
    let size = |n| header(60, 0, n, NO_PROPERTIES);
    let publish = || (kind::METHOD, publish());
    let not_header = "expected content header for class 60, got non content header frame instead";
    let not_body = "expected content body, got non content body frame instead";
    let not_method = "expected method frame, got non method frame instead";
    let too_large = "content body size 536870913 exceeds maximum allowed size 536870912";
    let other_class = "expected content header for class 60, got one for class 50 instead";
    let cases = [
        (vec![(kind::HEADER, size(0))], 505, not_method, None),
        (vec![(kind::BODY, vec![])], 505, not_method, None),
        (vec![publish(), (kind::BODY, vec![])], 505, not_header, Some(PUBLISH)),
        (vec![publish(), publish()], 505, not_header, Some(PUBLISH)),
        (vec![publish(), (kind::METHOD, vec![0; 4])], 505, not_header, Some(PUBLISH)),
        (vec![publish(), (kind::HEADER, header(50, 1, 0, NO_PROPERTIES))], 505, not_header, Some(PUBLISH)),
        (vec![publish(), (kind::HEADER, header(50, 0, 0, NO_PROPERTIES))], 505, other_class, Some(PUBLISH)),
        (vec![publish(), (kind::HEADER, size(CONTENT_BODY_SIZE_MAX + 1))], 501, too_large, Some(PUBLISH)),
        (vec![publish(), (kind::HEADER, header(60, 0, 0, b"\x80\0\x05"))], 501, "malformed properties", Some(PUBLISH)),
        (vec![publish(), (kind::HEADER, vec![0, 60, 0, 0])], 501, "unknown_frame", None),
        (vec![publish(), (kind::METHOD, vec![0, 60])], 501, "unknown_frame", None),
        (vec![publish(), (4, vec![])], 501, "unknown_frame", None),
        (vec![publish(), (kind::HEADER, size(3)), publish()], 505, not_body, Some(PUBLISH)),
        (vec![publish(), (kind::HEADER, size(3)), (kind::HEADER, size(3))], 505, not_body, Some(PUBLISH)),
        (
            vec![
                publish(),
                (kind::HEADER, size(3)),
                (kind::BODY, vec![]),
                (kind::BODY, vec![0; 2]),
                (kind::BODY, vec![0; 2]),
            ],
            501,
            "content body frame exceeds remaining content size",
            Some(PUBLISH),
        ),
        (vec![(kind::HEARTBEAT, vec![])], 505, "unexpected heartbeat", None),
    ];
    for (frames, code, text, method) in cases {
        let error = play(&frames).unwrap_err();
        assert_eq!(error.to_string(), text);
        assert_eq!(error.reply_code().as_u16(), code, "{text}");
        assert_eq!(error.method(), method, "{text}");
    }
}

#[test]
fn a_refused_frame_leaves_the_state_alone() {
    let mut assembler = Assembler::new();
    let unknown = Frame { kind: kind::METHOD, channel: 1, payload: &[0, 70, 0, 1] };
    let error = assembler.frame(&unknown, NO_LIMIT).unwrap_err();
    let id = MethodId { class: 70, method: 1 };
    assert_eq!(error, MethodError::UnknownClassOrMethod { class: 70, method: 1 }.into());
    assert_eq!((error.reply_code(), error.method()), (ReplyCode::FrameError, Some(id)));
    assert_eq!(assembler.state(), State::Method);
}

#[test]
fn a_method_without_content_is_given_at_once() {
    let payload = method(tx::Select {});
    let frame = Frame { kind: kind::METHOD, channel: 1, payload: &payload };
    let step = Assembler::new().frame(&frame, NO_LIMIT).map(|s| s == Step::Method(tx::Select {}.into()));
    assert_eq!(step, Ok(true));
}

#[test]
fn an_empty_body_needs_no_frame_and_allows_none() {
    let start = vec![(kind::METHOD, publish()), (kind::HEADER, header(60, 0, 0, NO_PROPERTIES))];
    assert!(play(&start).unwrap().starts_with("Content"));

    let mut assembler = Assembler::new();
    for (kind, payload) in &start {
        let frame = Frame { kind: *kind, channel: 1, payload };
        assembler.frame(&frame, NO_LIMIT).unwrap();
    }
    let empty = Frame { kind: kind::BODY, channel: 1, payload: &[] };
    assert_eq!(assembler.frame(&empty, NO_LIMIT), Err(AssemblerError::ExpectedMethod));
}

#[test]
fn p_07_an_oversized_body_is_counted_but_not_kept() {
    let mut assembler = Assembler::new();
    let (publish, header) = (publish(), header(60, 0, 3_000_000, NO_PROPERTIES));
    let payloads = [(kind::METHOD, &publish[..]), (kind::HEADER, &header)];
    let body = vec![0; 1_000_000];
    let body = (kind::BODY, &body[..]);
    let mut oversized = None;
    for (kind, payload) in payloads.into_iter().chain([body, body, body]) {
        assert_eq!(oversized, None);
        let frame = Frame { kind, channel: 1, payload };
        if let Step::Content(content) = assembler.frame(&frame, 2_999_999).unwrap() {
            assert!(content.oversized && content.body.is_empty());
            oversized = Some(content.body_size);
        }
        assert!(assembler.capacity() < 10_000);
    }
    assert_eq!(oversized, Some(3_000_000));
}

#[test]
fn an_announced_size_reserves_no_memory() {
    let mut assembler = Assembler::new();
    let (publish, header) = (publish(), header(60, 0, CONTENT_BODY_SIZE_MAX, NO_PROPERTIES));
    for (kind, payload) in [(kind::METHOD, &publish[..]), (kind::HEADER, &header), (kind::BODY, b"x")] {
        let frame = Frame { kind, channel: 1, payload };
        assert_eq!(assembler.frame(&frame, NO_LIMIT), Ok(Step::More));
    }
    assert!(assembler.capacity() <= BODY_RESERVED_MAX + 10_000);
}

#[test]
fn a_body_in_one_frame_is_not_copied() {
    let mut assembler = Assembler::new();
    let (publish, header) = (publish(), header(60, 0, 5, NO_PROPERTIES));
    for (kind, payload) in [(kind::METHOD, &publish[..]), (kind::HEADER, &header)] {
        let frame = Frame { kind, channel: 1, payload };
        assert_eq!(assembler.frame(&frame, NO_LIMIT), Ok(Step::More));
    }
    let frame = Frame { kind: kind::BODY, channel: 1, payload: b"hello" };
    let step = assembler.frame(&frame, NO_LIMIT).unwrap();
    assert!(matches!(step, Step::Content(Content { body: Cow::Borrowed(b"hello"), .. })));
}

#[test]
fn whole_publish_wants_all_of_it_on_its_channel() {
    let mut input = Vec::new();
    frame::write_content_header(&mut input, 1, 5, NO_PROPERTIES);
    let header_len = input.len();
    frame::write_body(&mut input, 1, 0, b"hello");
    let (header, body, len) = whole_publish(&input, 1, 4096).unwrap();
    assert_eq!((header.properties, body, len), (NO_PROPERTIES, &b"hello"[..], input.len()));
    for len in 0..input.len() {
        assert!(whole_publish(&input[..len], 1, 4096).is_none(), "{len} bytes");
    }
    assert!(whole_publish(&input, 2, 4096).is_none());
    let mut other_body = input.clone();
    other_body[header_len + 2] = 2;
    assert!(whole_publish(&other_body, 1, 4096).is_none());
    let mut other_size = input.clone();
    other_size[18] = 6;
    assert!(whole_publish(&other_size, 1, 4096).is_none());
}

proptest! {
    /// However the stream is cut into reads, and the body into frames, the same messages come out.
    #[test]
    fn any_split_gives_the_same_messages(
        messages in vec((properties(), vec(any::<u8>(), 0..200)), 1..5),
        frame_max in 9u32..100,
        mut cuts in vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let publish = basic::Publish { exchange: b"e", routing_key: b"k", ..Default::default() };
        let mut stream = Vec::new();
        for (properties, body) in &messages {
            frame::write_method(&mut stream, 1, &publish.into());
            frame::write_content_header(&mut stream, 1, body.len() as u64, properties);
            frame::write_body(&mut stream, 1, frame_max, body);
        }
        let end = stream.len();
        let mut ends: Vec<_> = cuts.drain(..).map(|cut| cut.index(end)).chain([end]).collect();
        ends.sort_unstable();

        let (mut assembler, mut at, mut seen) = (Assembler::new(), 0, Vec::new());
        for end in ends {
            while let Some((frame, len)) = frame::decode(&stream[at..end], 0).unwrap() {
                at += len;
                if let Step::Content(content) = assembler.frame(&frame, NO_LIMIT).unwrap() {
                    prop_assert_eq!(content.method, publish.into());
                    seen.push((content.properties.to_vec(), content.body.into_owned()));
                }
            }
        }
        prop_assert_eq!(at, stream.len());
        prop_assert_eq!(seen, messages);
    }
}
