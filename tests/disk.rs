//! A disk that is full, and one that refuses.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use leveret_protocol::frame::kind;

use crate::restart::{drain, durable, persistent, publish_all};
use crate::support::*;

/// A directory with `one` in queue `q`, and nothing in the log.
fn with_one_message() -> Kept {
    let kept = Kept::new();
    let broker = kept.start();
    let mut c = broker.open();
    c.call(durable("q"));
    publish_all(&mut c, "q", &["one"]);
    assert!(broker.stop().success());
    kept
}

/// The next files of the log are `/dev/full`, so that the system says of each write that the disk is full.
struct Full(Vec<PathBuf>);

impl Full {
    fn disk(kept: &Kept) -> Self {
        let next = (1..=9).map(|generation| kept.path().join(format!("log/{generation:016x}.log")));
        Self(next.inspect(|file| symlink("/dev/full", file).unwrap()).collect())
    }

    fn has_space(self) {
        self.0.iter().for_each(|file| std::fs::remove_file(file).unwrap());
    }
}

#[test]
fn c_27_a_full_disk_blocks_publishers_until_it_has_space() {
    let kept = with_one_message();
    let broker = kept.start();
    let full = Full::disk(&kept);
    let mut c = broker.open();
    c.call(confirm::Select::default());
    c.publish_as(1, publish("", "q"), &persistent(), b"two");
    broker.says("nearly full");
    c.publish_as(1, publish("", "q"), &persistent(), b"three");
    let blocked = c.expect(0, "connection.blocked");
    assert_eq!(blocked.method(), connection::Blocked { reason: "low on disk" }.into());

    // Consumers are served.
    let mut consumer = broker.open();
    consumer.call(qos(1));
    consumer.call(consume("q", "t"));
    assert_eq!(consumer.deliver().body, b"one");

    full.has_space();
    let (mut confirmed, mut unblocked) = (0, false);
    while confirmed < 2 || !unblocked {
        let frame = c.frame();
        match frame.name() {
            "connection.unblocked" => unblocked = true,
            _ => confirmed = frame.confirm().0,
        }
    }
    broker.kill();
    let broker = kept.start();
    assert_eq!(drain(&mut broker.open(), "q").len(), 3);
}

#[test]
fn c_27_too_little_free_space_blocks_publishers() {
    let kept = with_one_message();
    let broker = kept.start_with(&["--disk-free-limit", &u64::MAX.to_string()]);
    broker.says("nearly full");
    let mut c = broker.open();
    c.publish_as(1, publish("", "q"), &persistent(), b"two");
    let blocked = c.expect(0, "connection.blocked");
    assert_eq!(blocked.method(), connection::Blocked { reason: "low on disk" }.into());
    assert_eq!(drain(&mut broker.open(), "q")[0], "one");
}

/// Any other refusal: nothing is confirmed any more and the broker ends, with all that it has confirmed.
#[test]
fn a_disk_that_refuses_ends_the_broker_with_an_error() {
    let kept = with_one_message();
    let broker = kept.start_with_short_files(2 * 4096);
    let mut c = broker.open();
    c.call(confirm::Select::default());
    let body = "x".repeat(100_000);
    let mut confirmed = 0;
    loop {
        c.publish_as(1, publish("", "q"), &persistent(), body.as_bytes());
        match c.next_before_the_end() {
            Some(frame) if frame.name() == "basic.ack" => confirmed = frame.confirm().0,
            Some(other) => assert_eq!(other.name(), "connection.close"),
            None => break,
        }
    }
    let (status, said) = broker.ends();
    assert!(!status.success() && said.contains("cannot write 'log/"), "{status}: {said}");
    assert!(confirmed > 0, "{said}");
    let found = drain(&mut kept.start().open(), "q").len() as u64;
    assert!(found > confirmed && found <= confirmed + 2, "{found} of {confirmed} and one from before");
}

#[test]
fn a_last_checkpoint_that_is_refused_is_an_error_and_nothing_is_lost() {
    let kept = with_one_message();
    let broker = kept.start();
    publish_all(&mut broker.open(), "q", &["two"]);
    symlink("/dev/full", kept.path().join("checkpoint.new")).unwrap();
    let (status, said) = broker.terminate();
    let last = said.lines().last().unwrap_or_default();
    assert!(
        !status.success() && last.starts_with("leveret: the last checkpoint cannot be written: "),
        "{status}: {said}"
    );
    assert!(last.ends_with("nothing that was confirmed is lost, and the next start reads it from the log"), "{said}");
    assert!(!said.contains("the store has failed"), "{said}");
    let _ = std::fs::remove_file(kept.path().join("checkpoint.new"));
    let broker = kept.start();
    assert_eq!(drain(&mut broker.open(), "q"), ["one", "two"]);
    assert!(broker.stop().success());
}

