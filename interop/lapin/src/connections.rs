use std::{collections::HashSet, time::Duration};

use futures_lite::StreamExt;
use lapin::{BasicProperties, ExchangeKind, options::*, types::FieldTable};
use tokio::sync::mpsc;

use crate::{Outcome, proxy::Proxy, session::*};

pub async fn connect(session: Session) -> Outcome {
    let negotiated = session.connection.configuration();
    assert!(negotiated.channel_max() > 0 && negotiated.frame_max() > 0);
    session.channel.close(200, "bye".into()).await?;
    session.connection.close(200, "bye".into()).await?;
    assert!(!session.connection.status().connected());
    Ok(())
}

pub async fn access_refused(session: Session) -> Outcome {
    let mut wrong = uri();
    wrong.authority.userinfo.password = "wrong".into();
    let Err(refused) = Session::over(wrong).await else {
        panic!("a wrong password was let in")
    };
    let text = "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile.";
    assert_eq!(reason(&refused), (403, text.into()));
    Ok(session.close().await?)
}

pub async fn many_channels(session: Session) -> Outcome {
    let mut channels = Vec::new();
    for _ in 0..200 {
        let channel = session.connection.create_channel().await?;
        let own = queue(&channel).await?;
        channels.push((channel, own));
    }
    for (number, (channel, own)) in channels.iter().enumerate() {
        send(channel, own, &[&number.to_string()]).await?;
    }
    for (number, (channel, own)) in channels.iter().enumerate() {
        assert_eq!(drain(channel, own).await?, [number.to_string()]);
    }
    Ok(session.close().await?)
}

pub async fn heartbeat(session: Session) -> Outcome {
    let mut uri = uri();
    uri.query.heartbeat = Some(1);
    let idle = Session::over(uri).await?;
    assert_eq!(idle.connection.configuration().heartbeat(), 1);
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(
        ready(&idle.channel, &queue(&idle.channel).await?).await?,
        (0, 0)
    );
    idle.close().await?;
    Ok(session.close().await?)
}

pub async fn reconnect(session: Session) -> Outcome {
    let kept = name("kept");
    session
        .channel
        .queue_declare(
            kept.as_str().into(),
            QueueDeclareOptions::durable(),
            FieldTable::default(),
        )
        .await?;
    send(&session.channel, &kept, &["0", "1", "2", "3", "4"]).await?;
    let network = Proxy::start().await?;
    let through = Session::over(network.uri.clone()).await?;
    let mut deliveries = consume(&through.channel, &kept, "", false).await?;
    for number in 0..5 {
        let delivery = next(&mut deliveries).await?;
        assert_eq!(seen(&delivery), (number.to_string(), false));
        if number < 2 {
            delivery.ack(BasicAckOptions::default()).await?;
        }
    }
    assert_eq!(ready(&through.channel, &kept).await?, (0, 1));
    network.cut();
    assert!(
        !matches!(deliveries.next().await, Some(Ok(_))),
        "delivered over a cut connection"
    );
    assert!(!through.connection.status().connected());
    let again = Session::over(network.uri.clone()).await?;
    let mut deliveries = consume(&again.channel, &kept, "", false).await?;
    for number in 2..5 {
        let delivery = next(&mut deliveries).await?;
        assert_eq!(seen(&delivery), (number.to_string(), true));
        delivery.ack(BasicAckOptions::default()).await?;
    }
    again.channel.close(200, "bye".into()).await?;
    again.close().await?;
    assert_eq!(
        session
            .channel
            .queue_delete(kept.as_str().into(), QueueDeleteOptions::default())
            .await?,
        0
    );
    Ok(session.close().await?)
}

pub async fn work_queue(session: Session) -> Outcome {
    const ORDERS: usize = 300;
    let (service, orders, billing) = (&session.channel, name("orders"), name("billing"));
    let durable = ExchangeDeclareOptions {
        durable: true,
        ..Default::default()
    };
    service
        .exchange_declare(
            orders.as_str().into(),
            ExchangeKind::Topic,
            durable,
            FieldTable::default(),
        )
        .await?;
    service
        .queue_declare(
            billing.as_str().into(),
            QueueDeclareOptions::durable(),
            FieldTable::default(),
        )
        .await?;
    bind(service, &billing, &orders, "order.#", FieldTable::default()).await?;

    let (bills, mut billed) = mpsc::unbounded_channel();
    let mut workers = Vec::new();
    for dies_at in [Some(10), None, None] {
        let network = Proxy::start().await?;
        let own = Session::over(network.uri.clone()).await?;
        own.channel
            .basic_qos(10, BasicQosOptions::default())
            .await?;
        let mut work = consume(&own.channel, &billing, "billing", false).await?;
        let bills = bills.clone();
        tokio::spawn(async move {
            let mut count = 0;
            while let Some(Ok(order)) = work.next().await {
                count += 1;
                if dies_at == Some(count) {
                    return network.cut();
                }
                bills.send(seen(&order)).expect("someone counts the bills");
                order
                    .ack(BasicAckOptions::default())
                    .await
                    .expect("an order can be acked");
            }
        });
        workers.push((own, dies_at.is_some()));
    }

    service
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    let mut confirms = Vec::new();
    for number in 0..ORDERS {
        let (key, body) = (format!("order.eu.{number}"), number.to_string());
        let options = BasicPublishOptions {
            mandatory: true,
            ..Default::default()
        };
        let persistent = BasicProperties::default().with_delivery_mode(2);
        confirms.push(
            service
                .basic_publish(
                    orders.as_str().into(),
                    key.as_str().into(),
                    options,
                    body.as_bytes(),
                    persistent,
                )
                .await?,
        );
    }
    for confirm in confirms {
        let confirmed = confirm.await?;
        assert!(confirmed.is_ack() && confirmed.take_message().is_none());
    }

    let (mut numbers, mut again) = (HashSet::new(), false);
    while numbers.len() < ORDERS {
        let (number, redelivered) = billed.recv().await.expect("a worker is left");
        numbers.insert(number);
        again |= redelivered;
    }
    assert!(again, "no order came again");
    for (worker, _) in workers.into_iter().filter(|(_, died)| !died) {
        worker
            .channel
            .basic_cancel("billing".into(), BasicCancelOptions::default())
            .await?;
        worker.close().await?;
    }
    assert_eq!(
        service
            .queue_delete(billing.as_str().into(), QueueDeleteOptions::default())
            .await?,
        0
    );
    service
        .exchange_delete(orders.as_str().into(), ExchangeDeleteOptions::default())
        .await?;
    Ok(session.close().await?)
}
