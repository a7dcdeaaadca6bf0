use super::super::Endpoint;
use super::*;

const DEFAULT: &str = "operation not permitted on the default exchange";

#[test]
fn m_07_checks_of_exchange_bind_and_unbind() {
    let mut place = Place::new();
    let topology = &mut place.topology;
    let mut bind = |d: &str, s: &str| topology.bind_exchange(d, s, "k", Table::EMPTY);
    assert_eq!(bind("amq.fanout", "amq.direct"), Ok(true));
    assert_eq!(bind("amq.fanout", "amq.direct"), Ok(false));
    assert_eq!(refusal(bind("no-d", "no-s")), "no exchange 'no-s' in vhost '/'");
    assert_eq!(refusal(bind("no-d", "amq.direct")), "no exchange 'no-d' in vhost '/'");
    for (d, s) in [("", "no-s"), ("no-d", ""), ("", "")] {
        assert_eq!(refusal(bind(d, s)), DEFAULT);
    }
    let mut unbind = |d: &str, s: &str| topology.unbind_exchange(d, s, "k", Table::EMPTY);
    for (d, s) in [("", "no-s"), ("no-d", ""), ("", "")] {
        assert_eq!(refusal(unbind(d, s)), DEFAULT);
    }
    for (d, s, found) in [
        ("amq.fanout", "amq.direct", 1),
        ("amq.fanout", "amq.direct", 0),
        ("no-d", "amq.direct", 0),
        ("amq.fanout", "no-s", 0),
    ] {
        assert_eq!(unbind(d, s).unwrap().bindings, found);
    }
}

#[test]
fn m_09_checks_of_queue_bind() {
    let mut place = Place::new();
    place.queue("q");
    assert_eq!(place.bind("q", "amq.direct", "k"), Ok(true));
    assert_eq!(place.bind("q", "amq.direct", "k"), Ok(false));
    assert_eq!(place.bind("q", "amq.rabbitmq.trace", "k"), Ok(true));
    assert_eq!(refusal(place.bind("no-q", "", "k")), DEFAULT);
    assert_eq!(refusal(place.bind("no-q", "no-x", "k")), "no exchange 'no-x' in vhost '/'");
    assert_eq!(refusal(place.bind("no-q", "amq.topic", "#.#.#")), "no queue 'no-q' in vhost '/'");
}

#[test]
fn m_09_identity_is_by_exact_arguments() {
    let wide = FieldValue::I64(1);
    let two = |a: i32, b: i32| table([("a", a.into()), ("b", b.into())]);
    let nested = |first: &str, second: &str| {
        let inner = [(first, 1i32), (second, 1i32)].into_iter().collect::<FieldTable>();
        table([("t", inner.into())])
    };
    let cases = [
        ("order", two(1, 2), table([("b", 2i32.into()), ("a", 1i32.into())]), true),
        ("nested order", nested("a", "b"), nested("b", "a"), false),
        ("width", table([("a", 1i32.into())]), table([("a", wide)]), false),
        ("float", table([("a", 1i32.into())]), table([("a", 1f64.into())]), false),
        ("bytes", table([("a", "s".into())]), table([("a", FieldValue::Bytes(b"s".to_vec()))]), false),
        ("a name twice", table([("a", 1i32.into()), ("a", 2i32.into())]), table([("a", 1i32.into())]), false),
    ];
    let mut place = Place::new();
    let q = place.queue("q");
    for (name, bound, unbound, same) in cases {
        let (bound, unbound) = (bound.as_table(), unbound.as_table());
        assert_eq!(place.bind_with("q", "amq.direct", name, bound), Ok(true));
        assert_eq!(place.topology.is_bound(q, "amq.direct", name, unbound), same, "{name}");
        let found = place.unbind_with("q", "amq.direct", name, unbound);
        assert_eq!(found == 1, same, "{name}");
    }
}

