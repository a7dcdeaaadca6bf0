//! The scenarios of restarts: `before` leaves durable things and persistent messages behind, `after` looks for them in the broker that
//! was started again.

use lapin::{BasicProperties, Channel, ExchangeKind, options::*, types::FieldTable};

use crate::{Outcome, session::*};

const QUEUE: &str = "interop.lapin.restart";
const EXCHANGE: &str = "interop.lapin.restart.orders";
const MESSAGES: u32 = 100;

pub async fn before(session: Session) -> Outcome {
    let channel = &session.channel;
    declare(channel).await?;
    bind(channel, QUEUE, EXCHANGE, "order.*", FieldTable::default()).await?;
    for n in 0..MESSAGES {
        order(channel, &n.to_string()).await?;
    }
    channel.basic_qos(10, BasicQosOptions::default()).await?;
    let mut consumer = consume(channel, QUEUE, "t", false).await?;
    for n in 0..10 {
        let delivery = next(&mut consumer).await?;
        if n < 5 {
            delivery.acker.ack(BasicAckOptions::default()).await?;
        }
    }
    // Confirmed behind the acks, so these are on disk too.
    order(channel, "last").await
}

pub async fn after(session: Session) -> Outcome {
    let channel = &session.channel;
    declare(channel).await?;
    assert_eq!(ready(channel, QUEUE).await?, (MESSAGES - 4, 0));
    let mut all = Vec::new();
    while let Some(message) = get(channel, QUEUE, true).await? {
        all.push(seen(&message));
    }
    let bodies: Vec<_> = all.iter().map(|(body, _)| body.clone()).collect();
    let expected = (5..MESSAGES).map(|n| n.to_string());
    assert_eq!(bodies, expected.chain(["last".into()]).collect::<Vec<_>>());
    assert!(all[..5].iter().all(|(_, redelivered)| *redelivered));
    order(channel, "the binding is there").await
}

async fn declare(channel: &Channel) -> lapin::Result<()> {
    let durable = ExchangeDeclareOptions {
        durable: true,
        ..Default::default()
    };
    channel
        .exchange_declare(EXCHANGE.into(), ExchangeKind::Topic, durable, FieldTable::default())
        .await?;
    channel
        .queue_declare(
            QUEUE.into(),
            QueueDeclareOptions::durable(),
            FieldTable::default(),
        )
        .await?;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await
}

async fn order(channel: &Channel, body: &str) -> Outcome {
    let persistent = BasicProperties::default().with_delivery_mode(2);
    let confirmed = mandatory(channel, EXCHANGE, "order.new", persistent, body.as_bytes()).await?;
    assert!(confirmed.is_ack() && confirmed.take_message().is_none());
    Ok(())
}
