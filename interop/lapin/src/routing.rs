use lapin::{BasicProperties, ExchangeKind, options::*, types::FieldTable};

use crate::{Outcome, session::*};

fn plain() -> BasicProperties {
    BasicProperties::default()
}

pub async fn queue_lifecycle(session: Session) -> Outcome {
    let channel = &session.channel;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    let declared = channel
        .queue_declare(
            "".into(),
            QueueDeclareOptions::exclusive(),
            FieldTable::default(),
        )
        .await?;
    let named = declared.name().as_str();
    assert!(named.starts_with("amq.gen-"), "{named}");
    send(channel, named, &["1", "2", "3"]).await?;
    assert_eq!(ready(channel, named).await?, (3, 0));
    assert_eq!(
        channel
            .queue_purge(named.into(), QueuePurgeOptions::default())
            .await?,
        3
    );
    send(channel, named, &["4", "5"]).await?;
    assert_eq!(
        channel
            .queue_delete(named.into(), QueueDeleteOptions::default())
            .await?,
        2
    );
    Ok(session.close().await?)
}

pub async fn direct(session: Session) -> Outcome {
    let channel = &session.channel;
    let colours = exchange(channel, ExchangeKind::Direct, FieldTable::default()).await?;
    let one = bound(channel, &colours, &["red"]).await?;
    let both = bound(channel, &colours, &["red", "blue"]).await?;
    for colour in ["red", "blue", "green"] {
        publish(channel, &colours, colour, plain(), colour.as_bytes()).await?;
    }
    assert_eq!(drain(channel, &one).await?, ["red"]);
    assert_eq!(drain(channel, &both).await?, ["red", "blue"]);
    channel
        .queue_unbind(
            both.as_str().into(),
            colours.as_str().into(),
            "blue".into(),
            FieldTable::default(),
        )
        .await?;
    publish(channel, &colours, "blue", plain(), b"late").await?;
    assert!(drain(channel, &one).await?.is_empty());
    assert!(drain(channel, &both).await?.is_empty());
    Ok(session.close().await?)
}

pub async fn fanout(session: Session) -> Outcome {
    let channel = &session.channel;
    let news = exchange(channel, ExchangeKind::Fanout, FieldTable::default()).await?;
    let queues = [
        bound(channel, &news, &[""]).await?,
        bound(channel, &news, &["ignored"]).await?,
    ];
    publish(channel, &news, "any", plain(), b"first").await?;
    publish(channel, &news, "", plain(), b"second").await?;
    for queue in &queues {
        assert_eq!(drain(channel, queue).await?, ["first", "second"]);
    }
    Ok(session.close().await?)
}

pub async fn topic(session: Session) -> Outcome {
    let channel = &session.channel;
    let animals = exchange(channel, ExchangeKind::Topic, FieldTable::default()).await?;
    let sent = [
        "quick.orange.rabbit",
        "lazy.orange.elephant",
        "quick.brown.fox",
        "lazy",
        "lazy.pink.rabbit",
        "",
    ];
    let wanted: [(&str, &[usize]); 4] = [
        ("*.orange.*", &[0, 1]),
        ("*.*.rabbit", &[0, 4]),
        ("lazy.#", &[1, 3, 4]),
        ("#", &[0, 1, 2, 3, 4, 5]),
    ];
    let mut queues = Vec::new();
    for (pattern, _) in wanted {
        queues.push(bound(channel, &animals, &[pattern]).await?);
    }
    for key in sent {
        publish(channel, &animals, key, plain(), key.as_bytes()).await?;
    }
    for (queue, (pattern, keys)) in queues.iter().zip(wanted) {
        let keys: Vec<_> = keys.iter().map(|&index| sent[index]).collect();
        assert_eq!(drain(channel, queue).await?, keys, "{pattern}");
    }
    Ok(session.close().await?)
}

pub async fn headers(session: Session) -> Outcome {
    let channel = &session.channel;
    let documents = exchange(channel, ExchangeKind::Headers, FieldTable::default()).await?;
    let (every, some) = (queue(channel).await?, queue(channel).await?);
    for (queue, matching) in [(&every, "all"), (&some, "any")] {
        let arguments = table([
            ("x-match", text(matching)),
            ("format", text("pdf")),
            ("type", text("report")),
        ]);
        bind(channel, queue, &documents, "", arguments).await?;
    }
    for (body, headers) in [
        (
            "both",
            table([("format", text("pdf")), ("type", text("report"))]),
        ),
        (
            "one",
            table([("format", text("pdf")), ("type", text("log"))]),
        ),
        ("none", table([("format", text("zip"))])),
    ] {
        publish(
            channel,
            &documents,
            "",
            plain().with_headers(headers),
            body.as_bytes(),
        )
        .await?;
    }
    assert_eq!(drain(channel, &every).await?, ["both"]);
    assert_eq!(drain(channel, &some).await?, ["both", "one"]);
    Ok(session.close().await?)
}

pub async fn exchange_to_exchange(session: Session) -> Outcome {
    let channel = &session.channel;
    let source = exchange(channel, ExchangeKind::Topic, FieldTable::default()).await?;
    let target = exchange(channel, ExchangeKind::Fanout, FieldTable::default()).await?;
    let audited = bound(channel, &target, &[""]).await?;
    bound(channel, &source, &["kept.alive"]).await?;
    let (to, from) = (target.as_str(), source.as_str());
    channel
        .exchange_bind(
            to.into(),
            from.into(),
            "audit.#".into(),
            ExchangeBindOptions::default(),
            FieldTable::default(),
        )
        .await?;
    publish(channel, &source, "audit.login", plain(), b"login").await?;
    publish(channel, &source, "other", plain(), b"other").await?;
    assert_eq!(drain(channel, &audited).await?, ["login"]);
    channel
        .exchange_unbind(
            to.into(),
            from.into(),
            "audit.#".into(),
            ExchangeUnbindOptions::default(),
            FieldTable::default(),
        )
        .await?;
    publish(channel, &source, "audit.login", plain(), b"late").await?;
    assert!(drain(channel, &audited).await?.is_empty());
    Ok(session.close().await?)
}

pub async fn alternate_exchange(session: Session) -> Outcome {
    let channel = &session.channel;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    let rest = exchange(channel, ExchangeKind::Fanout, FieldTable::default()).await?;
    let main = exchange(
        channel,
        ExchangeKind::Direct,
        table([("alternate-exchange", text(&rest))]),
    )
    .await?;
    let known = bound(channel, &main, &["known"]).await?;
    let unrouted = bound(channel, &rest, &[""]).await?;
    for key in ["known", "unknown"] {
        let confirmed = mandatory(channel, &main, key, plain(), key.as_bytes()).await?;
        assert!(confirmed.is_ack() && confirmed.take_message().is_none());
    }
    assert_eq!(drain(channel, &known).await?, ["known"]);
    assert_eq!(drain(channel, &unrouted).await?, ["unknown"]);
    Ok(session.close().await?)
}
