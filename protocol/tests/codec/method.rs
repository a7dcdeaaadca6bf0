use leveret_protocol::method::{basic, channel, connection, exchange, queue};
use leveret_protocol::{Method, MethodError, MethodId};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use crate::generate::{method_payload, payload_of};

fn payload(class: u16, method: u16, arguments: &[u8]) -> Vec<u8> {
    [&class.to_be_bytes(), &method.to_be_bytes(), arguments].concat()
}

#[test]
fn methods_have_their_numbers() {
    let ours: Vec<_> = Method::ALL.iter().map(|spec| (spec.id.class, spec.id.method, spec.name)).collect();
    assert_eq!(ours, METHODS);
}

#[test]
fn bits_fill_an_octet_from_the_lowest() {
    let arguments = b"\0\0\x01e\x06direct\x15\0\0\0\0";
    let payload = payload(40, 10, arguments);
    let declare = exchange::Declare {
        exchange: "e",
        kind: "direct",
        passive: true,
        auto_delete: true,
        nowait: true,
        ..Default::default()
    };
    assert_eq!(Method::decode(&payload), Ok(Method::ExchangeDeclare(declare)));
}

#[test]
fn reserved_arguments_are_skipped_and_written_empty() {
    let sent = payload(10, 40, b"\x01/\x04caps\x01");
    let open = Method::decode(&sent).unwrap();
    assert_eq!(open, connection::Open { virtual_host: "/" }.into());
    let mut written = Vec::new();
    open.encode(&mut written);
    assert_eq!(written, payload(10, 40, b"\x01/\0\0"));

    let purge = Method::decode(&payload(50, 30, b"\xab\xcd\x01q\x01")).map(|m| m.name());
    assert_eq!(purge, Ok("queue.purge"));
    let mut written = Vec::new();
    Method::from(channel::OpenOk {}).encode(&mut written);
    assert_eq!(written, payload(20, 11, b"\0\0\0\0"));
}

#[test]
fn c_23_bad_utf_8_is_refused_but_in_names_that_are_passed_on() {
    let (class, method) = (50, 10);
    let bad = payload(class, method, b"\0\0\x01\xff\0\0\0\0\0");
    assert_eq!(Method::decode(&bad), Err(MethodError::InvalidUtf8 { class, method }));
    let cut = payload(class, method, b"\0\0\x01\xff\0\0\0\0");
    assert_eq!(Method::decode(&cut), Err(MethodError::Syntax { class, method }), "cut comes first");

    let publish = basic::Publish { exchange: b"\xff", routing_key: b"\xfe", ..Default::default() };
    let bytes = payload(60, 40, b"\0\0\x01\xff\x01\xfe\0");
    assert_eq!(Method::decode(&bytes), Ok(publish.into()));
}

#[test]
fn c_23_unreadable_tables_are_refused() {
    let (class, method) = (50, 10);
    let bad = payload(class, method, b"\0\0\x01q\0\0\0\0\x03\x01a?");
    assert_eq!(Method::decode(&bad), Err(MethodError::Syntax { class, method }));
}

#[test]
fn c_25_unknown_methods_are_told() {
    for (class, method) in [(60, 203), (0, 0), (70, 10), (40, 50), (10, 12)] {
        let expected = MethodError::UnknownClassOrMethod { class, method };
        assert_eq!(Method::decode(&payload(class, method, b"")), Err(expected));
    }
    for len in 0..4 {
        assert_eq!(Method::decode(&[0, 60, 0, 40][..len]), Err(MethodError::Truncated));
    }
}

#[test]
fn strings_too_long_are_cut_at_a_character() {
    let text = "é".repeat(200);
    let close = connection::Close { reply_text: &text, ..Default::default() };
    let mut out = Vec::new();
    Method::from(close).encode(&mut out);
    let Ok(Method::ConnectionClose(read)) = Method::decode(&out) else {
        panic!("unreadable");
    };
    assert_eq!(read.reply_text, "é".repeat(127));
    let name = vec![b'x'; 300];
    let publish = basic::Publish { routing_key: &name, ..Default::default() };
    out.clear();
    Method::from(publish).encode(&mut out);
    assert!(matches!(Method::decode(&out), Ok(Method::BasicPublish(p)) if p.routing_key.len() == 255));
}

