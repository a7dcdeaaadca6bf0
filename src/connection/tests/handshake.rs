//! Until connection.open: how long it may take, and how those who fail are sent away.

use std::time::Duration;

use leveret_protocol::Method;
use leveret_protocol::frame::PROTOCOL_HEADER;
use leveret_protocol::method::connection;

use super::client::{Client, GUEST, Login, Received, close, close_ok, open, shared};
use crate::config::Config;

const LOGIN_REFUSED: &str = "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker \
                             logfile.";

#[tokio::test(start_paused = true)]
async fn c_03_a_client_that_says_nothing_is_dropped_after_10_s() {
    let mut client = Client::connect(&shared(Config::default()));
    client.expect_end_at(10).await;
}

#[tokio::test(start_paused = true)]
async fn c_03_a_part_of_the_header_is_waited_for() {
    let mut client = Client::connect(&shared(Config::default()));
    client.send(&PROTOCOL_HEADER[..7]).await;
    client.expect_end_at(10).await;
}

#[tokio::test(start_paused = true)]
async fn c_03_the_time_runs_from_the_beginning_through_all_stages() {
    let shared = shared(Config::default());
    let mut after_header = Client::connect(&shared);
    let mut after_start_ok = Client::connect(&shared);
    let mut after_tune_ok = Client::connect(&shared);
    after_header.wait_until(9).await;
    after_header.send(&PROTOCOL_HEADER).await;
    assert!(matches!(after_header.receive().await, Received::Method(0, _)));
    after_start_ok.start(&GUEST).await;
    assert!(matches!(after_start_ok.receive().await, Received::Method(0, _)));
    after_tune_ok.tune(&GUEST).await;
    after_header.expect_end_at(10).await;
    after_start_ok.expect_end_at(10).await;
    after_tune_ok.expect_end_at(10).await;
}

#[tokio::test(start_paused = true)]
async fn c_03_an_open_connection_is_under_no_timeout() {
    let mut client = Client::connect(&shared(Config::default()));
    client.wait_until(9).await;
    client.log_in(&GUEST).await;
    client.wait_until(100_000).await;
    client.open_channel(1).await;
}

#[tokio::test(start_paused = true)]
async fn c_17_heartbeats_are_let_pass_in_the_handshake() {
    let mut client = Client::connect(&shared(Config::default()));
    let heartbeat = [8, 0, 0, 0, 0, 0, 0, 0xCE];
    client.start(&GUEST).await;
    assert!(matches!(client.receive().await, Received::Method(0, _)));
    client.send(&heartbeat).await;
    client.send(&GUEST.tune_ok()).await;
    client.send(&heartbeat).await;
    client.send(&open("/")).await;
    client.expect(0, &Method::ConnectionOpenOk(connection::OpenOk {})).await;
}

#[tokio::test(start_paused = true)]
async fn c_13_bad_credentials_get_silence_for_3_s() {
    for response in [b"\0guest\0wrong".as_slice(), b"\0nobody\0guest", b"\0guest\0"] {
        let mut client = Client::connect(&shared(Config::default()));
        client.start(&Login { response, ..GUEST }).await;
        client.expect_end_at(3).await;
    }
}

#[tokio::test(start_paused = true)]
async fn c_13_clients_that_understand_it_are_told_at_once() {
    let login = Login { response: b"\0guest\0wrong", capabilities: &["authentication_failure_close"], ..GUEST };
    let mut mute = Client::connect(&shared(Config::default()));
    mute.start(&login).await;
    mute.expect_close(403, LOGIN_REFUSED, (0, 0)).await;
    mute.assert_time(Duration::ZERO);
    mute.expect_end_at(3).await;

    let mut polite = Client::connect(&shared(Config::default()));
    polite.start(&login).await;
    polite.expect_close(403, LOGIN_REFUSED, (0, 0)).await;
    polite.send(&close_ok()).await;
    polite.expect_end_at(0).await;
}

#[tokio::test(start_paused = true)]
async fn c_08_c_09_c_12_what_cannot_be_read_gets_silence_for_3_s_from_all() {
    let capabilities = &["authentication_failure_close"];
    let told = Login { capabilities, ..GUEST };
    let logins = [
        Login { response: b"guest\0guest\0guest", ..told },
        Login { response: b"\0guest", ..told },
        Login { mechanism: "AMQPLAIN", response: b"\x05login", ..told },
        Login { mechanism: "plain", ..told },
        Login { mechanism: "EXTERNAL", ..told },
    ];
    for login in logins {
        let mut client = Client::connect(&shared(Config::default()));
        client.start(&login).await;
        client.expect_end_at(3).await;
    }
}

#[tokio::test(start_paused = true)]
async fn c_16_limits_beyond_those_offered_get_silence_for_3_s() {
    let logins = [
        Login { frame_max: 4095, ..GUEST },
        Login { frame_max: 131_073, ..GUEST },
        Login { frame_max: 0, ..GUEST },
        Login { channel_max: 2048, ..GUEST },
        Login { channel_max: 0, ..GUEST },
    ];
    for login in logins {
        let mut client = Client::connect(&shared(Config::default()));
        client.tune(&login).await;
        client.send(&open("/")).await;
        client.expect_end_at(3).await;
    }
}

#[tokio::test(start_paused = true)]
async fn c_26_methods_out_of_turn_before_tune_ok_get_silence_for_3_s() {
    let mut client = Client::connect(&shared(Config::default()));
    client.start(&GUEST).await;
    assert!(matches!(client.receive().await, Received::Method(0, _)));
    client.send(&close()).await;
    client.expect_end_at(3).await;
}

#[tokio::test(start_paused = true)]
async fn c_18_a_missing_vhost_is_told_and_its_answer_waited_for() {
    let login = Login { heartbeat: 10, ..GUEST };
    let mut client = Client::connect(&shared(Config::default()));
    client.tune(&login).await;
    client.send(&open("nowhere")).await;
    client.expect_close(530, "NOT_ALLOWED - vhost nowhere not found", (10, 40)).await;
    client.expect_end_at(10).await;
}

#[tokio::test(start_paused = true)]
async fn c_29_a_client_in_the_handshake_gets_no_frame_at_shutdown() {
    let shared = shared(Config::default());
    let mut client = Client::connect(&shared);
    client.tune(&GUEST).await;
    shared.broker.close_connections("shutdown");
    client.expect_end_at(10).await;
}
