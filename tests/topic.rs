//! Topic exchanges: words and wildcards.

use crate::support::*;

/// Whether `binding_key` matches each of the routing keys.
fn check(binding_key: &str, matching: &[&str], others: &[&str]) {
    let mut c = Wire::open();
    let x = c.exchange("topic");
    c.bound(&x, binding_key);
    c.call(confirm::Select::default());
    for (keys, routed) in [(matching, true), (others, false)] {
        for key in keys {
            let told = c.routes(&x, key, &BasicProperties::default());
            assert_eq!(told, routed, "{binding_key:?} and {key:?}");
        }
    }
}

#[test]
fn x_12_words_match_exactly() {
    check("a.b", &["a.b"], &["a", "a.b.c", "A.b", "a.B", "a..b", ".a.b", "a.b.", ""]);
    check("", &[""], &["a", ".", " "]);
}

#[test]
fn x_12_star_matches_one_word() {
    check("*", &["a", "*", "#"], &["", "a.b", "."]);
    check("a.*.c", &["a.b.c", "a..c"], &["a.c", "a.b.b.c", "a.b.C"]);
    check("*.*", &["a.b", ".", "a."], &["a", "a.b.c"]);
}

#[test]
fn x_12_hash_matches_zero_words_or_more() {
    check("#", &["", "a", "a.b", "..."], &[]);
    check("a.#", &["a", "a.b", "a.b.c", "a."], &["", "b.a"]);
    check("#.a", &["a", "b.a", ".a", "a.a"], &["", "a.b"]);
    check("a.#.b", &["a.b", "a.x.b", "a.x.y.b", "a.b.b"], &["a", "b", "a.x"]);
    check("#.*", &["a", "a.b"], &[""]);
    check("#.a.#", &["a", "x.a", "a.x", "x.a.y.z"], &["", "b.c"]);
}

#[test]
fn x_12_wildcards_are_whole_words() {
    check("a*", &["a*"], &["ab", "a"]);
    check("##", &["##"], &["", "a"]);
    check("a.b#", &["a.b#"], &["a.b", "a.b.c"]);
}

#[test]
fn x_12_at_most_two_hashes_are_allowed() {
    let mut c = Wire::open();
    let q = c.queue();
    let text = |key, count| format!("Topic binding key '{key}' uses {count} '#' wildcards, at most 2 are allowed");
    for (key, count) in [("#.#.#", 3), ("#.a.#.b.#.#", 4)] {
        c.refused(bind(&q, "amq.topic", key), 406, &text(key, count));
        c.call(unbind(&q, "amq.topic", key));
        c.refused(x_bind("amq.fanout", "amq.topic", key), 406, &text(key, count));
    }
    c.call(bind(&q, "amq.topic", "##.#.#"));
}
