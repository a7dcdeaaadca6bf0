//! Heartbeats in both directions (C-17).

use std::time::Duration;

use super::client::{Client, GUEST, Login, Received, shared};
use crate::config::Config;

const HEARTBEAT: [u8; 8] = [8, 0, 0, 0, 0, 0, 0, 0xCE];

const EVERY_10_S: Login = Login { heartbeat: 10, ..GUEST };

async fn expect_heartbeat_at(client: &mut Client, secs: u64) {
    assert_eq!(client.receive().await, Received::Heartbeat);
    client.assert_time(Duration::from_secs(secs));
}

#[tokio::test(start_paused = true)]
async fn c_17_the_first_comes_at_half_the_interval_and_then_one_each_half() {
    let mut client = Client::open(&shared(Config::default()), &EVERY_10_S).await;
    for secs in [5, 10, 15, 20, 25] {
        expect_heartbeat_at(&mut client, secs).await;
    }
}

#[tokio::test(start_paused = true)]
async fn c_17_whatever_is_sent_puts_the_next_off() {
    let mut client = Client::open(&shared(Config::default()), &EVERY_10_S).await;
    client.wait_until(4).await;
    client.open_channel(1).await;
    expect_heartbeat_at(&mut client, 9).await;
    client.wait_until(12).await;
    client.open_channel(2).await;
    expect_heartbeat_at(&mut client, 17).await;
}

#[tokio::test(start_paused = true)]
async fn c_17_a_mute_client_is_dropped_after_three_intervals_without_a_close() {
    let mut client = Client::open(&shared(Config::default()), &EVERY_10_S).await;
    for secs in [5, 10, 15, 20, 25] {
        expect_heartbeat_at(&mut client, secs).await;
    }
    client.expect_end_at(30).await;
}

#[tokio::test(start_paused = true)]
async fn c_17_any_traffic_keeps_a_client_alive() {
    let shared = shared(Config::default());
    let mut beating = Client::open(&shared, &EVERY_10_S).await;
    for secs in [29, 58, 87] {
        beating.wait_until(secs).await;
        beating.send(&HEARTBEAT).await;
    }
    beating.wait_until(116).await;
    // Even a part of a frame.
    beating.send(&HEARTBEAT[..3]).await;
    while beating.receive().await == Received::Heartbeat {}
    beating.assert_time(Duration::from_secs(146));
}

#[tokio::test(start_paused = true)]
async fn c_17_zero_means_none_in_either_direction() {
    let mut client = Client::open(&shared(Config::default()), &GUEST).await;
    client.wait_until(1_000_000).await;
    client.open_channel(1).await;
}

#[tokio::test(start_paused = true)]
async fn c_17_the_client_chooses_even_more_than_was_offered() {
    let mut client = Client::open(&shared(Config::default()), &Login { heartbeat: 600, ..GUEST }).await;
    expect_heartbeat_at(&mut client, 300).await;
}

#[tokio::test(start_paused = true)]
async fn c_17_a_heartbeat_with_payload_or_on_a_channel_is_an_error() {
    let shared = shared(Config::default());
    let mut client = Client::open(&shared, &GUEST).await;
    client.send(b"\x08\0\0\0\0\0\x03abc\xCE").await;
    client.expect_close(501, "FRAME_ERROR - type 8, all octets = <<\"abc\">>: unknown_frame", (0, 0)).await;
    let mut client = Client::open(&shared, &GUEST).await;
    client.send(b"\x08\0\x01\0\0\0\0\xCE").await;
    client.expect_close(505, "UNEXPECTED_FRAME - type 8, all octets = <<>>", (0, 0)).await;
}
