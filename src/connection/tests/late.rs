//! What time does, under a clock that goes on only when everybody waits: deliveries held too long, messages that expire.

use std::sync::Arc;
use std::time::Duration;

use leveret_protocol::method::{basic, channel, queue, tx};
use leveret_protocol::{EncodedTable, FieldTable, FieldValue, Method};

use super::client::{Client, GUEST, Login, Received, method, publish, shared};
use crate::broker::compat::Compat;
use crate::config::Config;
use crate::connection::{Shared, keep_time};

const CAPABLE: Login = Login { capabilities: &["consumer_cancel_notify"], ..GUEST };

/// What a consumer has unless something else is said.
const HALF_AN_HOUR: Duration = Duration::from_secs(1800);

fn running(compat: Compat) -> Arc<Shared> {
    let shared = shared(Config { compat, ..Config::default() });
    tokio::spawn(keep_time(shared.clone()));
    shared
}

/// A client with a queue `q` that has these arguments.
async fn with_queue(shared: &Arc<Shared>, login: &Login, arguments: &[(&str, FieldValue)]) -> Client {
    let mut client = Client::open(shared, login).await;
    client.open_channel(1).await;
    let entries = arguments.iter().map(|(key, value)| (*key, value.clone()));
    let arguments = EncodedTable::from(&entries.collect::<FieldTable>());
    let declare = queue::Declare { queue: "q", durable: true, arguments: arguments.as_table(), ..Default::default() };
    client.send(&method(1, &Method::QueueDeclare(declare))).await;
    assert!(matches!(client.receive().await, Received::Method(1, _)));
    client
}

/// The same with an unacked delivery.
async fn holding(shared: &Arc<Shared>, login: &Login, queue_type: &str) -> Client {
    let mut client = with_queue(shared, login, &[("x-queue-type", queue_type.into())]).await;
    let consume = basic::Consume { queue: "q", consumer_tag: "t", ..Default::default() };
    client.send(&method(1, &Method::BasicConsume(consume))).await;
    client.expect(1, &Method::BasicConsumeOk(basic::ConsumeOk { consumer_tag: "t" })).await;
    client.send(&publish(1, "q", b"1")).await;
    assert!(matches!(client.receive().await, Received::Method(1, _)));
    assert!(matches!(client.receive().await, Received::Content(_)));
    assert!(matches!(client.receive().await, Received::Content(_)));
    client
}

impl Client {
    /// Publishes to `q` and gets the delivery, or that of what is ready.
    async fn get_deliveries(&mut self, count: usize, published: bool) {
        for _ in 0..count {
            if published {
                self.send(&publish(1, "q", b"1")).await;
            }
            assert!(matches!(self.receive().await, Received::Method(1, _)));
            assert!(matches!(self.receive().await, Received::Content(_)));
            assert!(matches!(self.receive().await, Received::Content(_)));
        }
    }

    async fn ack_each(&mut self, tags: impl Iterator<Item = usize>) {
        for delivery_tag in tags {
            self.send(&method(1, &Method::BasicAck(basic::Ack { delivery_tag: delivery_tag as u64, multiple: false })))
                .await;
        }
    }
}

async fn expect_channel_close(client: &mut Client, value: &str) {
    let reply_text = format!(
        "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value used: {value} ms. This timeout value can \
         be configured, see consumers doc guide to learn more"
    );
    let close = channel::Close { reply_code: 406, reply_text: &reply_text, class_id: 0, method_id: 0 };
    client.expect(1, &Method::ChannelClose(close)).await;
}

#[tokio::test(start_paused = true)]
async fn q_38_a_consumer_of_a_quorum_queue_has_half_an_hour() {
    let shared = running(Compat::Lenient);
    let mut client = holding(&shared, &CAPABLE, "quorum").await;
    client.expect(1, &Method::BasicCancel(basic::Cancel { consumer_tag: "t", nowait: true })).await;
    client.assert_time(HALF_AN_HOUR);
    client.wait_until(1801).await;
    assert_eq!(shared.broker.vhost("/").unwrap().queue("q").unwrap().counts().ready, 1);
    let shared = running(Compat::Lenient);
    let mut client = holding(&shared, &GUEST, "quorum").await;
    expect_channel_close(&mut client, "-1").await;
    client.assert_time(HALF_AN_HOUR);
}

