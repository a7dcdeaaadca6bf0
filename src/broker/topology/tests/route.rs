use super::super::NoSuchExchange;
use super::*;

fn place() -> Place {
    let mut place = Place::new();
    for name in ["q", "r", "s"] {
        place.queue(name);
    }
    place
}

fn empty<'a>() -> Vec<&'a str> {
    Vec::new()
}

#[test]
fn x_02_default_exchange_routes_by_queue_name() {
    let place = place();
    assert_eq!(place.route("", "q"), ["q"]);
    assert_eq!(place.route("", ""), empty());
    let keys = RoutingKeys { main: b"q", others: &[b"r", b"q", b"no-q"] };
    assert_eq!(place.route_with("", &keys, Table::EMPTY), ["q", "r"]);
}

#[test]
fn a_missing_exchange_is_told() {
    let place = place();
    let mut out = vec![QueueKey(7)];
    let mut scratch = RouteScratch::default();
    let keys = RoutingKeys::one(b"k");
    for name in [&b"amq.default"[..], b"\xff"] {
        let routed = place.topology.route(name, &keys, None, &mut scratch, &mut out);
        assert_eq!(routed, Err(NoSuchExchange));
        assert!(out.is_empty());
    }
}

#[test]
fn m_07_each_exchange_is_visited_once() {
    let mut place = place();
    place.declare("x", "fanout").unwrap();
    place.declare("y", "fanout").unwrap();
    for (source, destination) in [("x", "y"), ("y", "x"), ("x", "x")] {
        place.link(source, destination);
    }
    place.bind("q", "x", "").unwrap();
    place.bind("q", "y", "").unwrap();
    assert_eq!(place.route("x", ""), ["q"]);
    assert_eq!(place.route("y", ""), ["q"]);
}

#[test]
fn m_07_the_key_is_the_same_on_the_whole_way() {
    let mut place = place();
    place.declare("top", "topic").unwrap();
    place.declare("right", "direct").unwrap();
    let topology = &mut place.topology;
    topology.bind_exchange("right", "top", "a.#", Table::EMPTY).unwrap();
    place.bind("q", "right", "a.b").unwrap();
    place.bind("r", "right", "a.c").unwrap();
    assert_eq!(place.route("top", "a.b"), ["q"]);
    assert_eq!(place.route("top", "b.b"), empty());
}

#[test]
fn x_10_alternate_is_used_when_no_binding_matches() {
    let mut place = place();
    place.declare("last", "fanout").unwrap();
    place.declare_with_alternate("mid", "direct", "last");
    place.declare_with_alternate("top", "direct", "mid");
    assert_eq!(place.route("top", "none"), empty());
    place.bind("q", "last", "").unwrap();
    assert_eq!(place.route("top", "none"), ["q"]);
    place.bind("r", "top", "k").unwrap();
    assert_eq!(place.route("top", "k"), ["r"]);
    place.bind("r", "mid", "z").unwrap();
    assert_eq!(place.route("top", "z"), ["r"]);
}

#[test]
fn x_10_alternates_in_a_loop_missing_or_default() {
    let mut place = place();
    for (name, alternate) in [("x", "y"), ("y", "x"), ("i", "i"), ("lost", "no-x"), ("d", "")] {
        place.declare_with_alternate(name, "direct", alternate);
    }
    for name in ["x", "i", "lost", "d"] {
        assert_eq!(place.route(name, "q"), empty());
    }
    place.bind("q", "y", "k").unwrap();
    assert_eq!(place.route("x", "k"), ["q"]);
}

#[test]
fn x_10_a_binding_to_an_empty_exchange_is_a_match() {
    for exchange_type in ["direct", "fanout", "topic", "headers"] {
        let mut place = place();
        place.declare("empty", "fanout").unwrap();
        place.bind("q", "amq.fanout", "").unwrap();
        place.declare_with_alternate("x", exchange_type, "amq.fanout");
        assert_eq!(place.route("x", ""), ["q"]);
        place.link("x", "empty");
        assert_eq!(place.route("x", ""), empty());
    }
}

#[test]
fn x_10_an_alternate_declared_later_is_found() {
    let mut place = place();
    place.declare_with_alternate("x", "direct", "later");
    assert_eq!(place.route("x", "k"), empty());
    place.declare("later", "fanout").unwrap();
    place.bind("q", "later", "").unwrap();
    assert_eq!(place.route("x", "k"), ["q"]);
}

#[test]
fn x_11_direct_compares_the_key_and_fanout_ignores_it() {
    let mut place = place();
    place.bind("q", "amq.direct", "k").unwrap();
    place.bind("r", "amq.direct", "K").unwrap();
    place.bind("s", "amq.fanout", "k").unwrap();
    assert_eq!(place.route("amq.direct", "k"), ["q"]);
    assert_eq!(place.route("amq.direct", "k."), empty());
    assert_eq!(place.route("amq.fanout", "anything"), ["s"]);
}

