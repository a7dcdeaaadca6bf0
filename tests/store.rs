//! `leveret store`, and brokers on directories that are damaged.

use crate::restart::{drain, durable, persistent, publish_all};
use crate::support::*;

/// Two queues with messages, the broker stopped in order: everything is in segments.
fn stopped() -> Kept {
    let kept = Kept::new();
    let broker = kept.start();
    let mut c = broker.open();
    for queue in ["one", "two"] {
        c.call(durable(queue));
        publish_all(&mut c, queue, &[&format!("first of {queue}"), &format!("second of {queue}")]);
    }
    assert!(broker.stop().success());
    kept
}

/// The same after `kill -9`: everything is in the log, each message in a group of its own.
fn killed() -> Kept {
    let kept = Kept::new();
    let broker = kept.start();
    let mut c = broker.open();
    c.call(durable("one"));
    for body in ["first", "second", "third"] {
        publish_all(&mut c, "one", &[body]);
    }
    broker.kill();
    kept
}

fn segment_with(kept: &Kept, text: &str) -> std::path::PathBuf {
    let dirs = kept.files("queues");
    let files = dirs.iter().flat_map(|dir| kept.files(dir.to_str().unwrap()));
    let has = |file: &std::path::PathBuf| {
        std::fs::read(file).unwrap().windows(text.len()).any(|bytes| bytes == text.as_bytes())
    };
    files.into_iter().find(has).expect("a segment with the text")
}

#[test]
fn check_says_what_there_is() {
    let kept = stopped();
    let (ok, said) = kept.store("check");
    assert!(ok, "{said}");
    assert!(said.contains("queue 'one' in vhost '/': 2 messages of 25 bytes"), "{said}");
    assert_eq!(drain(&mut kept.start().open(), "two"), ["first of two", "second of two"]);
    let kept = killed();
    let (ok, said) = kept.store("check");
    assert!(ok && said.contains("queue 'one' in vhost '/': 3 messages of 16 bytes, 3 in the log"), "{said}");
}

#[test]
fn check_and_repair_refuse_a_directory_in_use() {
    let kept = Kept::new();
    let broker = kept.start();
    for action in ["check", "repair"] {
        let (ok, said) = kept.store(action);
        assert!(!ok && said.contains(&broker.id().to_string()), "{said}");
    }
}

#[test]
fn a_damaged_segment_closes_its_queue_alone_until_it_is_repaired() {
    let kept = stopped();
    kept.flip(&segment_with(&kept, "second of one"), "second of one");
    let broker = kept.start();
    let mut c = broker.open();
    assert_eq!(drain(&mut c, "two"), ["first of two", "second of two"]);
    c.send(1, get("one"));
    assert_ne!(c.frame().name(), "basic.get-ok");
    let mut c = broker.open();
    c.refused(passive("one"), 404, "queue 'one' in vhost '/' has crashed and failed to restart");
    let mut c = broker.open();
    publish_all(&mut c, "two", &["third of two"]);
    broker.says("is damaged at offset");
    broker.stop();

    let (ok, said) = kept.store("check");
    assert!(!ok && said.contains("queue 'one' in vhost '/'") && said.contains("a checksum does not match"), "{said}");
    let (ok, said) = kept.store("repair");
    assert!(ok && said.contains("1 messages are lost"), "{said}");
    assert!(kept.store("check").0);
    let broker = kept.start();
    let mut c = broker.open();
    assert_eq!(drain(&mut c, "one"), ["first of one"]);
    assert_eq!(drain(&mut c, "two"), ["third of two"]);
}

#[test]
fn a_log_damaged_in_the_middle_refuses_the_start_and_can_be_repaired() {
    let kept = killed();
    kept.flip(&kept.files("log")[0], "second");
    let (status, said) = kept.try_start(&[]).err().expect("a refusal");
    assert!(!status.success());
    for part in ["is damaged at offset", ".log", "leveret store repair"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!kept.store("check").0);
    let (ok, said) = kept.store("repair");
    assert!(ok && said.contains("not readable; what became durable there is lost"), "{said}");
    assert_eq!(drain(&mut kept.start().open(), "one"), ["first", "third"]);
}

#[test]
fn what_was_settled_in_a_lost_group_comes_back_and_repair_says_so() {
    let kept = Kept::new();
    let broker = kept.start();
    let mut c = broker.open();
    c.call(durable("one"));
    publish_all(&mut c, "one", &["settled"]);
    let mut t = broker.open();
    t.call(tx::Select {});
    t.send(1, get("one"));
    let tag = t.deliver().delivery_tag;
    t.send(1, ack(tag));
    t.publish_as(1, publish("", "one"), &persistent(), b"in the same group");
    t.call(tx::Commit {});
    publish_all(&mut c, "one", &["later"]);
    broker.kill();
    kept.flip(&kept.files("log")[0], "in the same group");
    let (ok, said) = kept.store("repair");
    assert!(ok && said.contains("what was settled there comes back"), "{said}");
    assert_eq!(drain(&mut kept.start().open(), "one"), ["settled", "later"]);
}

