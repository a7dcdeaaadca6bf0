//! How connections end, and how long TCP stays.

use std::time::Duration;

use leveret_protocol::Method;
use leveret_protocol::method::{basic, channel, connection};

use super::client::{Client, GUEST, Login, Received, close, close_ok, method, shared};
use crate::config::Config;

const SECOND_OPEN: &str = "CHANNEL_ERROR - second 'channel.open' seen";

const CLOSE_OK: Method<'_> = Method::ConnectionCloseOk(connection::CloseOk {});

/// A client whose connection the broker has just closed.
async fn closed_by_the_broker(heartbeat: u16) -> Client {
    let mut client = Client::open(&shared(Config::default()), &Login { heartbeat, ..GUEST }).await;
    client.open_channel(1).await;
    client.send(&method(1, &Method::ChannelOpen(channel::Open {}))).await;
    client.expect_close(504, SECOND_OPEN, (20, 10)).await;
    client
}

#[tokio::test(start_paused = true)]
async fn c_21_after_the_clients_close_tcp_is_left_for_the_client_to_end() {
    for (heartbeat, secs) in [(10, 10), (30, 30), (600, 30), (0, 30)] {
        let mut client = Client::open(&shared(Config::default()), &Login { heartbeat, ..GUEST }).await;
        client.send(&close()).await;
        client.expect(0, &CLOSE_OK).await;
        client.expect_end_at(secs).await;
    }
    let mut client = Client::open(&shared(Config::default()), &GUEST).await;
    client.send(&close()).await;
    client.expect(0, &CLOSE_OK).await;
    client.wait_until(7).await;
    assert_eq!(client.leave().await.as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn c_21_frames_after_the_clients_close_are_ignored() {
    let mut client = Client::open(&shared(Config::default()), &Login { heartbeat: 10, ..GUEST }).await;
    let mut bytes = close();
    let behind = method(1, &Method::ChannelOpen(channel::Open {}));
    bytes.extend(&behind);
    client.send(&bytes).await;
    client.expect(0, &CLOSE_OK).await;
    client.send(&behind).await;
    client.expect_end_at(10).await;
}

#[tokio::test(start_paused = true)]
async fn c_21_after_the_brokers_close_its_answer_is_waited_for() {
    for (heartbeat, secs) in [(10, 10), (600, 30), (0, 30)] {
        closed_by_the_broker(heartbeat).await.expect_end_at(secs).await;
    }
    let mut client = closed_by_the_broker(0).await;
    client.wait_until(2).await;
    client.send(&close_ok()).await;
    client.expect_end_at(2).await;
}

#[tokio::test(start_paused = true)]
async fn c_21_after_the_brokers_close_everything_but_close_and_close_ok_is_ignored() {
    let mut client = closed_by_the_broker(0).await;
    client.send(&method(2, &Method::ChannelOpen(channel::Open {}))).await;
    client.send(&method(1, &Method::BasicRecover(basic::Recover { requeue: true }))).await;
    client.wait_until(1).await;
    client.send(&close()).await;
    client.expect(0, &CLOSE_OK).await;
    client.wait_until(2).await;
    client.send(&close_ok()).await;
    client.expect_end_at(2).await;
}

#[tokio::test(start_paused = true)]
async fn c_21_a_close_that_came_with_the_error_is_answered() {
    let mut client = Client::open(&shared(Config::default()), &GUEST).await;
    client.open_channel(1).await;
    let mut bytes = method(1, &Method::ChannelOpen(channel::Open {}));
    bytes.extend(close());
    client.send(&bytes).await;
    client.expect_close(504, SECOND_OPEN, (20, 10)).await;
    client.expect(0, &CLOSE_OK).await;
}

#[tokio::test(start_paused = true)]
async fn c_21_close_ok_is_seen_behind_a_frame_that_had_come_in_part() {
    let mut client = Client::open(&shared(Config::default()), &GUEST).await;
    client.open_channel(1).await;
    let ignored = method(1, &Method::ChannelOpen(channel::Open {}));
    let mut bytes = ignored.clone();
    bytes.extend(&ignored[..5]);
    client.send(&bytes).await;
    client.expect_close(504, SECOND_OPEN, (20, 10)).await;
    client.send(&ignored[5..]).await;
    client.send(&close_ok()).await;
    client.expect_end_at(0).await;
}

#[tokio::test(start_paused = true)]
async fn c_23_after_an_unreadable_frame_tcp_ends_after_3_s_answered_or_not() {
    let bad_end = [8, 0, 0, 0, 0, 0, 0, 7].as_slice();
    let too_large = &[3, 0, 1, 0x7f, 0, 0, 0];
    let texts = [
        (bad_end, "FRAME_ERROR - type 8, all octets = <<>>: {invalid_frame_end_marker,7}"),
        (too_large, "FRAME_ERROR - type 3, all octets = <<>>: {frame_too_large,2130706432,131064}"),
    ];
    for (bytes, text) in texts {
        for answer in [close_ok(), close(), Vec::new()] {
            let mut client = Client::open(&shared(Config::default()), &GUEST).await;
            client.send(bytes).await;
            client.expect_close(501, text, (0, 0)).await;
            client.wait_until(1).await;
            client.send(&answer).await;
            client.expect_end_at(3).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn c_29_at_shutdown_clients_are_told_with_320() {
    let shared = shared(Config::default());
    let mut client = Client::open(&shared, &GUEST).await;
    client.open_channel(1).await;
    client.wait_until(5).await;
    shared.broker.close_connections("broker forced connection closure with reason 'shutdown'");
    let text = "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'";
    client.expect_close(320, text, (0, 0)).await;
    client.assert_time(Duration::from_secs(5));
    client.send(&close_ok()).await;
    client.expect_end_at(5).await;
    assert_eq!(shared.broker.connection_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_without_a_word_is_gone_at_once() {
    let shared = shared(Config::default());
    let mut client = Client::open(&shared, &GUEST).await;
    assert_eq!(shared.broker.connection_count(), 1);
    client.stop_writing().await;
    assert_eq!(client.receive().await, Received::End);
    assert_eq!(client.leave().await, Duration::ZERO);
    assert_eq!(shared.broker.connection_count(), 0);
}
