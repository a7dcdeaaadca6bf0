//! Consumers that stop reading and go on (S-16).

use super::client::{Client, GUEST, Received, publish, shared};
use crate::broker::OUTBOX_BYTES_MAX;
use crate::config::Config;

const MESSAGES: usize = 2_000;
const BODY: [u8; 1_000] = [1; 1_000];

#[tokio::test(start_paused = true)]
async fn s_16_what_waits_for_a_slow_reader_is_bounded_and_all_of_it_comes() {
    for pipe in [1_000, 64 * 1024, 300 * 1024, 500 * 1024, 1024 * 1024] {
        let shared = shared(Config::default());
        let mut publisher = Client::open(&shared, &GUEST).await;
        publisher.open_channel(1).await;
        publisher.declare(1, "q").await;
        let mut consumer = Client::connect_through(&shared, pipe);
        consumer.log_in(&GUEST).await;
        consumer.open_channel(1).await;
        consumer.consume(1, "q").await;
        for _ in 0..MESSAGES {
            publisher.send(&publish(1, "q", &BODY)).await;
        }
        publisher.wait_until(10).await;
        let ready = shared.broker.vhost("/").unwrap().queue("q").unwrap().counts().ready;
        let left = (MESSAGES - ready) * BODY.len();
        assert!(left <= pipe + 3 * OUTBOX_BYTES_MAX, "{left} bytes have left the queue");
        let mut bodies = 0;
        while bodies < MESSAGES {
            match consumer.receive().await {
                Received::Content(payload) => bodies += usize::from(payload == BODY),
                Received::Method(1, _) => {}
                other => panic!("{other:?} after {bodies} messages through {pipe} bytes"),
            }
        }
    }
}
