//! The end of connections and channels: who may say what then, and how errors are told.

use crate::support::*;

#[test]
fn c_21_exclusive_queues_are_gone_when_close_ok_comes() {
    let mut other = Wire::open();
    for _ in 0..20 {
        let mut c = Wire::open();
        let q = c.queue();
        c.call_on(0, connection_close());
        other.refused(passive(&q), 404, &no_queue(&q));
    }
}

#[test]
fn c_21_an_exclusive_queue_can_be_declared_again_right_after_close_ok() {
    if !ours_only() {
        return;
    }
    let q = name();
    for _ in 0..50 {
        let mut c = Wire::open();
        c.call(declare(&q));
        c.call_on(0, connection_close());
    }
}

#[test]
fn c_21_any_code_and_text_close() {
    for (reply_code, reply_text) in [(0, ""), (200, "Goodbye"), (320, "x"), (65535, "é")] {
        let mut c = Wire::open();
        c.call_on(0, connection::Close { reply_code, reply_text, class_id: 1, method_id: 2 });
    }
}

#[test]
fn c_21_frames_behind_close_are_not_looked_at() {
    let mut c = Wire::open();
    let mut frames = encoded(1, 0, &payload(connection_close()));
    frames.extend(encoded(1, 1, &payload(passive("no-such"))));
    frames.extend(encoded(1, 77, &payload(ack(1))));
    c.raw(&frames);
    c.expect(0, "connection.close-ok");
    c.raw_frame(1, 1, &payload(passive("no-such")));
    c.call_on(0, connection_close());
}

#[test]
fn c_21_after_the_servers_close_only_close_and_close_ok_count() {
    let mut c = Wire::open();
    c.send(7, ack(1));
    let close = Close::read(&c.frame()).unwrap();
    assert_eq!(close, closes(0, 504, "expected 'channel.open'", (60, 80)));
    c.send(1, declare("x"));
    c.send(1, passive("no-such"));
    c.call_on(0, connection_close());
    c.send(0, connection::CloseOk {});
    c.ends();
}

#[test]
fn c_21_unacked_messages_are_ready_again_when_tcp_is_cut() {
    let mut c = Wire::open();
    let q = c.shared_queue();
    let mut cut = Wire::open();
    let exclusive = cut.queue();
    cut.fill_queue(&q, &["1", "2"]);
    cut.get(&q).unwrap();
    drop(cut);
    eventually(|| c.counts(&q) == (2, 0));
    assert_eq!(c.drain(&q), ["1r", "2"]);
    eventually(|| {
        c.send(1, passive(&exclusive));
        match c.error().code {
            404 => true,
            code => {
                assert_eq!(code, 405);
                c.call(channel::Open {});
                false
            }
        }
    });
}

#[test]
fn c_22_long_texts_are_cut_at_252_characters() {
    let mut c = Wire::open();
    for len in [214, 215, 216, 255] {
        let q = "q".repeat(len);
        c.send(1, passive(&q));
        let text = format!("NOT_FOUND - no queue '{q}' in vhost '/'");
        let expected = match text.len() {
            0..=255 => text,
            _ => format!("{}...", &text[..252]),
        };
        assert_eq!(c.error().text, expected);
        c.call(channel::Open {});
    }
}

#[test]
fn c_22_cut_texts_are_whole_characters() {
    let mut c = Wire::open();
    let fits = "é".repeat(109);
    c.refused(passive(&fits), 404, &no_queue(&fits));
    if !ours_only() {
        return;
    }
    let q = "é".repeat(127);
    c.send(1, passive(&q));
    let close = c.error();
    assert_eq!(close.code, 404);
    let before = "NOT_FOUND - no queue '";
    assert_eq!(close.text, format!("{before}{}...", "é".repeat((252 - before.len()) / 2)));
}

