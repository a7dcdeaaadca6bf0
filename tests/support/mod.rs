//! What the tests share: a broker to talk to, a client that speaks in frames, and short forms for what is said often.

mod client;
mod expected;
mod features;
mod frame;
mod handshake;
mod methods;
mod process;
mod server;
mod topology;

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use leveret::config::Config;

pub(crate) use leveret_protocol::method::{basic, channel, confirm, connection, exchange, queue, tx};
pub(crate) use leveret_protocol::{BasicProperties, EncodedTable, FieldTable, FieldValue, Method, MethodId};

pub(crate) use client::{FAR, Wire, encoded};
pub(crate) use expected::{Close, closes, locked, no_exchange, no_queue, q_named, x_named};
pub(crate) use features::*;
pub(crate) use frame::{Delivered, OwnedFrame, names};
pub(crate) use handshake::Login;
pub(crate) use methods::*;
pub(crate) use process::{Kept, Process, copy};
pub(crate) use server::{panics, start};

/// Where the broker under test listens: `LEVERET_TEST_URL`, or one in this process that all tests share.
pub(crate) fn broker() -> SocketAddr {
    static ADDRESS: OnceLock<SocketAddr> = OnceLock::new();
    *ADDRESS.get_or_init(|| match std::env::var("LEVERET_TEST_URL") {
        Ok(address) => address.parse().expect("LEVERET_TEST_URL is HOST:PORT"),
        Err(_) => start(Config::default()),
    })
}

/// Whether the broker under test is Leveret. Tests of rules where it differs from RabbitMQ end here if it is not.
pub(crate) fn ours_only() -> bool {
    std::env::var_os("LEVERET_TEST_URL").is_none()
}

/// A name that nobody else uses.
pub(crate) fn name() -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("wire-{}-{count}", std::process::id())
}

/// A field table: `table! { "x-max-length" => 5, "x-overflow" => "reject-publish" }`.
macro_rules! table {
    ($($key:expr => $value:expr),* $(,)?) => {{
        #[allow(unused_mut)]
        let mut table = $crate::support::FieldTable::new();
        $(table.push($key, $crate::support::FieldValue::from($value));)*
        $crate::support::EncodedTable::from(&table)
    }};
}
pub(crate) use table;

/// What leads a connection to its end, with a name for it.
pub(crate) type Ending = (&'static str, fn() -> Wire);

/// Runs each case on a thread of its own: the broker must end TCP without a word. It takes its time over that.
pub(crate) fn each_ends_silently<const N: usize>(cases: [Ending; N]) {
    std::thread::scope(|scope| {
        let threads = cases.map(|(case, act)| {
            scope.spawn(move || {
                let said = act().next();
                assert!(said.is_none(), "{case}: got {}", said.unwrap().name());
            })
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// The payload of a method frame.
pub(crate) fn payload<'m>(method: impl Into<Method<'m>>) -> Vec<u8> {
    let mut out = Vec::new();
    method.into().encode(&mut out);
    out
}

/// Waits until `happened` says so; for what the broker does on its own time.
pub(crate) fn eventually(mut happened: impl FnMut() -> bool) {
    for _ in 0..500 {
        if happened() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("it never happened");
}
