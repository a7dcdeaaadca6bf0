//! Frames that cannot be read, or that come when they are not expected.

use crate::support::*;

/// A content header with a body of `size` bytes and no properties.
fn header(class: u16, weight: u16, size: u64) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(class.to_be_bytes());
    out.extend(weight.to_be_bytes());
    out.extend(size.to_be_bytes());
    out.extend([0, 0]);
    out
}

/// One frame on an open connection, and the close it brings.
fn check(kind: u8, channel: u16, payload: &[u8], code: u16, explanation: &str, id: (u16, u16)) {
    let mut c = Wire::open();
    c.raw_frame(kind, channel, payload);
    assert_eq!(c.error(), closes(0, code, explanation, id));
}

/// The same for a frame behind basic.publish.
fn check_after_publish(kind: u8, payload: &[u8], code: u16, explanation: &str) {
    let mut c = Wire::open();
    c.send(1, publish("", "nowhere"));
    c.raw_frame(kind, 1, payload);
    assert_eq!(c.error(), closes(0, code, explanation, (60, 40)));
}

#[test]
fn c_23_a_frame_longer_than_frame_max_is_refused_at_its_header() {
    let mut c = Wire::open();
    c.raw(&[3, 0, 1, 0, 2, 0, 1]);
    let explanation = "type 3, all octets = <<>>: {frame_too_large,131073,131064}";
    assert_eq!(c.error(), closes(0, 501, explanation, (0, 0)));
}

#[test]
fn c_23_the_close_can_be_read_while_the_long_frame_is_still_sent() {
    let mut c = Wire::open();
    c.raw(&encoded(3, 1, &vec![0; 4 << 20]));
    let explanation = "type 3, all octets = <<>>: {frame_too_large,4194304,131064}";
    assert_eq!(c.error(), closes(0, 501, explanation, (0, 0)));
}

#[test]
fn c_23_eight_bytes_more_than_frame_max_allows_are_let_pass() {
    let mut c = Wire::open();
    let q = c.queue();
    c.send(1, publish("", &q));
    c.raw_frame(2, 1, &header(60, 0, 131_072));
    c.raw_frame(3, 1, &vec![b'x'; 131_072]);
    assert_eq!(c.get(&q).unwrap().body.len(), 131_072);
}

#[test]
fn c_23_a_wrong_end_octet_is_refused() {
    let mut c = Wire::open();
    let mut frame = encoded(8, 0, b"");
    *frame.last_mut().unwrap() = 7;
    c.raw(&frame);
    let explanation = "type 8, all octets = <<>>: {invalid_frame_end_marker,7}";
    assert_eq!(c.error(), closes(0, 501, explanation, (0, 0)));
}

#[test]
fn c_23_an_unknown_kind_of_frame_is_refused() {
    check(9, 0, b"abc", 501, "type 9, all octets = <<\"abc\">>: unknown_frame", (0, 0));
    check(4, 1, b"", 501, "type 4, all octets = <<>>: unknown_frame", (0, 0));
    check(4, 1, &[0, 1, 200], 501, "type 4, all octets = <<0,1,200>>: unknown_frame", (0, 0));
    let long = "type 4, first 16 octets = <<\"aaaaaaaaaaaaaaaa\">>: unknown_frame";
    check(4, 1, &[b'a'; 17], 501, long, (0, 0));
}

#[test]
fn c_23_arguments_that_are_cut_or_too_long_cannot_be_decoded() {
    check(1, 1, &[0, 60, 0, 80, 0, 0, 0], 501, "cannot decode <<0,0,0>>", (60, 80));
    check(1, 1, &[0, 20, 0, 20, 1, 7], 501, "cannot decode <<1,7>>", (20, 20));
    check(1, 1, &[0, 60, 0, 40, 0, 0, 3, b'a'], 501, "cannot decode <<0,0,3,97>>", (60, 40));
    if ours_only() {
        check(1, 0, &[0, 10, 0, 51, 1], 501, "cannot decode <<1>>", (10, 51));
    }
}

