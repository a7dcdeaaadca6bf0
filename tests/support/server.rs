//! A broker in this process.

use std::future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::thread;

use leveret::config::Config;
use leveret::server::Server;
use tokio::runtime;

/// Starts a broker on a free port of this machine; it lives as long as the process.
pub(crate) fn start(config: Config) -> SocketAddr {
    let config = Config { bind: Ipv4Addr::LOCALHOST.to_string(), port: 0, ..config };
    let (bound, address) = mpsc::channel();
    thread::spawn(move || {
        let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let server = Server::bind(config).expect("a free port");
            bound.send(server.local_addr().unwrap()).unwrap();
            server.run(future::pending()).await;
        });
    });
    address.recv().expect("the broker starts")
}
