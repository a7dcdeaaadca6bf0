//! Publishing: what is refused, what is passed on as it is, and in which order.

use crate::support::*;

fn header_body(c: &mut Wire, q: &str, properties: &BasicProperties<'_>) {
    c.publish_as(1, publish("", q), properties, b"x");
}

#[test]
fn p_01_a_missing_exchange_closes_the_channel_and_drops_the_rest() {
    let mut c = Wire::open();
    let q = c.queue();
    c.call(confirm::Select::default());
    let mandatory = basic::Publish { mandatory: true, ..publish("no-such", "k") };
    c.publish_as(1, mandatory, &BasicProperties::default(), b"x");
    c.publish("", &q, "dropped");
    c.refusal((60, 40), 404, &no_exchange("no-such"));
    assert_eq!(c.counts(&q), (0, 0));
    c.publish("amq.default", &q, "x");
    c.refusal((60, 40), 404, &no_exchange("amq.default"));
}

#[test]
fn p_01_of_several_faults_the_first_is_told() {
    let mut c = Wire::open();
    let cc = table! { "CC" => "x" };
    let all = BasicProperties {
        expiration: Some(b"foo"),
        headers: Some(cc.as_table()),
        user_id: Some(b"other"),
        ..Default::default()
    };
    c.publish_as(1, publish("no-such", ""), &all, b"");
    c.refusal((60, 40), 404, &no_exchange("no-such"));
    c.publish_as(1, publish("", ""), &all, b"");
    c.refusal((60, 40), 406, "invalid expiration 'foo': no_integer");
    let rest = BasicProperties { expiration: None, ..all };
    c.publish_as(1, publish("", ""), &rest, b"");
    c.refusal((60, 40), 406, "invalid message: {unacceptable_type_in_header,\"CC\",longstr}");
}

#[test]
fn p_02_immediate_is_not_implemented() {
    let mut c = Wire::open();
    let immediate = basic::Publish { immediate: true, ..publish("", "k") };
    c.publish_as(1, immediate, &BasicProperties::default(), b"x");
    c.refusal((60, 40), 540, "immediate=true");
}

#[test]
fn p_08_a_body_is_cut_by_the_consumers_frame_max_and_may_be_empty() {
    let mut publisher = Wire::open();
    let q = publisher.shared_queue();
    publisher.publish("", &q, &"x".repeat(20_000));
    publisher.publish("", &q, "");
    eventually(|| publisher.counts(&q) == (2, 0));
    let mut c = Wire::open_as(&Login { frame_max: 8192, ..Login::default() });
    c.call(consume(&q, "t"));
    c.expect(1, "basic.deliver");
    let header = c.expect(1, "header");
    assert_eq!(header.payload, [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0x4e, 0x20, 0, 0]);
    let pieces: Vec<_> = (0..3).map(|_| c.expect(1, "body").payload.len()).collect();
    assert_eq!(pieces, [8184, 8184, 3632]);
    c.expect(1, "basic.deliver");
    c.expect(1, "header");
    c.quiet();
    publisher.call(delete(&q));
}

#[test]
fn p_08_properties_longer_than_the_consumers_frame_max_come_in_one_frame() {
    let mut publisher = Wire::open();
    let q = publisher.shared_queue();
    let headers = table! { "k" => "v".repeat(20_000) };
    let properties = BasicProperties { headers: Some(headers.as_table()), ..Default::default() };
    publisher.publish_as(1, publish("", &q), &properties, b"x");
    publisher.quiet();
    let mut c = Wire::open_as(&Login { frame_max: 8192, ..Login::default() });
    c.call(consume(&q, "t"));
    let delivered = c.deliver();
    assert_eq!(delivered.headers(), headers.as_table().to_owned());
    publisher.call(delete(&q));
}

