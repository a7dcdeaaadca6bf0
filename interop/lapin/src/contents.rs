use lapin::{BasicProperties, types::AMQPValue};

use crate::{Outcome, session::*};

pub async fn properties(session: Session) -> Outcome {
    let channel = &session.channel;
    let own = queue(channel).await?;
    let sent = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_content_encoding("gzip".into())
        .with_headers(table([("k", text("v"))]))
        .with_delivery_mode(2)
        .with_priority(7)
        .with_correlation_id("c".into())
        .with_reply_to("r".into())
        .with_expiration("60000".into())
        .with_message_id("m".into())
        .with_timestamp(1709209815)
        .with_type("t".into())
        .with_user_id("guest".into())
        .with_app_id("a".into())
        .with_cluster_id("x".into());
    publish(channel, "", &own, sent.clone(), b"").await?;
    let got = get(channel, &own, true).await?.expect("the message");
    assert_eq!(got.properties, sent);
    Ok(session.close().await?)
}

pub async fn header_types(session: Session) -> Outcome {
    use AMQPValue::*;
    let array = |values: Vec<AMQPValue>| FieldArray(values.into());
    let deep = table([(
        "deep",
        array(vec![ByteArray(vec![128].into()), LongLongInt(1 << 40)]),
    )]);
    let sent = table([
        ("bool", Boolean(true)),
        ("i8", ShortShortInt(-100)),
        ("u8", ShortShortUInt(200)),
        ("i16", ShortInt(-30000)),
        ("u16", ShortUInt(60000)),
        ("i32", LongInt(i32::MIN)),
        ("u32", LongUInt(u32::MAX)),
        ("i64", LongLongInt(i64::MIN)),
        ("f32", Float(1.5)),
        ("f64", Double(0.1)),
        (
            "decimal",
            DecimalValue(lapin::types::DecimalValue {
                scale: 2,
                value: 314,
            }),
        ),
        ("string", text("grüße")),
        ("empty", text("")),
        ("bytes", ByteArray(vec![0, 255, 254].into())),
        ("time", Timestamp(1709209815)),
        ("void", Void),
        (
            "array",
            array(vec![
                LongInt(1),
                text("two"),
                array(vec![Boolean(false), Void]),
                FieldTable(table([("three", LongInt(3))])),
            ]),
        ),
        (
            "table",
            FieldTable(table([
                ("inner", FieldTable(deep)),
                ("nothing", FieldTable(table([]))),
            ])),
        ),
    ]);
    let channel = &session.channel;
    let own = queue(channel).await?;
    publish(
        channel,
        "",
        &own,
        BasicProperties::default().with_headers(sent.clone()),
        b"",
    )
    .await?;
    let got = get(channel, &own, true).await?.expect("the message");
    assert_eq!(got.properties.headers(), &Some(sent));
    Ok(session.close().await?)
}

pub async fn body_empty(session: Session) -> Outcome {
    let channel = &session.channel;
    let own = queue(channel).await?;
    send(channel, &own, &["before", "", "after"]).await?;
    assert_eq!(drain(channel, &own).await?, ["before", "", "after"]);
    Ok(session.close().await?)
}

pub async fn body_large(session: Session) -> Outcome {
    let channel = &session.channel;
    let own = queue(channel).await?;
    let large: Vec<u8> = (0..5 * 1024 * 1024 + 1)
        .map(|index| (index % 251) as u8)
        .collect();
    for _ in 0..2 {
        publish(channel, "", &own, BasicProperties::default(), &large).await?;
    }
    assert!(get(channel, &own, true).await?.expect("the first").data == large);
    assert!(
        next(&mut consume(channel, &own, "", true).await?)
            .await?
            .data
            == large
    );
    Ok(session.close().await?)
}
