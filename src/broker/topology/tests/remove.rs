use super::*;

fn place_with(exchanges: &[(&str, ExchangeFlags)]) -> Place {
    let mut place = Place::new();
    place.queue("q");
    place.queue("r");
    for (name, flags) in exchanges {
        place.declare_with(name, "fanout", *flags, Table::EMPTY).unwrap();
    }
    place
}

#[test]
fn m_06_checks_of_exchange_delete() {
    let mut place = place_with(&[("x", PLAIN), ("y", PLAIN)]);
    let topology = &mut place.topology;
    for name in ["amq.direct", "amq.no-such"] {
        assert_eq!(
            refusal(topology.delete_exchange(name, true)),
            format!("deletion of system exchange '{name}' in vhost '/' not allowed")
        );
    }
    assert_eq!(refusal(topology.delete_exchange("", false)), "operation not permitted on the default exchange");
    assert!(topology.delete_exchange("no-such", true).unwrap().exchanges.is_empty());
    place.link("x", "y");
    assert_eq!(refusal(place.topology.delete_exchange("x", true)), "exchange 'x' in vhost '/' in use");
    place.declare_with_alternate("z", "direct", "y");
    let removed = place.topology.delete_exchange("y", true).unwrap();
    assert_eq!((removed.bindings, removed.exchanges), (1, vec!["y".into()]));
    assert!(place.topology.delete_exchange("x", true).is_ok());
}

#[test]
fn m_06_a_deleted_exchange_takes_its_bindings() {
    let mut place = place_with(&[("x", PLAIN), ("y", PLAIN)]);
    place.link("x", "y");
    place.bind("q", "y", "").unwrap();
    assert_eq!(place.route("x", ""), ["q"]);
    place.topology.delete_exchange("y", false).unwrap();
    place.declare("y", "fanout").unwrap();
    assert!(place.route("x", "").is_empty());
    assert!(place.route("y", "").is_empty());
    assert_eq!(place.topology.bindings().count(), 0);
}

#[test]
fn x_08_auto_delete_goes_with_the_last_binding() {
    let mut place = place_with(&[("x", AUTO_DELETE)]);
    assert_eq!(place.unbind("q", "x", "never"), 0);
    assert!(place.exists("x"));
    place.bind("q", "x", "a").unwrap();
    place.bind("q", "x", "b").unwrap();
    place.bind("r", "x", "a").unwrap();
    place.unbind("q", "x", "a");
    place.unbind("r", "x", "a");
    assert!(place.exists("x"));
    assert_eq!(place.remove_queue("q"), ["x"]);
    assert!(!place.exists("x"));
}

#[test]
fn x_08_auto_delete_counts_bindings_as_source_only() {
    let mut place = place_with(&[("s", AUTO_DELETE), ("d", AUTO_DELETE)]);
    place.link("s", "d");
    assert_eq!(place.unlink("s", "d"), 1);
    assert!(!place.exists("s") && place.exists("d"));

    let mut place = place_with(&[("s", AUTO_DELETE), ("d", AUTO_DELETE)]);
    place.link("s", "d");
    let removed = place.topology.delete_exchange("d", false).unwrap();
    assert_eq!(removed.exchanges, ["d".into(), "s".into()]);

    let mut place = place_with(&[("s", AUTO_DELETE), ("d", AUTO_DELETE)]);
    place.link("s", "d");
    place.topology.delete_exchange("s", false).unwrap();
    assert!(place.exists("d"));
}

#[test]
fn x_08_auto_delete_cascades_along_a_chain() {
    let chain = |middle| {
        let mut place = place_with(&[("a", AUTO_DELETE), ("m", middle), ("z", AUTO_DELETE)]);
        place.link("a", "m");
        place.link("m", "z");
        place.bind("q", "z", "").unwrap();
        place.remove_queue("q")
    };
    assert_eq!(chain(AUTO_DELETE), ["z", "m", "a"]);
    assert_eq!(chain(PLAIN), ["z"]);
}

#[test]
fn x_08_cycles_and_self_loops_go_once_unbound() {
    let mut place = place_with(&[("a", AUTO_DELETE), ("z", AUTO_DELETE)]);
    place.link("a", "z");
    place.link("z", "a");
    place.bind("q", "z", "").unwrap();
    assert!(place.remove_queue("q").is_empty());
    place.unlink("a", "z");
    assert!(!place.exists("a") && !place.exists("z"));

    let mut place = place_with(&[("x", AUTO_DELETE)]);
    place.link("x", "x");
    place.unlink("x", "x");
    assert!(!place.exists("x"));

    let mut place = place_with(&[("x", AUTO_DELETE)]);
    place.link("x", "x");
    let removed = place.topology.delete_exchange("x", false).unwrap();
    assert_eq!((removed.bindings, removed.exchanges), (1, vec!["x".into()]));
}

#[test]
fn x_08_a_cascade_of_any_length_needs_no_stack() {
    let mut place = place_with(&[]);
    let name = |i: usize| format!("x{i}");
    for i in 0..50_000 {
        place.declare_with(&name(i), "fanout", AUTO_DELETE, Table::EMPTY).unwrap();
        if i > 0 {
            place.link(&name(i), &name(i - 1));
        }
    }
    place.bind("q", "x0", "").unwrap();
    assert_eq!(place.route("x49999", ""), ["q"]);
    assert_eq!(place.remove_queue("q").len(), 50_000);
}

#[test]
fn a_queue_key_can_be_used_again() {
    let mut place = place_with(&[("x", PLAIN)]);
    let q = place.key("q").unwrap();
    place.bind("q", "x", "").unwrap();
    place.topology.remove_queue(q);
    assert!(place.route("", "q").is_empty());
    place.topology.add_queue("q", q, true);
    assert!(place.route("x", "").is_empty());
    assert_eq!(place.route("", "q"), ["q"]);
}

#[test]
fn the_generation_changes_with_what_can_change_a_route() {
    let mut place = place_with(&[("x", PLAIN)]);
    let mut last = place.topology.generation();
    let mut changed = |place: &Place| {
        let before = std::mem::replace(&mut last, place.topology.generation());
        before != last
    };
    place.declare("x", "fanout").unwrap();
    place.unbind("q", "x", "");
    assert!(!changed(&place));
    place.bind("q", "x", "").unwrap();
    assert!(changed(&place));
    place.bind("q", "x", "").unwrap();
    assert!(!changed(&place));
    place.unbind("q", "x", "");
    assert!(changed(&place));
    place.topology.delete_exchange("x", false).unwrap();
    assert!(changed(&place));
    place.remove_queue("q");
    assert!(changed(&place));
}