#[test]
fn x_12_topic_patterns() {
    let cases: [(&str, &[&str], &[&str]); 16] = [
        ("", &[""], &["a", "."]),
        ("#", &["", "a", "a.b", ".", "a..b"], &[]),
        ("*", &["a", "#", "*"], &["", "a.b", "."]),
        ("*.*", &["a.b", "."], &["", "a", "a.b.c"]),
        ("a.*.c", &["a.b.c", "a..c"], &["a.c", "a.b.b.c"]),
        ("a.#", &["a", "a.b", "a.b.c", "a."], &["", "b.a", "ab"]),
        ("#.a", &["a", "b.a", "a.a"], &["", "a.b"]),
        ("a.#.b", &["a.b", "a.x.b", "a.x.y.b", "a.b.b"], &["a", "b", "a.b.c"]),
        ("#.#", &["", "a", "a.b.c"], &[]),
        ("#.*", &["a", "a.b"], &[""]),
        ("*.#", &["a", "a.b"], &[""]),
        ("#.*.#", &["a", "a.b.c"], &[""]),
        ("#.a.#", &["a", "x.a", "a.x", "x.a.y", "a.a"], &["", "x", "x.y"]),
        ("#.a.#.b", &["a.b", "a.a.b.b", "x.a.y.b"], &["b.a", "a", "a.b.c"]),
        ("a..b", &["a..b"], &["a.b", "a.x.b"]),
        ("A", &["A"], &["a"]),
    ];
    for (pattern, matching, others) in cases {
        let mut place = place();
        place.bind("q", "amq.topic", pattern).unwrap();
        for key in matching {
            assert_eq!(place.route("amq.topic", key), ["q"], "{pattern} and {key}");
        }
        for key in others {
            assert_eq!(place.route("amq.topic", key), empty(), "{pattern} and {key}");
        }
    }
}

#[test]
fn x_12_hash_matches_zero_words() {
    let mut place = place();
    place.bind("q", "amq.topic", "#").unwrap();
    place.bind("r", "amq.topic", "*").unwrap();
    assert_eq!(place.route("amq.topic", ""), ["q"]);
}

#[test]
fn x_12_a_queue_bound_twice_gets_one_copy() {
    let mut place = place();
    for key in ["a.*", "#", "*.b", "a.b", "#.b"] {
        place.bind("q", "amq.topic", key).unwrap();
    }
    assert_eq!(place.route("amq.topic", "a.b"), ["q"]);
}

#[test]
fn x_12_keys_may_be_any_bytes() {
    let mut place = place();
    place.bind("q", "amq.topic", "*.b").unwrap();
    let keys = RoutingKeys::one(b"\xff\x00.b");
    assert_eq!(place.route_with("amq.topic", &keys, Table::EMPTY), ["q"]);
}

#[test]
fn x_12_many_words_and_two_hashes() {
    let mut place = place();
    let words = ["a"; 126].join(".");
    place.bind("q", "amq.topic", "#.a.a.a.#.b").unwrap();
    place.bind("r", "amq.topic", "#.a.#.a").unwrap();
    place.bind("r", "amq.topic", "#.*.*.#.*").unwrap();
    assert_eq!(place.route("amq.topic", &words), ["r"]);
    assert_eq!(place.route("amq.topic", &format!("{words}.b")), ["q", "r"]);
}

#[test]
fn x_14_each_key_routes_and_a_queue_gets_one_copy() {
    let mut place = place();
    place.bind("q", "amq.direct", "a").unwrap();
    place.bind("r", "amq.direct", "b").unwrap();
    place.bind("q", "amq.direct", "b").unwrap();
    place.bind("s", "amq.topic", "*.x").unwrap();
    let keys = RoutingKeys { main: b"none", others: &[b"a", b"b", b"w.x"] };
    assert_eq!(place.route_with("amq.direct", &keys, Table::EMPTY), ["q", "r"]);
    assert_eq!(place.route_with("amq.topic", &keys, Table::EMPTY), ["s"]);
}

#[test]
fn duplicates_are_removed_among_many_queues() {
    let mut place = Place::new();
    let names = (0..100).map(|i| format!("q{i:02}")).collect::<Vec<_>>();
    for name in &names {
        place.queue(name);
        for key in ["a", "b"] {
            place.bind(name, "amq.fanout", key).unwrap();
        }
    }
    assert_eq!(place.route("amq.fanout", ""), names);
}

#[test]
fn a_route_tells_whether_headers_were_asked() {
    let mut place = place();
    place.declare_with_alternate("x", "direct", "amq.headers");
    place.bind("q", "x", "k").unwrap();
    let mut scratch = RouteScratch::default();
    let mut out = Vec::new();
    let mut depends = |exchange: &str, key: &str| {
        let keys = RoutingKeys::one(key.as_bytes());
        let routed = place.topology.route(exchange.as_bytes(), &keys, None, &mut scratch, &mut out);
        routed.unwrap().depends_on_headers
    };
    assert!(!depends("x", "k"));
    assert!(depends("x", "none"));
    assert!(depends("amq.match", ""));
    assert!(!depends("amq.topic", ""));
}
