//! The handshake, whole or step by step.

use leveret_protocol::frame::PROTOCOL_HEADER;

use super::{FieldTable, Method, OwnedFrame, Wire, channel, connection, table};

/// What a client says of itself until the connection is open.
pub(crate) struct Login<'a> {
    pub(crate) mechanism: &'a str,
    pub(crate) response: &'a [u8],
    /// The capabilities that are true.
    pub(crate) capabilities: &'a [&'a str],
    pub(crate) vhost: &'a str,
    pub(crate) channel_max: u16,
    pub(crate) frame_max: u32,
    pub(crate) heartbeat: u16,
}

impl Default for Login<'_> {
    fn default() -> Self {
        Self {
            mechanism: "PLAIN",
            response: b"\0guest\0guest",
            capabilities: &[
                "authentication_failure_close",
                "consumer_cancel_notify",
                "connection.blocked",
                "basic.nack",
                "publisher_confirms",
            ],
            vhost: "/",
            channel_max: 2047,
            frame_max: 131_072,
            heartbeat: 0,
        }
    }
}

impl Wire {
    /// An open connection with channel 1 open.
    pub(crate) fn open() -> Self {
        Self::open_as(&Login::default())
    }

    /// The same with other terms.
    pub(crate) fn open_as(login: &Login<'_>) -> Self {
        let mut wire = Self::entered(login);
        wire.call(channel::Open {});
        wire
    }

    /// All of the handshake on a connection that has said nothing, and channel 1.
    pub(crate) fn log_in(&mut self, login: &Login<'_>) {
        self.greet();
        self.start_ok(login);
        self.expect(0, "connection.tune");
        self.tune_ok(login);
        self.call_on(0, connection::Open { virtual_host: login.vhost });
        self.call(channel::Open {});
    }

    /// An open connection without channels.
    pub(crate) fn entered(login: &Login<'_>) -> Self {
        let mut wire = Self::tuned(login);
        wire.call_on(0, connection::Open { virtual_host: login.vhost });
        wire
    }

    /// As far as tune-ok; connection.open is next.
    pub(crate) fn tuned(login: &Login<'_>) -> Self {
        let mut wire = Self::logged_in(login);
        wire.tune_ok(login);
        wire
    }

    /// As far as the server's tune; tune-ok is next.
    pub(crate) fn logged_in(login: &Login<'_>) -> Self {
        let mut wire = Self::started();
        wire.start_ok(login);
        wire.expect(0, "connection.tune");
        wire
    }

    /// As far as the server's start; start-ok is next.
    pub(crate) fn started() -> Self {
        let mut wire = Self::connect();
        wire.greet();
        wire
    }

    /// Sends the protocol header and gives the server's start.
    pub(crate) fn greet(&mut self) -> OwnedFrame {
        self.raw(&PROTOCOL_HEADER);
        self.expect(0, "connection.start")
    }

    pub(crate) fn start_ok(&mut self, login: &Login<'_>) {
        let capabilities: FieldTable = login.capabilities.iter().map(|name| (*name, true)).collect();
        let properties = table! { "product" => "wire", "capabilities" => capabilities };
        self.send(
            0,
            connection::StartOk {
                client_properties: properties.as_table(),
                mechanism: login.mechanism,
                response: login.response,
                locale: "en_US",
            },
        );
    }

    pub(crate) fn tune_ok(&mut self, login: &Login<'_>) {
        self.frame_max = login.frame_max;
        self.send(
            0,
            connection::TuneOk {
                channel_max: login.channel_max,
                frame_max: login.frame_max,
                heartbeat: login.heartbeat,
            },
        );
    }

    /// Opens one more channel.
    pub(crate) fn open_channel(&mut self, channel: u16) {
        let opened = self.call_on(channel, channel::Open {});
        assert!(matches!(opened.method(), Method::ChannelOpenOk(_)));
    }
}
