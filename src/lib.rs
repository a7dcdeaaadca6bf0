//! Leveret: an AMQP 0-9-1 broker that RabbitMQ's clients use unchanged.

pub mod broker;
pub mod cli;
