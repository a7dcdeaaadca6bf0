//! Leveret: an AMQP 0-9-1 broker that RabbitMQ's clients use unchanged.
//!
//! In the order in which bytes travel: [`server`] accepts, [`connection`] reads frames and hands commands to a [`channel`], which routes
//! messages through the [`broker`]'s exchanges into queues; queues put deliveries into the outboxes of connections, which encode them
//! into their [`output`]. Lower layers return effects and never call up.

pub mod auth;
pub mod broker;
pub mod channel;
pub mod cli;
pub mod config;
pub mod connection;
pub mod error;
pub mod output;
pub mod persistence;
pub mod server;
mod socket;
pub mod store;
mod trial;
