//! What all connections of a server share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use leveret_protocol::EncodedTable;

use super::clock::Clock;
use super::greeting;
use crate::auth::Users;
use crate::broker::{Broker, ConnectionId};
use crate::config::Config;

/// See the module.
pub struct Shared {
    /// The core.
    pub broker: Arc<Broker>,
    /// The settings.
    pub config: Config,
    pub(super) clock: Clock,
    pub(super) users: Users,
    pub(super) server_properties: EncodedTable,
    pub(super) mechanisms: String,
    next_id: AtomicU64,
}

impl Shared {
    /// A new broker with these settings that keeps everything in memory. `host` is the machine's name (C-05).
    pub fn new(config: Config, host: &str) -> Arc<Self> {
        let broker = Arc::new(Broker::new(config.broker_settings(), None));
        Self::with_broker(config, host, broker)
    }

    /// The same with a broker that is there.
    pub fn with_broker(config: Config, host: &str, broker: Arc<Broker>) -> Arc<Self> {
        let loopback = config.loopback_users.clone();
        let users = Users::new(&config.user, &config.password, loopback, config.compat.offers_anonymous());
        Arc::new(Self {
            broker,
            clock: Clock::new(),
            mechanisms: users.mechanisms(),
            users,
            server_properties: greeting::server_properties(config.compat, host),
            next_id: AtomicU64::new(1),
            config,
        })
    }

    pub(super) fn next_id(&self) -> ConnectionId {
        ConnectionId(self.next_id.fetch_add(1, Ordering::Relaxed))
    }
}