/// What is not confirmed by the end is lost, and that is an error too.
#[test]
fn a_log_that_cannot_be_written_to_its_end_is_an_error() {
    let kept = with_one_message();
    let broker = kept.start();
    let _full = Full::disk(&kept);
    let mut c = broker.open();
    c.call(confirm::Select::default());
    c.publish_as(1, publish("", "q"), &persistent(), b"two");
    broker.says("nearly full");
    let (status, said) = broker.terminate();
    let last = said.lines().last().unwrap_or_default();
    assert!(!status.success() && last.starts_with("leveret: the store failed"), "{status}: {said}");
}

/// What waits for the disk holds up its own channel, and after a second nothing else of its connection.
#[test]
fn c_27_a_declare_that_waits_for_space_holds_up_its_channel_alone() {
    let kept = with_one_message();
    let broker = kept.start();
    let full = Full::disk(&kept);
    let mut c = broker.open();
    c.open_channel(2);
    c.call_on(2, queue::Declare { queue: "transient", ..Default::default() });
    for body in ["1", "2", "3", "4"] {
        c.publish_as(2, publish("", "transient"), &BasicProperties::default(), body.as_bytes());
    }
    c.call_on(2, qos(1));
    c.call_on(2, consume("transient", "t"));
    assert_eq!(c.deliver().body, b"1");
    c.send(1, durable("r"));
    c.send(1, queue::Declare { queue: "r", passive: true, ..Default::default() });
    c.send(1, queue::Declare { queue: "missing", passive: true, ..Default::default() });
    for (tag, body) in [(1, b"2"), (2, b"3"), (3, b"4")] {
        c.send(2, ack(tag));
        assert_eq!(c.deliver().body, body);
    }
    assert!(c.sync_on(2).is_empty());
    full.has_space();
    for _ in 0..2 {
        let answer = c.expect(1, "queue.declare-ok");
        let Method::QueueDeclareOk(ok) = answer.method() else { unreachable!("expected") };
        assert_eq!(ok.queue, "r");
    }
    c.expect(1, "channel.close");
}

/// Deliveries are logged too, but no answer rests on that.
#[test]
fn c_27_who_changes_nothing_does_not_wait_for_space() {
    let kept = with_one_message();
    let broker = kept.start();
    let _full = Full::disk(&kept);
    let mut c = broker.open();
    for method in
        [Method::from(consume("q", "t")), queue::Declare { queue: "q", passive: true, ..Default::default() }.into()]
    {
        c.send(1, method);
    }
    c.expect(1, "basic.consume-ok");
    // The message comes from disk, sooner or later.
    let mut all = [c.frame().name(), c.frame().name(), c.frame().name(), c.frame().name()];
    all.sort_unstable();
    assert_eq!(all, ["basic.deliver", "body", "header", "queue.declare-ok"]);
    c.call(channel_close());
    c.open_channel(1);
    c.call(queue::Declare { queue: "transient", ..Default::default() });
    c.call(confirm::Select::default());
    c.publish_as(1, publish("", "transient"), &BasicProperties::default(), b"1");
    c.expect(1, "basic.ack");
}

#[test]
fn c_17_heartbeats_go_on_while_a_declare_waits_for_space() {
    let kept = with_one_message();
    let broker = kept.start();
    let _full = Full::disk(&kept);
    let mut c = broker.open_as(&Login { heartbeat: 1, ..Login::default() });
    c.send(1, durable("r"));
    // Longer than a client without a sign of life is kept.
    for _ in 0..10 {
        assert_eq!(c.frame().name(), "heartbeat");
        c.raw_frame(kind::HEARTBEAT, 0, &[]);
    }
    // And no longer than that without one.
    while let Some(frame) = c.next_before_the_end() {
        assert_eq!(frame.name(), "heartbeat");
    }
}

#[test]
fn c_21_a_connection_can_be_closed_while_it_waits_for_space() {
    let kept = with_one_message();
    let broker = kept.start();
    let _full = Full::disk(&kept);
    let mut c = broker.open();
    c.call(queue::Declare { queue: "mine", exclusive: true, ..Default::default() });
    c.call(consume("q", "t"));
    assert_eq!(c.deliver().body, b"one");
    c.send(1, durable("r"));
    c.call_on(0, connection::Close::default());
    // What it held is given back, of one that only ends TCP too.
    let mut c = broker.open();
    c.call(consume("q", "t"));
    assert_eq!(c.deliver().body, b"one");
    c.send(1, durable("s"));
    drop(c);
    let mut c = broker.open();
    c.call(consume("q", "t"));
    assert_eq!(c.deliver().body, b"one");
    assert!(!broker.stop().success());
}

/// The log's first file, segments and checkpoints are opened when they are needed.
#[test]
fn clients_leave_the_store_the_files_that_it_needs() {
    let kept = Kept::new();
    let broker = kept.start_limited("ulimit -n 80");
    let mut c = broker.open();
    let crowd: Vec<_> = (0..100).map(|_| broker.connect()).collect();
    broker.says("too many sockets");
    c.call(durable("q"));
    publish_all(&mut c, "q", &["one"]);
    drop(crowd);
    let (status, said) = broker.terminate();
    assert!(status.success() && !said.contains("cannot accept"), "{status}: {said}");
    assert_eq!(drain(&mut kept.start().open(), "q"), ["one"]);
}