#[test]
fn p_09_an_expiration_is_a_number_of_milliseconds() {
    let mut c = Wire::open();
    let q = c.queue();
    let accepted = [("60000", "60000"), ("+60000", "60000"), ("060000", "60000"), ("315360000000", "315360000000")];
    for (expiration, told) in accepted {
        header_body(&mut c, &q, &BasicProperties { expiration: Some(expiration.as_bytes()), ..Default::default() });
        c.quiet();
        assert_eq!(c.get(&q).unwrap().properties().expiration, Some(told.as_bytes()));
    }
    let refused = [
        ("", "no_integer"),
        ("foo", "no_integer"),
        (" 10", "no_integer"),
        ("x10", "no_integer"),
        ("-1", "{value_negative,-1}"),
        ("1.5", "{leftover_string,\".5\"}"),
        ("10 ", "{leftover_string,\" \"}"),
        ("10x", "{leftover_string,\"x\"}"),
        ("315360000001", "{value_too_large,315360000001}"),
        (
            "99999999999999999999",
            "{value_too_large,\n                                            99999999999999999999}",
        ),
    ];
    for (expiration, why) in refused {
        header_body(&mut c, &q, &BasicProperties { expiration: Some(expiration.as_bytes()), ..Default::default() });
        c.refusal((60, 40), 406, &format!("invalid expiration '{expiration}': {why}"));
    }
}

#[test]
fn p_10_the_user_id_is_the_users_own() {
    let mut c = Wire::open();
    let q = c.queue();
    header_body(&mut c, &q, &BasicProperties { user_id: Some(b"guest"), ..Default::default() });
    c.quiet();
    assert_eq!(c.get(&q).unwrap().properties().user_id, Some(&b"guest"[..]));
    header_body(&mut c, &q, &BasicProperties { user_id: Some(b"other"), ..Default::default() });
    c.refusal((60, 40), 406, "user_id property set to 'other' but authenticated user was 'guest'");
}

#[test]
fn p_11_cc_and_bcc_are_further_keys_and_bcc_is_not_shown() {
    let mut c = Wire::open();
    let queues = [c.queue(), c.queue(), c.queue()];
    let keys = |q: &str| FieldValue::Array(vec![q.into(), 5.into()]);
    let headers = table! { "z" => 1, "CC" => keys(&queues[1]), "BCC" => keys(&queues[2]) };
    let properties = BasicProperties { headers: Some(headers.as_table()), ..Default::default() };
    header_body(&mut c, &queues[0], &properties);
    c.quiet();
    for q in &queues {
        let message = c.get(q).unwrap();
        assert_eq!(message.routing_key, queues[0]);
        let headers = message.headers();
        let names: Vec<_> = headers.iter().map(|(name, _)| name).collect();
        assert_eq!(names, [&b"CC"[..], b"z"]);
        assert_eq!(headers.get("CC"), Some(&keys(&queues[1])));
    }
}

#[test]
fn p_11_a_queue_named_by_key_cc_and_bcc_gets_one_copy() {
    let mut c = Wire::open();
    let q = c.queue();
    let keys = || FieldValue::Array(vec![q.as_str().into()]);
    let headers = table! { "CC" => keys(), "BCC" => keys() };
    header_body(&mut c, &q, &BasicProperties { headers: Some(headers.as_table()), ..Default::default() });
    c.quiet();
    assert_eq!(c.get(&q).unwrap().message_count, 0);
}

#[test]
fn p_11_cc_and_bcc_must_be_arrays() {
    let mut c = Wire::open();
    let q = c.queue();
    let values = [
        (FieldValue::from("x"), "longstr"),
        (5.into(), "signedint"),
        (FieldTable::new().into(), "table"),
        (FieldValue::Void, "void"),
    ];
    for header in ["CC", "BCC"] {
        for (value, kind) in &values {
            let headers = table! { header => value.clone() };
            header_body(&mut c, &q, &BasicProperties { headers: Some(headers.as_table()), ..Default::default() });
            let text = format!("invalid message: {{unacceptable_type_in_header,\"{header}\",{kind}}}");
            c.refusal((60, 40), 406, &text);
        }
    }
}

#[test]
fn p_13_any_delivery_mode_is_passed_on() {
    let mut c = Wire::open();
    let q = c.queue();
    for delivery_mode in [Some(0), Some(1), Some(2), Some(3), Some(255), None] {
        header_body(&mut c, &q, &BasicProperties { delivery_mode, ..Default::default() });
        c.quiet();
        assert_eq!(c.get(&q).unwrap().properties().delivery_mode, delivery_mode);
    }
}

#[test]
fn p_15_messages_of_a_channel_stay_in_order() {
    let mut c = Wire::open();
    let q = c.queue();
    let bodies: Vec<String> = (0..500).map(|n| n.to_string()).collect();
    bodies.iter().for_each(|body| c.publish("", &q, body));
    c.call(basic::Consume { no_ack: true, ..consume(&q, "t") });
    let told: Vec<_> = c.deliveries(500).iter().map(Delivered::told).collect();
    assert_eq!(told, bodies);
}
