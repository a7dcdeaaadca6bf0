use futures_lite::StreamExt;
use lapin::{
    BasicProperties, Channel, ExchangeKind,
    message::{BasicGetMessage, Delivery},
    options::*,
    types::{AMQPValue, FieldTable},
};

use crate::{
    Outcome,
    session::{get as fetch, *},
};

pub async fn prefetch(session: Session) -> Outcome {
    let channel = &session.channel;
    let own = queue(channel).await?;
    let wanted = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    send(channel, &own, &wanted).await?;
    channel.basic_qos(3, BasicQosOptions::default()).await?;
    let mut deliveries = consume(channel, &own, "", false).await?;
    let mut got = Vec::new();
    while got.len() < 10 {
        let mut tag = 0;
        for _ in 0..3.min(10 - got.len()) {
            let delivery = next(&mut deliveries).await?;
            tag = delivery.delivery_tag;
            got.push(body(&delivery));
        }
        assert_eq!(ready(channel, &own).await?, (10 - got.len() as u32, 1));
        channel
            .basic_ack(tag, BasicAckOptions { multiple: true })
            .await?;
    }
    assert_eq!(got, wanted);
    Ok(session.close().await?)
}

async fn see(
    channel: &Channel,
    queue: &str,
    wanted: (&str, bool),
) -> lapin::Result<BasicGetMessage> {
    let message = fetch(channel, queue, false).await?.expect("a message");
    assert_eq!(seen(&message), (wanted.0.to_string(), wanted.1));
    Ok(message)
}

pub async fn requeue(session: Session) -> Outcome {
    let channel = &session.channel;
    let own = queue(channel).await?;
    let nack = |requeue| BasicNackOptions {
        requeue,
        multiple: false,
    };
    send(channel, &own, &["again"]).await?;
    see(channel, &own, ("again", false))
        .await?
        .nack(nack(true))
        .await?;
    see(channel, &own, ("again", true))
        .await?
        .nack(nack(false))
        .await?;
    assert!(drain(channel, &own).await?.is_empty());
    send(channel, &own, &["again"]).await?;
    see(channel, &own, ("again", false))
        .await?
        .reject(BasicRejectOptions { requeue: true })
        .await?;
    see(channel, &own, ("again", true))
        .await?
        .reject(BasicRejectOptions { requeue: false })
        .await?;
    assert!(drain(channel, &own).await?.is_empty());
    send(channel, &own, &["first", "second"]).await?;
    see(channel, &own, ("first", false)).await?;
    see(channel, &own, ("second", false))
        .await?
        .nack(BasicNackOptions {
            requeue: true,
            multiple: true,
        })
        .await?;
    see(channel, &own, ("first", true)).await?;
    see(channel, &own, ("second", true)).await?;
    Ok(session.close().await?)
}

fn death(delivery: &Delivery) -> Option<(String, AMQPValue, AMQPValue, AMQPValue)> {
    let headers = delivery.properties.headers().as_ref()?;
    let AMQPValue::FieldArray(deaths) = headers.inner().get("x-death")? else {
        return None;
    };
    let AMQPValue::FieldTable(death) = deaths.as_slice().first()? else {
        return None;
    };
    let of = |key| death.inner().get(key).cloned();
    Some((body(delivery), of("queue")?, of("reason")?, of("count")?))
}

pub async fn dead_letter(session: Session) -> Outcome {
    let channel = &session.channel;
    let graveyard = exchange(channel, ExchangeKind::Fanout, FieldTable::default()).await?;
    let mut dead = consume(channel, &bound(channel, &graveyard, &[""]).await?, "", true).await?;
    let own = queue_with(
        channel,
        table([("x-dead-letter-exchange", text(&graveyard))]),
    )
    .await?;
    let died = |body: &str, reason| {
        Some((
            body.to_string(),
            text(&own),
            text(reason),
            AMQPValue::LongLongInt(1),
        ))
    };
    send(channel, &own, &["refused"]).await?;
    see(channel, &own, ("refused", false))
        .await?
        .reject(BasicRejectOptions { requeue: false })
        .await?;
    assert_eq!(death(&next(&mut dead).await?), died("refused", "rejected"));
    publish(
        channel,
        "",
        &own,
        BasicProperties::default().with_expiration("1".into()),
        b"old",
    )
    .await?;
    assert_eq!(death(&next(&mut dead).await?), died("old", "expired"));
    Ok(session.close().await?)
}

pub async fn get(session: Session) -> Outcome {
    let channel = &session.channel;
    let own = queue(channel).await?;
    assert!(fetch(channel, &own, false).await?.is_none());
    send(channel, &own, &["first", "second"]).await?;
    let first = fetch(channel, &own, true)
        .await?
        .expect("the first message");
    assert_eq!(
        (
            first.routing_key.as_str(),
            first.message_count,
            seen(&first)
        ),
        (own.as_str(), 1, ("first".into(), false))
    );
    assert_eq!(drain(channel, &own).await?, ["second"]);
    Ok(session.close().await?)
}

pub async fn cancel(session: Session) -> Outcome {
    let channel = &session.channel;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    let own = queue(channel).await?;
    send(channel, &own, &["seen"]).await?;
    let mut deliveries = consume(channel, &own, "mine", false).await?;
    next(&mut deliveries)
        .await?
        .ack(BasicAckOptions::default())
        .await?;
    assert_eq!(ready(channel, &own).await?, (0, 1));
    channel
        .basic_cancel("mine".into(), BasicCancelOptions::default())
        .await?;
    assert!(deliveries.next().await.is_none());
    send(channel, &own, &["kept"]).await?;
    assert_eq!(ready(channel, &own).await?, (1, 0));
    Ok(session.close().await?)
}

pub async fn cancel_notify(session: Session) -> Outcome {
    let channel = &session.channel;
    let own = queue(channel).await?;
    let mut deliveries = consume(channel, &own, "", false).await?;
    channel
        .queue_delete(own.as_str().into(), QueueDeleteOptions::default())
        .await?;
    assert!(deliveries.next().await.is_none());
    assert_eq!(ready(channel, &queue(channel).await?).await?, (0, 0));
    Ok(session.close().await?)
}