#[test]
fn a_torn_end_of_the_log_is_cut_and_said() {
    let kept = killed();
    kept.flip(&kept.files("log")[0], "third");
    let broker = kept.start();
    broker.says("torn by a crash");
    assert_eq!(drain(&mut broker.open(), "one"), ["first", "second"]);
}

#[test]
fn one_file_of_the_checkpoint_may_be_lost_or_damaged() {
    for file in ["checkpoint", "checkpoint.copy"] {
        let kept = stopped();
        kept.flip(&kept.path().join(file), "one");
        let (ok, said) = kept.store("check");
        assert!(!ok && said.contains("nothing is lost"), "{said}");
        let (ok, said) = kept.store("repair");
        assert!(ok && said.contains("repaired"), "{said}");
        assert!(kept.store("check").0);
        std::fs::remove_file(kept.path().join(file)).unwrap();
        let broker = kept.start();
        if file == "checkpoint" {
            broker.says("made again from its copy");
        }
        assert!(kept.path().join(file).exists());
        let mut c = broker.open();
        assert_eq!(drain(&mut c, "one"), ["first of one", "second of one"]);
        assert_eq!(drain(&mut c, "two"), ["first of two", "second of two"]);
    }
}

#[test]
fn without_a_checkpoint_the_start_is_refused_and_one_is_made_again() {
    let kept = stopped();
    std::fs::remove_file(kept.path().join("checkpoint")).unwrap();
    std::fs::remove_file(kept.path().join("checkpoint.copy")).unwrap();
    let (_, said) = kept.try_start(&[]).err().expect("a refusal");
    assert!(said.contains("'checkpoint' is missing"), "{said}");
    let (ok, said) = kept.store("repair");
    assert!(ok && said.contains("without a definition"), "{said}");
    let broker = kept.start();
    let mut c = broker.open();
    let number = said.split("number ").nth(1).and_then(|rest| rest.split(':').next()).unwrap();
    assert_eq!(c.counts(&format!("recovered-{number}")).0, 2);
}

#[test]
fn a_newer_format_is_refused() {
    let kept = stopped();
    std::fs::write(kept.path().join("format"), "2\n").unwrap();
    let (_, said) = kept.try_start(&[]).err().expect("a refusal");
    assert!(said.contains("has format 2, and this version reads formats up to 1"), "{said}");
    assert!(!kept.store("repair").0);
}

/// What a directory of a released version has, of which `tests/fixtures` keeps copies: a queue in segments, and more in the log.
fn fixture(kept: &Kept) {
    let broker = kept.start();
    let mut c = broker.open();
    c.call(exchange::Declare { exchange: "orders", kind: "topic", durable: true, ..Default::default() });
    c.call(durable("kept"));
    c.call(queue::Bind { queue: "kept", exchange: "orders", routing_key: "new.#", ..Default::default() });
    publish_all(&mut c, "kept", &["acked", "one", "two"]);
    c.send(1, basic::Get { no_ack: true, ..get("kept") });
    c.deliveries(1);
    assert!(broker.stop().success());
    let broker = kept.start();
    let mut c = broker.open();
    c.call(durable("later"));
    publish_all(&mut c, "kept", &["three"]);
    publish_all(&mut c, "later", &["four"]);
    broker.kill();
}

/// Run with `LEVERET_WRITE_FIXTURE=tests/fixtures/data-vN` when a version with a new format is released.
#[test]
fn data_directories_of_released_versions_are_read() {
    if let Ok(to) = std::env::var("LEVERET_WRITE_FIXTURE") {
        let kept = Kept::new();
        fixture(&kept);
        copy(&kept.path(), to.as_ref(), true);
    }
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let versions = std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name());
    for version in versions.map(|name| name.into_string().unwrap()) {
        let kept = Kept::new();
        copy(&root.join(&version), &kept.path(), false);
        let (ok, said) = kept.store("check");
        assert!(ok, "{version}: {said}");
        let broker = kept.start();
        let mut c = broker.open();
        c.publish("orders", "new.order", "five");
        c.call(passive("kept"));
        assert_eq!(drain(&mut c, "kept"), ["one", "two", "three", "five"], "{version}");
        assert_eq!(drain(&mut c, "later"), ["four"], "{version}");
    }
}
