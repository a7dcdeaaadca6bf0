//! What is negotiated: frame_max, channel_max, heartbeat.

use crate::support::*;

#[test]
fn c_15_tune_proposes_2047_channels_128_kib_frames_and_a_minute() {
    let mut c = Wire::started();
    c.start_ok(&Login::default());
    let frame = c.expect(0, "connection.tune");
    let expected = connection::Tune { channel_max: 2047, frame_max: 131_072, heartbeat: 60 };
    assert_eq!(frame.method(), expected.into());
}

#[test]
fn c_16_smaller_limits_and_any_heartbeat_are_taken() {
    for frame_max in [8192, 131_071] {
        Wire::open_as(&Login { frame_max, ..Login::default() }).quiet();
    }
    for channel_max in [1, 2046] {
        Wire::open_as(&Login { channel_max, ..Login::default() }).quiet();
    }
    for heartbeat in [1, 61, 65535] {
        Wire::open_as(&Login { heartbeat, ..Login::default() }).quiet();
    }
}

#[test]
fn c_16_frames_of_4096_bytes_are_taken() {
    if !ours_only() {
        return;
    }
    let mut c = Wire::open_as(&Login { frame_max: 4096, ..Login::default() });
    let q = c.queue();
    c.fill_queue(&q, &["x"]);
    assert_eq!(c.drain(&q), ["x"]);
}

#[test]
fn c_16_other_limits_end_without_a_word() {
    fn tuned(frame_max: u32, channel_max: u16) -> Wire {
        let mut c = Wire::tuned(&Login { frame_max, channel_max, ..Login::default() });
        c.send(0, connection::Open { virtual_host: "/" });
        c
    }
    each_ends_silently([
        ("frame_max 0", || tuned(0, 2047)),
        ("frame_max 1", || tuned(1, 2047)),
        ("frame_max 4095", || tuned(4095, 2047)),
        ("frame_max 131073", || tuned(131_073, 2047)),
        ("frame_max 2^32 - 1", || tuned(u32::MAX, 2047)),
        ("channel_max 0", || tuned(131_072, 0)),
        ("channel_max 2048", || tuned(131_072, 2048)),
        ("channel_max 65535", || tuned(131_072, 65535)),
    ]);
}

#[test]
fn c_17_heartbeats_are_let_pass_at_any_stage() {
    let login = Login::default();
    let mut c = Wire::started();
    c.raw_frame(8, 0, b"");
    c.start_ok(&login);
    c.expect(0, "connection.tune");
    c.raw_frame(8, 0, b"");
    c.tune_ok(&login);
    c.raw_frame(8, 0, b"");
    c.call_on(0, connection::Open { virtual_host: "/" });
    c.call(channel::Open {});
    c.raw(&encoded(8, 0, b"").repeat(1000));
    c.quiet();
}

#[test]
fn c_17_a_heartbeat_may_come_between_the_frames_of_a_message() {
    let mut c = Wire::open();
    let q = c.queue();
    c.send(1, publish("", &q));
    c.raw_frame(8, 0, b"");
    c.raw_frame(2, 1, &[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0]);
    c.raw_frame(8, 0, b"");
    c.raw_frame(3, 1, b"hi");
    assert_eq!(c.get(&q).unwrap().told(), "hi");
}

#[test]
fn c_17_a_heartbeat_with_payload_or_a_channel_is_an_error() {
    let cases: [(u16, &[u8], u16, &str); 3] = [
        (0, b"abc", 501, "type 8, all octets = <<\"abc\">>: unknown_frame"),
        (1, b"", 505, "type 8, all octets = <<>>"),
        (7, b"", 505, "type 8, all octets = <<>>"),
    ];
    for (channel, payload, code, explanation) in cases {
        let mut c = Wire::open();
        c.raw_frame(8, channel, payload);
        assert_eq!(c.error(), closes(0, code, explanation, (0, 0)));
    }
}

#[test]
fn c_20_the_number_of_channels_is_limited_but_not_their_numbers() {
    for numbers in [[1, 2, 3], [1, 65535, 2]] {
        let mut c = Wire::entered(&Login { channel_max: 2, ..Login::default() });
        c.open_channel(numbers[0]);
        c.open_channel(numbers[1]);
        c.send(numbers[2], channel::Open {});
        let explanation = "number of channels opened (2) has reached the negotiated channel_max (2)";
        assert_eq!(c.error(), closes(0, 530, explanation, (0, 0)));
    }
}

#[test]
fn c_20_closing_a_channel_makes_room_for_another() {
    let mut c = Wire::entered(&Login { channel_max: 1, ..Login::default() });
    for number in [1, 9, 65535] {
        c.open_channel(number);
        c.call_on(number, channel_close());
    }
}

#[test]
fn c_20_2047_channels_can_be_open_by_default() {
    let mut c = Wire::entered(&Login::default());
    for number in 1..=2048 {
        c.send(number, channel::Open {});
    }
    let mut opened: Vec<_> = (1..=2047).map(|_| c.frame()).map(|frame| (frame.channel, frame.name())).collect();
    opened.sort_unstable();
    assert!(opened.into_iter().eq((1..=2047).map(|number| (number, "channel.open-ok"))));
    let explanation = "number of channels opened (2047) has reached the negotiated channel_max (2047)";
    assert_eq!(c.error(), closes(0, 530, explanation, (0, 0)));
}
