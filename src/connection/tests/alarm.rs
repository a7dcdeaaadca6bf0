//! The memory alarm and the connections that it stops (C-27).

use std::sync::Arc;
use std::time::Duration;

use leveret_protocol::Method;
use leveret_protocol::method::{basic, channel, connection, queue};

use super::client::{Client, GUEST, Login, Received, close, method, publish, shared};
use crate::config::Config;
use crate::connection::Shared;

const BLOCKED: Method<'_> = Method::ConnectionBlocked(connection::Blocked { reason: "low on memory" });
const UNBLOCKED: Method<'_> = Method::ConnectionUnblocked(connection::Unblocked {});

const TOLD: Login = Login { capabilities: &["connection.blocked"], ..GUEST };

/// The alarm is raised by ten messages of this size, and not by nine.
const BODY: [u8; 10_000] = [1; 10_000];

fn small() -> Arc<Shared> {
    shared(Config { memory_max_bytes: 100_000, ..Config::default() })
}

/// A client that has filled the memory with its publishes to `q`, and has not been stopped yet.
async fn filling(shared: &Arc<Shared>, login: &Login) -> Client {
    let mut client = Client::open(shared, login).await;
    client.open_channel(1).await;
    client.declare(1, "q").await;
    for _ in 0..10 {
        client.send(&publish(1, "q", &BODY)).await;
    }
    client.wait_until(1).await;
    assert!(shared.broker.memory().alarm());
    client
}

async fn purge(client: &mut Client) {
    client.send(&method(1, &Method::QueuePurge(queue::Purge { queue: "q", nowait: false }))).await;
    assert!(matches!(client.receive().await, Received::Method(1, _)));
}

/// Another client, which can do what it likes but publish.
async fn bystander(shared: &Arc<Shared>) -> Client {
    let mut client = Client::open(shared, &GUEST).await;
    client.open_channel(1).await;
    client
}

#[tokio::test(start_paused = true)]
async fn c_27_the_first_publish_after_the_alarm_blocks() {
    let shared = small();
    let mut client = filling(&shared, &TOLD).await;
    // No publish: nothing is said.
    client.open_channel(2).await;
    client.wait_until(5).await;
    client.send(&publish(1, "q", b"one")).await;
    client.expect(0, &BLOCKED).await;
    client.assert_time(Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn c_27_a_blocked_connection_is_not_read_and_unblocked_when_consumers_have_drained_the_queue() {
    let shared = small();
    let mut client = filling(&shared, &TOLD).await;
    client.send(&publish(1, "q", b"one")).await;
    client.expect(0, &BLOCKED).await;
    client.send(&method(2, &Method::ChannelOpen(channel::Open {}))).await;
    client.send(&publish(1, "q", b"two")).await;
    client.wait_until(10).await;
    let mut consumer = bystander(&shared).await;
    assert_eq!(shared.broker.vhost("/").unwrap().queue("q").unwrap().counts().ready, 11);
    consumer.consume(1, "q").await;
    client.expect(0, &UNBLOCKED).await;
    client.expect(2, &Method::ChannelOpenOk(channel::OpenOk::default())).await;
    client.assert_time(Duration::from_secs(10));
    assert!(!shared.broker.memory().alarm());
}

#[tokio::test(start_paused = true)]
async fn c_27_clients_without_the_capability_are_stopped_without_a_word() {
    let shared = small();
    let mut client = filling(&shared, &GUEST).await;
    client.send(&publish(1, "q", b"one")).await;
    client.send(&close()).await;
    client.wait_until(100).await;
    purge(&mut bystander(&shared).await).await;
    client.expect(0, &Method::ConnectionCloseOk(connection::CloseOk {})).await;
    client.assert_time(Duration::from_secs(100));
}

#[tokio::test(start_paused = true)]
async fn c_17_a_blocked_client_cannot_miss_its_heartbeats() {
    let shared = small();
    let mut client = filling(&shared, &Login { heartbeat: 10, ..TOLD }).await;
    client.send(&publish(1, "q", b"one")).await;
    client.expect(0, &BLOCKED).await;
    for secs in [6, 11, 16, 21, 26, 31, 36, 41] {
        assert_eq!(client.receive().await, Received::Heartbeat);
        client.assert_time(Duration::from_secs(secs));
    }
    purge(&mut bystander(&shared).await).await;
    client.expect(0, &UNBLOCKED).await;
    while client.receive().await == Received::Heartbeat {}
    client.assert_time(Duration::from_secs(41 + 30));
}

#[tokio::test(start_paused = true)]
async fn c_27_an_alarm_that_comes_back_before_a_connection_has_seen_it_clear_still_ends_for_it() {
    let shared = small();
    let mut client = filling(&shared, &TOLD).await;
    client.send(&publish(1, "q", b"one")).await;
    client.expect(0, &BLOCKED).await;
    // One after the other, and no connection runs in between.
    let queue = shared.broker.vhost("/").unwrap().queue("q").unwrap();
    let mut fx = crate::broker::Effects::default();
    queue.purge(&mut fx);
    shared.broker.memory().add(200_000, &mut fx);
    fx.apply();
    client.wait_until(5).await;
    shared.broker.memory().add(-200_000, &mut fx);
    fx.apply();
    client.expect(0, &UNBLOCKED).await;
    client.assert_time(Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn c_27_connections_that_do_not_publish_are_never_blocked() {
    let shared = small();
    let _publisher = filling(&shared, &TOLD).await;
    let mut other = Client::open(&shared, &TOLD).await;
    other.open_channel(1).await;
    other.declare(1, "another").await;
    let get = basic::Get { queue: "q", no_ack: false };
    other.send(&method(1, &Method::BasicGet(get))).await;
    assert!(matches!(other.receive().await, Received::Method(1, _)));
    assert!(matches!(other.receive().await, Received::Content(_)));
    other.wait_until(50).await;
    other.send(&method(1, &Method::ChannelClose(channel::Close::default()))).await;
    assert!(matches!(other.receive().await, Received::Content(_)));
    other.expect(1, &Method::ChannelCloseOk(channel::CloseOk {})).await;
}

#[tokio::test(start_paused = true)]
async fn c_27_even_the_smallest_limit_is_cleared_by_an_empty_broker() {
    let shared = shared(Config { memory_max_bytes: 1, ..Config::default() });
    let mut client = Client::open(&shared, &TOLD).await;
    client.open_channel(1).await;
    client.declare(1, "q").await;
    client.send(&publish(1, "q", b"one")).await;
    client.wait_until(1).await;
    client.send(&publish(1, "q", b"two")).await;
    client.expect(0, &BLOCKED).await;
    purge(&mut bystander(&shared).await).await;
    client.expect(0, &UNBLOCKED).await;
}
