//! What the broker can be told. Each value has a default, a command line option and an environment variable.

use std::path::PathBuf;
use std::time::Duration;

use crate::broker::BrokerSettings;
use crate::broker::arguments::QueueType;
use crate::broker::compat::Compat;
use crate::store::Durability;

/// Settings of a server; all limits carry their units in their names.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address to listen on; `::` is all, IPv4 too.
    pub bind: String,
    /// Port, 0 for any free one.
    pub port: u16,
    /// Open connections beyond this many are refused (C-19).
    pub connections_max: usize,
    /// Channels of one connection, proposed to clients (C-15). 0 for no limit.
    pub channel_max: u16,
    /// Bytes of a frame, proposed to clients (C-15).
    pub frame_max_bytes: u32,
    /// Proposed to clients (C-15). 0 for none.
    pub heartbeat_secs: u16,
    /// A larger body is refused (P-07).
    pub message_size_max_bytes: u64,
    /// Bytes of messages in memory; above it publishers are blocked (C-27).
    pub memory_max_bytes: u64,
    /// Where what survives a restart is kept; none if nothing is.
    pub data_dir: Option<PathBuf>,
    /// When something counts as durable.
    pub durability: Durability,
    /// Free space of the data directory in bytes, below which publishers are blocked (B-15).
    pub disk_free_limit_bytes: u64,
    /// From accepting a connection to connection.open (C-03).
    pub handshake_timeout: Duration,
    /// The line of RabbitMQ to follow where they differ.
    pub compat: Compat,
    /// The type of a queue that is declared without one.
    pub default_queue_type: QueueType,
    /// The one user.
    pub user: String,
    /// Its password.
    pub password: String,
    /// Users that may come only from this machine (C-14).
    pub loopback_users: Vec<String>,
    /// Seed of generated names and secrets; random if none.
    pub seed: Option<u64>,
}

/// Memory for messages when nothing is said: small enough for a laptop, and publishers are stopped, not dropped, above it.
const MEMORY_MAX_BYTES: u64 = 1 << 30;

/// RabbitMQ's limit.
pub const DISK_FREE_LIMIT_BYTES: u64 = 50_000_000;

impl Config {
    /// What the core is made with.
    pub fn broker_settings(&self) -> BrokerSettings {
        BrokerSettings {
            compat: self.compat,
            default_queue_type: self.default_queue_type,
            memory_max: self.memory_max_bytes,
            seed: self.seed.unwrap_or_else(rand::random),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        let compat = Compat::default();
        Self {
            bind: "::".to_owned(),
            port: 5672,
            connections_max: 65_536,
            channel_max: 2047,
            frame_max_bytes: 131_072,
            heartbeat_secs: 60,
            message_size_max_bytes: compat.default_message_size_max(),
            memory_max_bytes: MEMORY_MAX_BYTES,
            data_dir: None,
            durability: Durability::Group,
            disk_free_limit_bytes: DISK_FREE_LIMIT_BYTES,
            handshake_timeout: Duration::from_secs(10),
            compat,
            default_queue_type: QueueType::Classic,
            user: "guest".to_owned(),
            password: "guest".to_owned(),
            loopback_users: vec!["guest".to_owned()],
            seed: None,
        }
    }
}