#[test]
fn m_09_l_in_both_letters_is_the_same_argument() {
    let mut place = Place::new();
    place.queue("q");
    let upper = Table::parse(b"\x01aL\0\0\0\0\0\0\0\x01").unwrap();
    let lower = Table::parse(b"\x01al\0\0\0\0\0\0\0\x01").unwrap();
    assert_eq!(place.bind_with("q", "amq.direct", "k", upper), Ok(true));
    assert_eq!(place.unbind_with("q", "amq.direct", "k", lower), 1);
}

#[test]
fn m_09_unbinding_one_leaves_those_with_other_arguments() {
    let mut place = Place::new();
    place.queue("q");
    let with = |n: i32| table([("n", n.into())]);
    place.bind("q", "amq.direct", "k").unwrap();
    for n in [1, 2] {
        place.bind_with("q", "amq.direct", "k", with(n).as_table()).unwrap();
    }
    assert_eq!(place.route("amq.direct", "k"), ["q"]);
    assert_eq!(place.unbind_with("q", "amq.direct", "k", with(3).as_table()), 0);
    assert_eq!(place.unbind_with("q", "amq.direct", "k", with(1).as_table()), 1);
    assert_eq!(place.unbind("q", "amq.direct", "k"), 1);
    assert_eq!(place.route("amq.direct", "k"), ["q"]);
    assert_eq!(place.unbind_with("q", "amq.direct", "k", with(2).as_table()), 1);
    assert!(place.route("amq.direct", "k").is_empty());
}

#[test]
fn m_10_unbinding_what_is_not_there_is_no_error() {
    let mut place = Place::new();
    place.queue("q");
    for (queue, exchange) in [("q", "amq.direct"), ("no-q", "amq.direct"), ("q", "no-x"), ("no-q", "no-x")] {
        assert_eq!(place.unbind(queue, exchange, "k"), 0);
    }
    let on_default = place.topology.unbind_queue(None, "", "k", Table::EMPTY);
    assert_eq!(refusal(on_default), DEFAULT);
}

#[test]
fn x_12_at_most_two_hash_words() {
    let mut place = Place::new();
    place.queue("q");
    let text = "Topic binding key '#.#.#' uses 3 '#' wildcards, at most 2 are allowed";
    assert_eq!(refusal(place.bind("q", "amq.topic", "#.#.#")), text);
    let to_exchange = place.topology.bind_exchange("amq.fanout", "amq.topic", "#.#.#", Table::EMPTY);
    assert_eq!(refusal(to_exchange), text);
    assert_eq!(place.bind("q", "amq.topic", "#.a#.##.#b.#"), Ok(true));
    assert_eq!(place.bind("q", "amq.direct", "#.#.#"), Ok(true));
    assert_eq!(place.unbind("q", "amq.topic", "#.#.#"), 0);
}

#[test]
fn bindings_are_read_as_they_were_made() {
    let mut place = Place::new();
    let q = place.queue("q");
    let arguments = table([("b", 1i32.into()), ("a", "s".into())]);
    place.bind_with("q", "amq.topic", "a.*", arguments.as_table()).unwrap();
    place.link("amq.fanout", "amq.topic");
    let all = place.topology.bindings().collect::<Vec<_>>();
    assert_eq!(all.len(), 2);
    let of_queue = all[0];
    assert_eq!((of_queue.source, of_queue.destination), ("amq.topic", Endpoint::Queue("q")));
    assert_eq!(of_queue.key, b"a.*");
    let sorted = table([("a", "s".into()), ("b", 1i32.into())]);
    assert_eq!(of_queue.arguments, sorted.as_table());
    assert_eq!(all[1].destination, Endpoint::Exchange("amq.topic"));
    let topology = &place.topology;
    assert_eq!(topology.bindings_from("amq.topic").collect::<Vec<_>>(), [of_queue]);
    assert_eq!(topology.bindings_to_queue(q).collect::<Vec<_>>(), [of_queue]);
    assert_eq!(topology.bindings_to_exchange("amq.topic").collect::<Vec<_>>(), [all[1]]);
    assert_eq!(topology.bindings_from("no-x").count(), 0);
}