#[test]
fn c_23_an_unreadable_table_cannot_be_decoded() {
    if !ours_only() {
        return;
    }
    let mut payload = payload(declare("q"));
    let at = payload.len() - 4;
    payload.truncate(at);
    payload.extend([0, 0, 0, 3, 1, b'a', b'?']);
    let told: Vec<_> = payload[4..].iter().map(u8::to_string).collect();
    check(1, 1, &payload, 501, &format!("cannot decode <<{}>>", told.join(",")), (50, 10));
}

#[test]
fn c_23_names_must_be_utf_8_except_of_publish() {
    let not_utf_8 = [0, 50, 0, 10, 0, 0, 1, 0xff, 0, 0, 0, 0, 0];
    check(1, 1, &not_utf_8, 501, "Malformed UTF-8 in shortstr", (0, 0));

    let mut c = Wire::open();
    let x = c.exchange("fanout");
    let q = c.bound(&x, "");
    let key = basic::Publish { exchange: x.as_bytes(), routing_key: b"\xff\xfe", ..Default::default() };
    c.publish_as(1, key, &BasicProperties::default(), b"x");
    assert_eq!(c.drain(&q), ["x"]);
}

#[test]
fn c_23_a_body_longer_than_announced_is_refused() {
    let mut c = Wire::open();
    c.send(1, publish("", "nowhere"));
    c.raw_frame(2, 1, &header(60, 0, 2));
    c.raw_frame(3, 1, b"abc");
    let explanation = "content body frame exceeds remaining content size";
    assert_eq!(c.error(), closes(0, 501, explanation, (60, 40)));
}

#[test]
fn c_23_an_announced_size_over_512_mib_is_refused() {
    let explanation = "content body size 536870913 exceeds maximum allowed size 536870912";
    check_after_publish(2, &header(60, 0, 536_870_913), 501, explanation);
}

#[test]
fn c_23_long_frames_before_tune_end_without_a_word() {
    fn start_ok(len: usize) -> Wire {
        let mut c = Wire::started();
        let around = payload(connection::StartOk {
            client_properties: table! { "pad" => "" }.as_table(),
            mechanism: "PLAIN",
            response: b"\0guest\0guest",
            locale: "",
        });
        let properties = table! { "pad" => "x".repeat(len - around.len()) };
        c.send(
            0,
            connection::StartOk {
                client_properties: properties.as_table(),
                mechanism: "PLAIN",
                response: b"\0guest\0guest",
                locale: "",
            },
        );
        c
    }
    start_ok(8192).expect(0, "connection.tune");
    each_ends_silently([("8193", || start_ok(8193)), ("20000", || start_ok(20000))]);
}

#[test]
fn c_24_content_without_a_method_is_unexpected() {
    let explanation = "expected method frame, got non method frame instead";
    check(2, 1, &header(60, 0, 0), 505, explanation, (0, 0));
    check(3, 1, b"", 505, explanation, (0, 0));
    check(3, 77, b"x", 505, explanation, (0, 0));
}

#[test]
fn c_24_a_publish_wants_its_header_next() {
    let other = "expected content header for class 60, got non content header frame instead";
    check_after_publish(3, b"x", 505, other);
    check_after_publish(1, &payload(publish("", "")), 505, other);
    check_after_publish(2, &header(60, 1, 0), 505, other);
    let class = "expected content header for class 60, got one for class 50 instead";
    check_after_publish(2, &header(50, 0, 0), 505, class);
}

#[test]
fn c_24_a_header_wants_its_body_next() {
    let mut c = Wire::open();
    c.send(1, publish("", "nowhere"));
    c.raw_frame(2, 1, &header(60, 0, 2));
    c.raw_frame(2, 1, &header(60, 0, 2));
    let explanation = "expected content body, got non content body frame instead";
    assert_eq!(c.error(), closes(0, 505, explanation, (60, 40)));
}