#[test]
fn c_26_a_method_on_an_unopened_channel_is_an_error() {
    let cases: [(Method<'_>, (u16, u16)); 3] =
        [(declare("x").into(), (50, 10)), (ack(1).into(), (60, 80)), (channel_close().into(), (20, 40))];
    for (method, id) in cases {
        let mut c = Wire::open();
        c.send(5, method);
        assert_eq!(c.error(), closes(0, 504, "expected 'channel.open'", id));
    }
}

#[test]
fn c_26_a_channel_cannot_be_opened_twice() {
    let mut c = Wire::open();
    c.send(1, channel::Open {});
    assert_eq!(c.error(), closes(0, 504, "second 'channel.open' seen", (20, 10)));
}

#[test]
fn c_26_an_unsolicited_close_ok_is_unimplemented() {
    let mut c = Wire::open();
    c.send(1, channel::CloseOk {});
    assert_eq!(c.error(), closes(0, 503, "unimplemented method", (20, 41)));
}

#[test]
fn c_26_connection_methods_out_of_turn_end_the_connection() {
    let tune_ok = connection::TuneOk { channel_max: 5, frame_max: 8192, heartbeat: 0 };
    let opening: [(Method<'_>, (u16, u16)); 5] = [
        (connection_close().into(), (10, 50)),
        (connection::CloseOk {}.into(), (10, 51)),
        (connection::StartOk::default().into(), (10, 11)),
        (tune_ok.into(), (10, 31)),
        (connection::UpdateSecret::default().into(), (10, 70)),
    ];
    for (method, id) in opening {
        let mut c = Wire::tuned(&Login::default());
        c.send(0, method);
        assert_eq!(c.error(), closes(0, 504, "unexpected method in connection state opening", id));
    }
    let running: [(Method<'_>, (u16, u16)); 7] = [
        (connection::Open { virtual_host: "/" }.into(), (10, 40)),
        (tune_ok.into(), (10, 31)),
        (connection::StartOk::default().into(), (10, 11)),
        (connection::SecureOk::default().into(), (10, 21)),
        (connection::CloseOk {}.into(), (10, 51)),
        (connection::OpenOk {}.into(), (10, 41)),
        (connection::Blocked::default().into(), (10, 60)),
    ];
    for (method, id) in running {
        let mut c = Wire::open();
        c.send(0, method);
        assert_eq!(c.error(), closes(0, 504, "unexpected method in connection state running", id));
    }
}

#[test]
fn c_26_methods_out_of_turn_before_tune_ok_end_without_a_word() {
    fn after_start<'m>(channel: u16, method: impl Into<Method<'m>>) -> Wire {
        let mut c = Wire::started();
        c.send(channel, method);
        c
    }
    fn after_tune<'m>(channel: u16, method: impl Into<Method<'m>>) -> Wire {
        let mut c = Wire::logged_in(&Login::default());
        c.send(channel, method);
        c
    }
    each_ends_silently([
        ("open at start", || after_start(0, connection::Open { virtual_host: "/" })),
        ("close at start", || after_start(0, connection_close())),
        ("channel.open at start", || after_start(1, channel::Open {})),
        ("start-ok at tune", || after_tune(0, connection::StartOk::default())),
        ("open at tune", || after_tune(0, connection::Open { virtual_host: "/" })),
        ("close at tune", || after_tune(0, connection_close())),
        ("channel.open at tune", || after_tune(1, channel::Open {})),
    ]);
}

#[test]
fn c_26_what_races_with_the_servers_close_is_dropped() {
    let mut c = Wire::open();
    let q = c.queue();
    c.send(1, passive("no-such"));
    c.send(1, ack(1));
    c.publish("", &q, "dropped");
    c.send(1, declare("x"));
    c.expect(1, "channel.close");
    c.send(1, ack(1));
    c.publish("", &q, "dropped");
    c.send(1, channel_close());
    c.expect(1, "channel.close-ok");
    c.send(1, channel::CloseOk {});
    c.call(channel::Open {});
    assert_eq!(c.counts(&q), (0, 0));
}

#[test]
fn c_26_a_channel_the_server_closed_cannot_be_opened_before_close_ok() {
    let mut c = Wire::open();
    c.send(1, passive("no-such"));
    c.expect(1, "channel.close");
    c.send(1, channel::Open {});
    assert_eq!(c.error(), closes(0, 504, "second 'channel.open' seen", (20, 10)));
}

#[test]
fn c_26_after_close_ok_the_channel_is_unopened() {
    let mut c = Wire::open();
    c.send(1, passive("no-such"));
    c.error();
    c.send(1, ack(1));
    assert_eq!(c.error(), closes(0, 504, "expected 'channel.open'", (60, 80)));
}
