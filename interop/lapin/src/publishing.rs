use lapin::{BasicProperties, options::*, types::AMQPValue};

use crate::{Outcome, session::*};

fn plain() -> BasicProperties {
    BasicProperties::default()
}

pub async fn mandatory_return(session: Session) -> Outcome {
    let channel = &session.channel;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    let properties = plain().with_message_id("m-1".into());
    let confirmed = mandatory(
        channel,
        "amq.direct",
        "nowhere",
        properties.clone(),
        b"lost",
    )
    .await?;
    assert!(confirmed.is_ack());
    let lost = confirmed
        .take_message()
        .expect("an unroutable message is returned");
    assert_eq!(
        (lost.reply_code, lost.reply_text.as_str()),
        (312, "NO_ROUTE")
    );
    assert_eq!(
        (lost.exchange.as_str(), lost.routing_key.as_str()),
        ("amq.direct", "nowhere")
    );
    assert_eq!(
        (&lost.properties, body(&lost).as_str()),
        (&properties, "lost")
    );
    let own = queue(channel).await?;
    let confirmed = mandatory(channel, "", &own, plain(), b"found").await?;
    assert!(confirmed.is_ack() && confirmed.take_message().is_none());
    assert_eq!(drain(channel, &own).await?, ["found"]);
    Ok(session.close().await?)
}

pub async fn confirm(session: Session) -> Outcome {
    let channel = &session.channel;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    let own = queue(channel).await?;
    assert!(publish(channel, "", &own, plain(), b"sure").await?.is_ack());
    assert_eq!(ready(channel, &own).await?, (1, 0));
    Ok(session.close().await?)
}

pub async fn confirm_many(session: Session) -> Outcome {
    const MANY: u32 = 1000;
    let channel = &session.channel;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    let own = queue(channel).await?;
    let mut confirms = Vec::new();
    for number in 0..MANY {
        let options = BasicPublishOptions::default();
        let body = number.to_string();
        confirms.push(
            channel
                .basic_publish(
                    "".into(),
                    own.as_str().into(),
                    options,
                    body.as_bytes(),
                    plain(),
                )
                .await?,
        );
    }
    for confirm in confirms {
        assert!(confirm.await?.is_ack());
    }
    assert_eq!(ready(channel, &own).await?, (MANY, 0));
    assert_eq!(
        drain(channel, &own).await?,
        (0..MANY)
            .map(|number| number.to_string())
            .collect::<Vec<_>>()
    );
    Ok(session.close().await?)
}

pub async fn confirm_nack(session: Session) -> Outcome {
    let channel = &session.channel;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    let limits = table([
        ("x-max-length", AMQPValue::LongInt(1)),
        ("x-overflow", text("reject-publish")),
    ]);
    let full = queue_with(channel, limits).await?;
    assert!(
        publish(channel, "", &full, plain(), b"fits")
            .await?
            .is_ack()
    );
    assert!(
        publish(channel, "", &full, plain(), b"too many")
            .await?
            .is_nack()
    );
    assert_eq!(drain(channel, &full).await?, ["fits"]);
    Ok(session.close().await?)
}

pub async fn tx(session: Session) -> Outcome {
    let channel = &session.channel;
    let other = session.connection.create_channel().await?;
    let own = queue(channel).await?;
    channel.tx_select().await?;
    send(channel, &own, &["committed"]).await?;
    assert_eq!(ready(&other, &own).await?, (0, 0));
    channel.tx_commit().await?;
    assert_eq!(ready(&other, &own).await?, (1, 0));
    send(channel, &own, &["rolled back"]).await?;
    channel.tx_rollback().await?;
    channel.tx_commit().await?;
    assert_eq!(ready(&other, &own).await?, (1, 0));
    let message = get(channel, &own, false)
        .await?
        .expect("the committed message");
    channel
        .basic_ack(message.delivery_tag, BasicAckOptions::default())
        .await?;
    channel.tx_rollback().await?;
    channel
        .basic_nack(
            message.delivery_tag,
            BasicNackOptions {
                requeue: true,
                ..Default::default()
            },
        )
        .await?;
    channel.tx_commit().await?;
    assert_eq!(drain(&other, &own).await?, ["committed"]);
    Ok(session.close().await?)
}

pub async fn direct_reply_to(session: Session) -> Outcome {
    const REPLY_TO: &str = "amq.rabbitmq.reply-to";
    let (server, client) = (&session.channel, session.connection.create_channel().await?);
    let requests = queue(server).await?;
    let mut replies = consume(&client, REPLY_TO, "", true).await?;
    let asked = plain()
        .with_reply_to(REPLY_TO.into())
        .with_correlation_id("c-7".into());
    publish(&client, "", &requests, asked, b"6*7").await?;
    let request = next(&mut consume(server, &requests, "", true).await?)
        .await?
        .properties;
    let address = request.reply_to().clone().expect("an address to reply to");
    assert!(
        address.as_str().starts_with("amq.rabbitmq.reply-to."),
        "{address}"
    );
    let answer =
        plain().with_correlation_id(request.correlation_id().clone().expect("a correlation id"));
    publish(server, "", address.as_str(), answer, b"42").await?;
    let reply = next(&mut replies).await?;
    assert_eq!(
        (reply.properties.correlation_id().clone(), body(&reply)),
        (Some("c-7".into()), "42".into())
    );
    Ok(session.close().await?)
}