#[test]
fn c_24_a_body_frame_after_a_whole_message_is_unexpected() {
    let mut c = Wire::open();
    c.send(1, publish("", "nowhere"));
    c.raw_frame(2, 1, &header(60, 0, 0));
    c.raw_frame(3, 1, b"");
    let explanation = "expected method frame, got non method frame instead";
    assert_eq!(c.error(), closes(0, 505, explanation, (0, 0)));
}

#[test]
fn c_24_frames_are_unexpected_on_other_channels_before_open() {
    let cases: [(u8, u16, &[u8], u16, &str); 4] = [
        (1, 1, &[0, 20, 0, 10, 0], 505, "type 1, all octets = <<0,20,0,10,0>>"),
        (2, 1, b"abc", 505, "type 2, all octets = <<\"abc\">>"),
        (2, 0, b"abc", 501, "type 2, all octets = <<\"abc\">>: unknown_frame"),
        (9, 0, b"abc", 501, "type 9, all octets = <<\"abc\">>: unknown_frame"),
    ];
    for (kind, channel, payload, code, explanation) in cases {
        let mut c = Wire::tuned(&Login::default());
        c.raw_frame(kind, channel, payload);
        assert_eq!(c.error(), closes(0, code, explanation, (0, 0)));
    }
}

#[test]
fn c_24_content_on_channel_0_is_unexpected() {
    check(3, 0, b"abc", 505, "type 3, all octets = <<\"abc\">>", (0, 0));
    let mut c = Wire::open();
    c.raw_frame(2, 0, &header(60, 0, 0));
    let close = c.error();
    assert_eq!(close.code, 505);
    assert!(close.text.starts_with("UNEXPECTED_FRAME - type 2, all octets = <<0,60,0,0"), "{}", close.text);
}

#[test]
fn c_24_unreadable_properties_cannot_be_decoded() {
    if !ours_only() {
        return;
    }
    let mut left_over = header(60, 0, 0);
    left_over.push(1);
    let mut c = Wire::open();
    c.send(1, publish("", "nowhere"));
    c.raw_frame(2, 1, &left_over);
    let close = c.error();
    assert_eq!((close.code, close.id()), (501, MethodId { class: 60, method: 40 }));
    assert!(close.text.starts_with("FRAME_ERROR - cannot decode <<"), "{}", close.text);
}

#[test]
fn c_25_methods_of_the_server_are_unimplemented() {
    let text = "unimplemented method";
    check(1, 1, &payload(basic::GetEmpty {}), 503, text, (60, 72));
    check(1, 1, &payload(basic::Credit::default()), 503, text, (60, 200));
    check(1, 1, &payload(channel::FlowOk { active: true }), 503, text, (20, 21));
    check(1, 1, &payload(queue::BindOk {}), 503, text, (50, 21));
    check(1, 1, &payload(connection::UpdateSecret::default()), 503, text, (10, 70));
    check(1, 1, &payload(connection::Open { virtual_host: "/" }), 503, text, (10, 40));
}

#[test]
fn c_25_a_delivery_from_a_client_is_unimplemented_once_it_is_whole() {
    let mut c = Wire::open();
    c.send(1, basic::Deliver::default());
    c.raw_frame(2, 1, &header(60, 0, 0));
    assert_eq!(c.error(), closes(0, 503, "unimplemented method", (60, 60)));
}

#[test]
fn c_25_channel_methods_on_channel_0_are_unexpected() {
    let text = "unexpected method in connection state running";
    check(1, 0, &payload(channel::Open {}), 504, text, (20, 10));
    check(1, 0, &payload(declare("q")), 504, text, (50, 10));
}

#[test]
fn c_25_unknown_methods_cannot_be_decoded() {
    if !ours_only() {
        return;
    }
    for (class, method) in [(60u8, 99u8), (10, 99), (20, 99), (30, 99), (61, 10)] {
        let payload = [0, class, 0, method, 1, 2];
        check(1, 1, &payload, 501, "cannot decode <<1,2>>", (class.into(), method.into()));
    }
}
