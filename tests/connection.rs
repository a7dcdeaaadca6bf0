//! How a connection begins: protocol header, start, login, open.

use leveret_protocol::frame::PROTOCOL_HEADER;

use crate::support::*;

const REFUSED: &str = "Login was refused using authentication mechanism PLAIN. For details see the broker logfile.";

fn start(wire: &mut Wire) -> (u8, u8, FieldTable, String, String) {
    let frame = wire.frame();
    let Method::ConnectionStart(start) = frame.method() else { panic!("{frame:?}") };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (
        start.version_major,
        start.version_minor,
        start.server_properties.to_owned(),
        text(start.mechanisms),
        text(start.locales),
    )
}

#[test]
fn c_01_both_forms_of_the_header_are_answered_with_start_0_9() {
    for header in [PROTOCOL_HEADER, *b"AMQP\x01\x01\x00\x09"] {
        let mut c = Wire::connect();
        c.raw(&header);
        let (major, minor, ..) = start(&mut c);
        assert_eq!((major, minor), (0, 9));
    }
}

#[test]
fn c_01_the_header_may_come_in_pieces() {
    let mut c = Wire::connect();
    PROTOCOL_HEADER.iter().for_each(|byte| c.raw(&[*byte]));
    c.expect(0, "connection.start");
}

#[test]
fn c_01_the_whole_handshake_may_be_written_at_once() {
    let mut c = Wire::connect();
    c.raw(&PROTOCOL_HEADER);
    c.start_ok(&Login::default());
    c.tune_ok(&Login::default());
    c.send(0, connection::Open { virtual_host: "/" });
    c.send(3, channel::Open {});
    c.expect(0, "connection.start");
    c.expect(0, "connection.tune");
    c.expect(0, "connection.open-ok");
    c.expect(3, "channel.open-ok");
}

#[test]
fn c_02_another_minor_version_is_answered_with_ours_and_the_end() {
    for header in [b"AMQP\x00\x00\x09\x00", b"AMQP\x00\x00\x09\x02", b"AMQP\x00\x00\x0a\x00"] {
        let mut c = Wire::connect();
        c.raw(header);
        assert_eq!(c.bytes_to_end(), PROTOCOL_HEADER, "to {header:?}");
    }
}

#[test]
fn c_02_whatever_is_no_0_9_1_is_answered_with_the_0_9_1_header() {
    if !ours_only() {
        return;
    }
    let headers: [&[u8]; 9] = [
        b"AMQP\x00\x00\x08\x00",
        b"AMQP\x01\x01\x09\x01",
        b"AMQP\x00\x01\x00\x00",
        b"AMQP\x03\x01\x00\x00",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"amqp\x00\x00\x09\x01",
        &[0; 8],
        &[255; 8],
    ];
    for header in headers {
        let mut c = Wire::connect();
        c.raw(header);
        assert_eq!(c.bytes_to_end(), PROTOCOL_HEADER, "to {header:?}");
    }
}

#[test]
fn c_03_a_connection_that_says_nothing_may_close() {
    drop(Wire::connect());
    Wire::open().quiet();
}

#[test]
fn c_04_start_offers_three_mechanisms_and_one_locale() {
    let mut c = Wire::connect();
    c.raw(&PROTOCOL_HEADER);
    let (.., mechanisms, locales) = start(&mut c);
    let mut mechanisms: Vec<_> = mechanisms.split(' ').collect();
    mechanisms.sort_unstable();
    assert_eq!(mechanisms, ["AMQPLAIN", "ANONYMOUS", "PLAIN"]);
    assert_eq!(locales, "en_US");
}

#[test]
fn c_05_server_properties_are_long_strings_sorted_by_name() {
    let mut c = Wire::connect();
    c.raw(&PROTOCOL_HEADER);
    let (_, _, properties, ..) = start(&mut c);
    for key in ["cluster_name", "copyright", "information", "platform", "product", "version"] {
        let value = properties.get(key).unwrap_or_else(|| panic!("no {key}"));
        assert!(value.as_str().is_some_and(|text| !text.is_empty()), "{key} is {value:?}");
    }
    let names: Vec<_> = properties.iter().map(|(name, _)| name.to_vec()).collect();
    assert!(names.is_sorted(), "{properties:?}");
    assert_eq!(properties.get("product").unwrap().as_str(), Some("RabbitMQ"));
    let version = properties.get("version").unwrap().as_str().unwrap();
    let numbers: Vec<u32> = version.split('.').map(|part| part.parse().expect("a number")).collect();
    assert!(numbers.len() == 3 && (numbers[0], numbers[1]) >= (3, 13), "{version}");
}

#[test]
fn c_06_capabilities_are_all_true() {
    let mut c = Wire::connect();
    c.raw(&PROTOCOL_HEADER);
    let (_, _, properties, ..) = start(&mut c);
    let Some(FieldValue::Table(capabilities)) = properties.get("capabilities") else { panic!("{properties:?}") };
    let expected = [
        "publisher_confirms",
        "exchange_exchange_bindings",
        "basic.nack",
        "consumer_cancel_notify",
        "connection.blocked",
        "consumer_priorities",
        "authentication_failure_close",
        "per_consumer_qos",
        "direct_reply_to",
    ];
    assert_eq!(capabilities.len(), expected.len());
    for name in expected {
        assert_eq!(capabilities.get(name), Some(&FieldValue::Bool(true)), "{name}");
    }
}

