//! What all connections of a server share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use leveret_protocol::EncodedTable;

use super::clock::Clock;
use super::greeting;
use crate::auth::Users;
use crate::broker::{Broker, BrokerSettings, ConnectionId};
use crate::config::Config;

/// See the module.
pub struct Shared {
    /// The core.
    pub broker: Broker,
    /// The settings.
    pub config: Config,
    pub(super) clock: Clock,
    pub(super) users: Users,
    pub(super) server_properties: EncodedTable,
    pub(super) mechanisms: String,
    next_id: AtomicU64,
}

impl Shared {
    /// A new broker with these settings. `host` is the machine's name (C-05).
    pub fn new(config: Config, host: &str) -> Arc<Self> {
        let loopback = config.loopback_users.clone();
        let users = Users::new(&config.user, &config.password, loopback, config.compat.offers_anonymous());
        let settings = BrokerSettings {
            compat: config.compat,
            memory_max: config.memory_max_bytes,
            default_queue_type: config.default_queue_type,
            seed: config.seed.unwrap_or_else(rand::random),
        };
        Arc::new(Self {
            broker: Broker::new(settings),
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