#[test]
fn only_four_methods_have_content() {
    let with_content = [
        Method::from(basic::Publish::default()),
        basic::Return::default().into(),
        basic::Deliver::default().into(),
        basic::GetOk::default().into(),
    ];
    assert!(with_content.iter().all(Method::has_content));
    assert!(!Method::from(basic::GetEmpty {}).has_content());
    assert!(!Method::from(queue::Purge::default()).has_content());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn any_method_survives_the_wire(payload in method_payload()) {
        let method = Method::decode(&payload).unwrap();
        prop_assert_eq!(method.id(), MethodId {
            class: u16::from_be_bytes([payload[0], payload[1]]),
            method: u16::from_be_bytes([payload[2], payload[3]]),
        });
        let mut written = Vec::new();
        method.encode(&mut written);
        prop_assert_eq!(written, payload);
    }

    #[test]
    fn c_23_bytes_cut_or_left_over_are_an_error(payload in method_payload(), cut: prop::sample::Index) {
        let longer = [&payload[..], &[0]].concat();
        let is_syntax = |r| matches!(r, Err(MethodError::Syntax { .. }));
        prop_assert!(is_syntax(Method::decode(&longer)));
        if payload.len() > 4 {
            prop_assert!(is_syntax(Method::decode(&payload[..4 + cut.index(payload.len() - 4)])));
        }
    }
}

#[test]
fn each_method_is_generated_and_read() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for spec in Method::ALL {
        for _ in 0..20 {
            let payload = payload_of(*spec).new_tree(&mut runner).unwrap().current();
            let method = Method::decode(&payload).unwrap();
            assert_eq!((method.id(), method.name()), (spec.id, spec.name));
        }
    }
}

/// The numbers of the specification and of RabbitMQ's extensions. exchange.unbind-ok is the odd one.
const METHODS: &[(u16, u16, &str)] = &[
    (10, 10, "connection.start"),
    (10, 11, "connection.start-ok"),
    (10, 20, "connection.secure"),
    (10, 21, "connection.secure-ok"),
    (10, 30, "connection.tune"),
    (10, 31, "connection.tune-ok"),
    (10, 40, "connection.open"),
    (10, 41, "connection.open-ok"),
    (10, 50, "connection.close"),
    (10, 51, "connection.close-ok"),
    (10, 60, "connection.blocked"),
    (10, 61, "connection.unblocked"),
    (10, 70, "connection.update-secret"),
    (10, 71, "connection.update-secret-ok"),
    (20, 10, "channel.open"),
    (20, 11, "channel.open-ok"),
    (20, 20, "channel.flow"),
    (20, 21, "channel.flow-ok"),
    (20, 40, "channel.close"),
    (20, 41, "channel.close-ok"),
    (30, 10, "access.request"),
    (30, 11, "access.request-ok"),
    (40, 10, "exchange.declare"),
    (40, 11, "exchange.declare-ok"),
    (40, 20, "exchange.delete"),
    (40, 21, "exchange.delete-ok"),
    (40, 30, "exchange.bind"),
    (40, 31, "exchange.bind-ok"),
    (40, 40, "exchange.unbind"),
    (40, 51, "exchange.unbind-ok"),
    (50, 10, "queue.declare"),
    (50, 11, "queue.declare-ok"),
    (50, 20, "queue.bind"),
    (50, 21, "queue.bind-ok"),
    (50, 30, "queue.purge"),
    (50, 31, "queue.purge-ok"),
    (50, 40, "queue.delete"),
    (50, 41, "queue.delete-ok"),
    (50, 50, "queue.unbind"),
    (50, 51, "queue.unbind-ok"),
    (60, 10, "basic.qos"),
    (60, 11, "basic.qos-ok"),
    (60, 20, "basic.consume"),
    (60, 21, "basic.consume-ok"),
    (60, 30, "basic.cancel"),
    (60, 31, "basic.cancel-ok"),
    (60, 40, "basic.publish"),
    (60, 50, "basic.return"),
    (60, 60, "basic.deliver"),
    (60, 70, "basic.get"),
    (60, 71, "basic.get-ok"),
    (60, 72, "basic.get-empty"),
    (60, 80, "basic.ack"),
    (60, 90, "basic.reject"),
    (60, 100, "basic.recover-async"),
    (60, 110, "basic.recover"),
    (60, 111, "basic.recover-ok"),
    (60, 120, "basic.nack"),
    (60, 200, "basic.credit"),
    (60, 201, "basic.credit-ok"),
    (60, 202, "basic.credit-drained"),
    (85, 10, "confirm.select"),
    (85, 11, "confirm.select-ok"),
    (90, 10, "tx.select"),
    (90, 11, "tx.select-ok"),
    (90, 20, "tx.commit"),
    (90, 21, "tx.commit-ok"),
    (90, 30, "tx.rollback"),
    (90, 31, "tx.rollback-ok"),
];
