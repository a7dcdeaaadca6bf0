use futures_lite::StreamExt;
use lapin::{BasicProperties, Channel, Connection, Error, Event, options::*, types::FieldTable};

use crate::{Outcome, session::*};

/// The connection survived the close of one of its channels.
async fn goes_on(connection: &Connection) -> Outcome {
    let channel = connection.create_channel().await?;
    let own = queue(&channel).await?;
    send(&channel, &own, &["after"]).await?;
    assert_eq!(drain(&channel, &own).await?, ["after"]);
    Ok(channel.close(200, "bye".into()).await?)
}

async fn declare(
    channel: &Channel,
    queue: &str,
    options: QueueDeclareOptions,
) -> Result<(), Error> {
    channel
        .queue_declare(queue.into(), options, FieldTable::default())
        .await
        .map(drop)
}

/// The error that the connection reports next.
async fn reported(events: &mut (impl StreamExt<Item = Event> + Unpin)) -> (u16, String) {
    loop {
        if let Event::Error(error) = events
            .next()
            .await
            .expect("the connection reports its errors")
        {
            return reason(&error);
        }
    }
}

pub async fn error_403(session: Session) -> Outcome {
    let reserved = format!("amq.{}", name("queue"));
    let refused = declare(&session.channel, &reserved, QueueDeclareOptions::default())
        .await
        .unwrap_err();
    let text = format!("ACCESS_REFUSED - queue name '{reserved}' contains reserved prefix 'amq.*'");
    assert_eq!(reason(&refused), (403, text));
    goes_on(&session.connection).await?;
    Ok(session.close().await?)
}

pub async fn error_404(session: Session) -> Outcome {
    let missing = name("missing");
    let refused = declare(
        &session.channel,
        &missing,
        QueueDeclareOptions::default().passive(),
    )
    .await
    .unwrap_err();
    assert_eq!(
        reason(&refused),
        (
            404,
            format!("NOT_FOUND - no queue '{missing}' in vhost '/'")
        )
    );
    goes_on(&session.connection).await?;
    let channel = session.connection.create_channel().await?;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    let refused = publish(&channel, &missing, "", BasicProperties::default(), b"lost")
        .await
        .unwrap_err();
    assert_eq!(
        reason(&refused),
        (
            404,
            format!("NOT_FOUND - no exchange '{missing}' in vhost '/'")
        )
    );
    goes_on(&session.connection).await?;
    Ok(session.close().await?)
}

pub async fn error_405(session: Session) -> Outcome {
    let owner = Session::open().await?;
    let locked = queue(&owner.channel).await?;
    let refused = declare(
        &session.channel,
        &locked,
        QueueDeclareOptions::default().passive(),
    )
    .await
    .unwrap_err();
    let text = format!(
        "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '{locked}' in vhost '/'. It could be originally declared on \
         another connection or the exclusive property value does not match that of the original declaration."
    );
    assert_eq!(reason(&refused), (405, text));
    goes_on(&session.connection).await?;
    owner.close().await?;
    Ok(session.close().await?)
}

pub async fn error_406(session: Session) -> Outcome {
    let durable = name("durable");
    declare(&session.channel, &durable, QueueDeclareOptions::durable()).await?;
    let other = session.connection.create_channel().await?;
    let refused = declare(&other, &durable, QueueDeclareOptions::default())
        .await
        .unwrap_err();
    let text = format!(
        "PRECONDITION_FAILED - inequivalent arg 'durable' for queue '{durable}' in vhost '/': received 'false' but current is 'true'"
    );
    assert_eq!(reason(&refused), (406, text));
    session
        .channel
        .queue_delete(durable.as_str().into(), QueueDeleteOptions::default())
        .await?;
    goes_on(&session.connection).await?;
    let mut events = Box::pin(session.connection.events_listener());
    let channel = session.connection.create_channel().await?;
    channel.basic_ack(99, BasicAckOptions::default()).await?;
    assert_eq!(
        reported(&mut events).await,
        (406, "PRECONDITION_FAILED - unknown delivery tag 99".into())
    );
    goes_on(&session.connection).await?;
    Ok(session.close().await?)
}

pub async fn error_530(session: Session) -> Outcome {
    let mut events = Box::pin(session.connection.events_listener());
    let own = queue(&session.channel).await?;
    let _consumer = consume(&session.channel, &own, "twice", false).await?;
    assert!(
        consume(&session.channel, &own, "twice", false)
            .await
            .is_err()
    );
    assert_eq!(
        reported(&mut events).await,
        (
            530,
            "NOT_ALLOWED - attempt to reuse consumer tag 'twice'".into()
        )
    );
    Ok(Session::open().await?.close().await?)
}

pub async fn error_540(session: Session) -> Outcome {
    let mut events = Box::pin(session.connection.events_listener());
    assert!(
        session
            .channel
            .basic_recover(BasicRecoverOptions { requeue: false })
            .await
            .is_err()
    );
    assert_eq!(
        reported(&mut events).await,
        (540, "NOT_IMPLEMENTED - requeue=false".into())
    );
    Ok(Session::open().await?.close().await?)
}