/// As many that each look through all others would take a minute.
const VERY_MANY: usize = 100_000;

#[tokio::test(start_paused = true)]
async fn q_38_very_many_late_deliveries_are_settled_one_by_one() {
    let shared = running(Compat::Lenient);
    let mut client = holding(&shared, &CAPABLE, "quorum").await;
    client.get_deliveries(VERY_MANY - 1, true).await;
    client.expect(1, &Method::BasicCancel(basic::Cancel { consumer_tag: "t", nowait: true })).await;
    let consume = basic::Consume { queue: "q", consumer_tag: "u", ..Default::default() };
    client.send(&method(1, &Method::BasicConsume(consume))).await;
    client.expect(1, &Method::BasicConsumeOk(basic::ConsumeOk { consumer_tag: "u" })).await;
    client.get_deliveries(VERY_MANY, false).await;
    client.expect(1, &Method::BasicCancel(basic::Cancel { consumer_tag: "u", nowait: true })).await;
    let counts = || shared.broker.vhost("/").unwrap().queue("q").unwrap().counts();
    client.ack_each(VERY_MANY + 1..2 * VERY_MANY).await;
    client.wait_until(3601).await;
    assert_eq!(counts().ready, VERY_MANY);
    client.ack_each(std::iter::once(2 * VERY_MANY)).await;
    client.get_deliveries(VERY_MANY, false).await;
    assert_eq!(counts().unacked, VERY_MANY);
}

#[tokio::test(start_paused = true)]
async fn p_14_very_many_deliveries_are_late_though_a_transaction_settles_them() {
    let shared = running(Compat::Lenient);
    let mut client = holding(&shared, &CAPABLE, "quorum").await;
    client.get_deliveries(VERY_MANY - 1, true).await;
    client.send(&method(1, &Method::TxSelect(tx::Select {}))).await;
    client.expect(1, &Method::TxSelectOk(tx::SelectOk {})).await;
    client.ack_each((1..=VERY_MANY).rev()).await;
    client.expect(1, &Method::BasicCancel(basic::Cancel { consumer_tag: "t", nowait: true })).await;
    client.wait_until(1801).await;
    assert_eq!(shared.broker.vhost("/").unwrap().queue("q").unwrap().counts().ready, VERY_MANY);
    client.send(&method(1, &Method::TxCommit(tx::Commit {}))).await;
    client.expect(1, &Method::TxCommitOk(tx::CommitOk {})).await;
    client.get_deliveries(VERY_MANY, false).await;
}

#[tokio::test(start_paused = true)]
async fn q_38_of_a_classic_queue_as_long_as_it_likes_but_before_4_3() {
    let shared = running(Compat::Lenient);
    let client = holding(&shared, &CAPABLE, "classic").await;
    client.wait_until(9_000).await;
    assert_eq!(shared.broker.vhost("/").unwrap().queue("q").unwrap().counts().unacked, 1);
    for compat in [Compat::V4_2, Compat::V3_13] {
        let shared = running(compat);
        let mut client = holding(&shared, &CAPABLE, "classic").await;
        expect_channel_close(&mut client, "1800000").await;
        client.assert_time(HALF_AN_HOUR);
    }
}

#[tokio::test(start_paused = true)]
async fn q_21_messages_expire_to_the_millisecond() {
    let shared = running(Compat::Lenient);
    let mut client = with_queue(&shared, &GUEST, &[("x-message-ttl", 600_000.into())]).await;
    client.send(&publish(1, "q", b"1")).await;
    let ready = || shared.broker.vhost("/").unwrap().queue("q").unwrap().counts().ready;
    tokio::time::sleep(Duration::from_millis(599_990)).await;
    assert_eq!(ready(), 1);
    tokio::time::sleep(Duration::from_millis(12)).await;
    assert_eq!(ready(), 0);
}

#[tokio::test(start_paused = true)]
async fn q_20_an_unused_queue_goes_on_time() {
    let shared = running(Compat::Lenient);
    let client = with_queue(&shared, &GUEST, &[("x-expires", 60_000.into())]).await;
    let is_there = || shared.broker.vhost("/").unwrap().queue("q").is_some();
    client.wait_until(59).await;
    assert!(is_there());
    client.wait_until(61).await;
    assert!(!is_there());
}
