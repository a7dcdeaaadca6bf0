//! A broker in this process.

use std::future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Once, mpsc};
use std::{panic, thread};

use leveret::config::Config;
use leveret::server::Server;
use tokio::runtime;

/// What the threads of brokers are called.
const THREAD: &str = "broker";

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// How often a broker of this process has panicked.
pub(crate) fn panics() -> usize {
    PANICS.load(Ordering::SeqCst)
}

/// Starts a broker on a free port of this machine; it lives as long as the process.
pub(crate) fn start(config: Config) -> SocketAddr {
    static COUNTED: Once = Once::new();
    COUNTED.call_once(count_panics);
    let config = Config { bind: Ipv4Addr::LOCALHOST.to_string(), port: 0, ..config };
    let (bound, address) = mpsc::channel();
    thread::spawn(move || {
        let runtime =
            runtime::Builder::new_multi_thread().worker_threads(2).thread_name(THREAD).enable_all().build().unwrap();
        runtime.block_on(async {
            let server = Server::bind(config).expect("a free port");
            bound.send(server.local_addr().unwrap()).unwrap();
            server.run(future::pending()).await.expect("it runs on");
        });
    });
    address.recv().expect("the broker starts")
}

fn count_panics() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if thread::current().name() == Some(THREAD) {
            PANICS.fetch_add(1, Ordering::SeqCst);
        }
        report(panic);
    }));
}
