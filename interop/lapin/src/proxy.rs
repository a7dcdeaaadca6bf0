//! A TCP proxy in front of the broker, to drop a client's connection as a broken network would.

use std::sync::{Arc, Mutex};

use lapin::uri::AMQPUri;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::session::uri;

pub struct Proxy {
    pub uri: AMQPUri,
    connections: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Proxy {
    pub async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut own = uri();
        let broker = (own.authority.host.clone(), own.authority.port);
        own.authority.host = "127.0.0.1".into();
        own.authority.port = listener.local_addr()?.port();
        let connections = Arc::new(Mutex::new(Vec::new()));
        let accepted = connections.clone();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let broker = broker.clone();
                let connection = tokio::spawn(async move {
                    if let Ok(mut onward) = TcpStream::connect(broker).await {
                        let _ = copy_bidirectional(&mut client, &mut onward).await;
                    }
                });
                accepted.lock().unwrap().push(connection);
            }
        });
        Ok(Self {
            uri: own,
            connections,
        })
    }

    /// Drops every connection made so far, without a word of AMQP.
    pub fn cut(&self) {
        for connection in self.connections.lock().unwrap().drain(..) {
            connection.abort();
        }
    }
}
