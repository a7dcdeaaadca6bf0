//! Names: line ends, odd characters, and the empty name that stands for the last declared queue.

use crate::support::*;

const NONE: &str = "no previously declared queue";

#[test]
fn m_24_line_ends_are_taken_out_of_names_where_queues_are_made_and_bound() {
    let mut c = Wire::open();
    let plain = name();
    let q = format!("\n{plain}\r\n");
    let frame = c.call(declare(&q));
    assert!(matches!(frame.method(), Method::QueueDeclareOk(ok) if ok.queue == plain));
    c.call(passive(&q));
    c.call(bind(&q, "amq.\ndirect", "k"));
    c.call(unbind(&q, "amq.direct\r", "k"));
    c.refused(purge(&q), 404, &no_queue(&q));
    c.refused(get(&q), 404, &no_queue(&q));
    c.refused(consume(&q, "t"), 404, &no_queue(&q));
    c.call(delete(&q));
    c.refused(passive(&plain), 404, &no_queue(&plain));
}

#[test]
fn m_24_line_ends_are_taken_out_of_names_of_exchanges() {
    let mut c = Wire::open();
    let plain = name();
    let x = format!("{plain}\n");
    c.call(x_declare(&x, "fanout"));
    c.call(x_passive(&plain));
    c.call(x_passive(&x));
    c.call(x_bind(&x, "amq.fanout\n", "k"));
    c.publish(&x, "", "x");
    c.refusal((60, 40), 404, &no_exchange(&x));
    c.refused(x_declare(&name(), "fan\nout"), 406, "unknown exchange type 'fan\nout'");
    c.refused(x_declare("\n", "direct"), 403, "operation not permitted on the default exchange");
    c.call(x_delete(&x));
    c.refused(x_passive(&plain), 404, &no_exchange(&plain));
}

#[test]
fn m_24_line_ends_hide_no_reserved_name() {
    let mut c = Wire::open();
    c.refused(declare("am\nq.foo"), 403, "queue name 'amq.foo' contains reserved prefix 'amq.*'");
    let text = "exchange name 'amq.foo' contains reserved prefix 'amq.*'";
    c.refused(x_declare("\ramq.foo", "direct"), 403, text);
    let frame = c.call(declare("\r\n"));
    assert!(matches!(frame.method(), Method::QueueDeclareOk(ok) if ok.queue.starts_with("amq.gen-")));
}

#[test]
fn m_24_keys_and_tags_keep_their_line_ends() {
    let mut c = Wire::open();
    let q = c.bound("amq.direct", "a\nb");
    c.publish("amq.direct", "a\nb", "x");
    let frame = c.call(consume(&q, "t\n"));
    assert!(matches!(frame.method(), Method::BasicConsumeOk(ok) if ok.consumer_tag == "t\n"));
    assert_eq!(c.deliver().routing_key, "a\nb");
}

#[test]
fn m_24_names_may_hold_any_character() {
    let mut c = Wire::open();
    for odd in [" ", "\t", "\0", "/%2F", "待ち行列", "🐇", "...", "\u{2028}"] {
        let q = format!("{}{odd}e", name());
        let frame = c.call(declare(&q));
        assert!(matches!(frame.method(), Method::QueueDeclareOk(ok) if ok.queue == q), "{q:?}");
    }
    let longest = format!("{:x<255}", name());
    c.call(declare(&longest));
    assert_eq!(c.counts(&longest), (0, 0));
}

#[test]
fn m_25_without_a_declared_queue_the_empty_name_is_refused() {
    let mut c = Wire::open();
    c.refused(passive(""), 404, &no_queue(""));
    c.refused(bind("", "amq.direct", "k"), 404, NONE);
    c.refused(unbind("", "amq.direct", "k"), 404, NONE);
    c.refused(purge(""), 404, NONE);
    c.refused(delete(""), 404, NONE);
    c.refused(get(""), 404, NONE);
    c.refused(consume("", "t"), 404, NONE);
}

#[test]
fn m_25_the_empty_name_is_the_queue_declared_last_on_the_channel() {
    let mut c = Wire::open();
    let (first, last) = (c.queue(), c.queue());
    c.fill_queue(&last, &["last"]);
    assert_eq!(c.get("").unwrap().told(), "last");
    c.fill_queue(&first, &["first"]);
    c.call(passive(&first));
    assert_eq!(c.get("").unwrap().told(), "first");
    c.send(1, queue::Declare { nowait: true, ..declare(&last) });
    assert_eq!(c.get(""), None);
    c.open_channel(2);
    c.call_on(2, passive(&first));
    assert_eq!(c.get(""), None);
    c.call(delete(""));
    c.refused(purge(""), 404, &no_queue(&last));
    c.refused(purge(""), 404, NONE);
}

#[test]
fn m_25_a_server_named_queue_is_the_last_one_too() {
    let mut c = Wire::open();
    c.send(1, queue::Declare { nowait: true, ..declare("") });
    c.call(bind("", "amq.direct", "k"));
    c.call(consume("", ""));
    c.call(delete(""));
}
