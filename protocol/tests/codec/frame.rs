use leveret_protocol::frame::{self, FRAME_END, FRAME_HEADER_LEN, Frame, FrameError, PROTOCOL_HEADER, kind};
use leveret_protocol::method::{basic, connection, queue};
use leveret_protocol::{FieldTable, Method, Table};
use proptest::collection::vec;
use proptest::prelude::*;

fn method_frame<'a>(channel: u16, method: impl Into<Method<'a>>) -> Vec<u8> {
    let mut out = Vec::new();
    frame::write_method(&mut out, channel, &method.into());
    out
}

#[test]
fn well_known_frames_have_their_bytes() {
    assert_eq!(&PROTOCOL_HEADER, b"AMQP\x00\x00\x09\x01");

    let mut out = Vec::new();
    frame::write_heartbeat(&mut out);
    assert_eq!(out, b"\x08\x00\x00\x00\x00\x00\x00\xce");

    let tune = connection::Tune { channel_max: 2047, frame_max: 131_072, heartbeat: 60 };
    assert_eq!(
        method_frame(0, tune),
        b"\x01\x00\x00\x00\x00\x00\x0c\x00\x0a\x00\x1e\x07\xff\x00\x02\x00\x00\x00\x3c\xce"
    );

    let arguments = FieldTable::from_iter([("x-max-length", 7)]).encode();
    let declare = queue::Declare {
        queue: "q",
        durable: true,
        nowait: true,
        arguments: Table::parse(&arguments).unwrap(),
        ..Default::default()
    };
    assert_eq!(
        method_frame(1, declare),
        b"\x01\x00\x01\x00\x00\x00\x1f\x00\x32\x00\x0a\x00\x00\x01q\x12\
          \x00\x00\x00\x12\x0cx-max-lengthI\x00\x00\x00\x07\xce"
    );

    let mut out =
        method_frame(1, basic::Publish { exchange: b"", routing_key: b"q", mandatory: true, immediate: false });
    frame::write_content_header(&mut out, 1, 5, &[0x10, 0x00, 2]);
    frame::write_body(&mut out, 1, 131_072, b"hello");
    assert_eq!(
        out,
        b"\x01\x00\x01\x00\x00\x00\x0a\x00\x3c\x00\x28\x00\x00\x00\x01q\x01\xce\
          \x02\x00\x01\x00\x00\x00\x0f\x00\x3c\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05\x10\x00\x02\xce\
          \x03\x00\x01\x00\x00\x00\x05hello\xce"
    );
}

#[test]
fn an_incomplete_frame_is_waited_for() {
    let whole = method_frame(7, connection::CloseOk {});
    for len in 0..whole.len() {
        assert_eq!(frame::decode(&whole[..len], 4096), Ok(None), "{len} bytes");
    }
    assert!(matches!(frame::decode(&whole, 4096), Ok(Some((_, len))) if len == whole.len()));
}

#[test]
fn c_23_payload_may_be_as_long_as_frame_max() {
    let header = |size: u32| [&[3, 0, 1], size.to_be_bytes().as_slice()].concat();
    assert_eq!(frame::decode(&header(131_072), 131_072), Ok(None));
    let error = frame::decode(&header(131_073), 131_072).unwrap_err();
    let expected = FrameError::TooLarge { channel: 1, kind: 3, size: 131_073, max: 131_064 };
    assert_eq!(error, expected);
    assert_eq!(error.to_string(), "{frame_too_large,131073,131064}");
    assert_eq!(frame::decode(&header(u32::MAX), 0), Ok(None), "no limit");
}

#[test]
fn c_23_wrong_end_octet_is_an_error() {
    let error = frame::decode(b"\x01\x00\x02\x00\x00\x00\x05hello\x07", 4096).unwrap_err();
    assert_eq!(error, FrameError::BadEnd { channel: 2, kind: 1, size: 5, end: 7 });
    assert_eq!(error.to_string(), "{invalid_frame_end_marker,7}");
}

#[test]
fn c_32_a_body_is_split_at_frame_max_and_an_empty_one_has_no_frame() {
    let lengths = |frame_max, body: &[u8]| {
        let mut out = Vec::new();
        frame::write_body(&mut out, 1, frame_max, body);
        let (mut rest, mut lengths) = (out.as_slice(), Vec::new());
        while let Some((frame, len)) = frame::decode(rest, frame_max).unwrap() {
            lengths.push(frame.payload.len());
            rest = &rest[len..];
        }
        assert!(rest.is_empty());
        lengths
    };
    assert_eq!(lengths(4096, &[]), []);
    assert_eq!(lengths(4096, &[0; 4088]), [4088]);
    assert_eq!(lengths(4096, &[0; 4089]), [4088, 1]);
    assert_eq!(lengths(0, &[0; 200_000]), [200_000]);
    assert_eq!(lengths(8, &[0; 2]), [1, 1], "a limit without room still ends");
}

proptest! {
    #[test]
    fn any_frame_is_read_and_the_next_one_left(
        kind: u8, channel: u16, payload in vec(any::<u8>(), 0..100), next in vec(any::<u8>(), 0..20)
    ) {
        let mut input = vec![kind];
        input.extend_from_slice(&channel.to_be_bytes());
        input.extend_from_slice(&(payload.len() as u32).to_be_bytes());
        prop_assert_eq!(input.len(), FRAME_HEADER_LEN);
        input.extend_from_slice(&payload);
        input.push(FRAME_END);
        let len = input.len();
        input.extend_from_slice(&next);
        let frame = Frame { kind, channel, payload: &payload };
        prop_assert_eq!(frame::decode(&input, 4096), Ok(Some((frame, len))));
    }
}

#[test]
fn kinds_have_their_numbers() {
    assert_eq!([kind::METHOD, kind::HEADER, kind::BODY, kind::HEARTBEAT], [1, 2, 3, 8]);
}