#[test]
fn c_07_client_properties_of_any_form_are_taken() {
    let properties = [
        table! {},
        table! { "capabilities" => "x" },
        table! { "capabilities" => vec![FieldValue::I32(1)] },
        table! { "capabilities" => FieldValue::Void, "connection_name" => 5 },
        table! { "connection_name" => true },
    ];
    for properties in properties {
        let mut c = Wire::started();
        c.send(
            0,
            connection::StartOk {
                client_properties: properties.as_table(),
                mechanism: "PLAIN",
                response: b"\0guest\0guest",
                locale: "",
            },
        );
        c.expect(0, "connection.tune");
    }
}

#[test]
fn c_09_amqplain_takes_login_and_password_in_any_order() {
    let tables = [
        table! { "LOGIN" => "guest", "PASSWORD" => "guest" },
        table! { "PASSWORD" => "guest", "x" => 1, "LOGIN" => "guest" },
        table! { "LOGIN" => "guest", "PASSWORD" => FieldValue::Bytes(b"guest".to_vec()) },
    ];
    for table in tables {
        let login = Login { mechanism: "AMQPLAIN", response: table.as_bytes(), ..Login::default() };
        Wire::open_as(&login).quiet();
    }
}

#[test]
fn c_08_c_09_c_12_malformed_logins_end_without_a_word() {
    fn plain(response: &'static [u8]) -> Wire {
        login("PLAIN", response)
    }
    fn login(mechanism: &str, response: &[u8]) -> Wire {
        let mut c = Wire::started();
        c.start_ok(&Login { mechanism, response, ..Login::default() });
        c
    }
    fn amqplain(table: EncodedTable) -> Wire {
        login("AMQPLAIN", table.as_bytes())
    }
    each_ends_silently([
        ("authzid", || plain(b"guest\0guest\0guest")),
        ("no password", || plain(b"\0guest")),
        ("extra part", || plain(b"\0guest\0guest\0x")),
        ("empty", || plain(b"")),
        ("no LOGIN", || amqplain(table! { "PASSWORD" => "guest" })),
        ("lower case", || amqplain(table! { "login" => "guest", "password" => "guest" })),
        ("LOGIN is a number", || amqplain(table! { "LOGIN" => 5, "PASSWORD" => "guest" })),
        ("no PASSWORD", || amqplain(table! { "LOGIN" => "guest" })),
        ("length prefix", || login("AMQPLAIN", b"\0\0\0\x0b\x05LOGINS\0\0\0\0")),
        ("unknown mechanism", || login("FOO", b"\0guest\0guest")),
        ("other case", || login("plain", b"\0guest\0guest")),
        ("no TLS", || login("EXTERNAL", b"")),
    ]);
}

#[test]
fn c_11_anonymous_is_the_default_user() {
    Wire::open_as(&Login { mechanism: "ANONYMOUS", response: b"", ..Login::default() }).quiet();
}

#[test]
fn c_13_bad_credentials_are_refused_with_403() {
    for response in [&b"\0guest\0wrong"[..], b"\0nobody\0guest", b"\0guest\0", b"\0\0guest", b"\0\xff\xfe\0guest"] {
        let mut c = Wire::started();
        c.start_ok(&Login { response, ..Login::default() });
        let mut expected = closes(0, 403, REFUSED, (0, 0));
        expected.channel = 0;
        assert_eq!(c.error(), expected, "{response:?}");
    }
}

#[test]
fn c_13_a_client_without_the_capability_is_not_told() {
    each_ends_silently([("wrong password", || {
        let mut c = Wire::started();
        c.start_ok(&Login { response: b"\0guest\0wrong", capabilities: &[], ..Login::default() });
        c
    })]);
}

#[test]
fn c_18_open_ok_names_no_hosts() {
    let mut c = Wire::tuned(&Login::default());
    let opened = c.call_on(0, connection::Open { virtual_host: "/" });
    assert_eq!(opened.payload, [0, 10, 0, 41, 0]);
}

#[test]
fn c_18_a_missing_vhost_is_named() {
    let long = "v".repeat(255);
    let cut = format!("vhost {}...", "v".repeat(252 - "NOT_ALLOWED - vhost ".len()));
    let cases = [
        ("no-such-vhost", "vhost no-such-vhost not found"),
        ("", "vhost  not found"),
        ("/no/such", "vhost /no/such not found"),
        ("vhöst", "vhost vhöst not found"),
        (&long, &cut),
    ];
    for (vhost, explanation) in cases {
        let mut c = Wire::tuned(&Login::default());
        c.send(0, connection::Open { virtual_host: vhost });
        assert_eq!(c.error(), closes(0, 530, explanation, (10, 40)));
    }
}

#[test]
fn c_18_a_vhost_name_that_is_not_utf_8_is_a_frame_error() {
    let mut c = Wire::tuned(&Login::default());
    c.raw_frame(1, 0, b"\x00\x0a\x00\x28\x03a\xff\xfe\x00\x00");
    assert_eq!(c.error(), closes(0, 501, "Malformed UTF-8 in shortstr", (10, 40)));
}

#[test]
fn c_28_a_new_secret_is_taken_at_any_time() {
    let mut c = Wire::open();
    for reason in ["refresh", ""] {
        c.call_on(0, connection::UpdateSecret { new_secret: b"guest", reason });
    }
    c.quiet();
}
