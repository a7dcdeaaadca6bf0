//! Queues, exchanges and bindings of a run.

use leveret_protocol::method::{exchange, queue};
use leveret_protocol::{EncodedTable, FieldTable, Method};

use super::client::Client;
use super::error::Result;

/// What a run needs to exist.
#[derive(Debug, Clone, Default)]
pub(super) struct Topology {
    /// An exchange of our own, by name and type.
    pub exchange: Option<(String, &'static str)>,
    /// Names of the queues.
    pub queues: Vec<String>,
    /// Arguments of the queues.
    pub arguments: FieldTable,
    /// Whether queues survive a restart.
    pub durable: bool,
    /// Which queue gets what of which exchange.
    pub bindings: Vec<Binding>,
}

/// A binding of a queue.
#[derive(Debug, Clone)]
pub(super) struct Binding {
    pub exchange: String,
    pub queue: String,
    pub routing_key: String,
}

impl Topology {
    /// Declares everything on channel 1. Queues are emptied if there is nothing to be kept.
    pub(super) fn declare(&self, client: &mut Client, purge: bool) -> Result<()> {
        if let Some((exchange, kind)) = &self.exchange {
            let declare = exchange::Declare { exchange, kind, ..Default::default() };
            client.call(1, declare, |m| matches!(m, Method::ExchangeDeclareOk(_)).then_some(()))?;
        }
        let arguments = EncodedTable::from(&self.arguments);
        for queue in &self.queues {
            let declare =
                queue::Declare { queue, durable: self.durable, arguments: arguments.as_table(), ..Default::default() };
            let messages = client.call(1, declare, |method| match method {
                Method::QueueDeclareOk(ok) => Some(ok.message_count),
                _ => None,
            })?;
            if purge && messages > 0 {
                let purge = queue::Purge { queue, nowait: false };
                client.call(1, purge, |m| matches!(m, Method::QueuePurgeOk(_)).then_some(()))?;
            }
        }
        self.bind(client)
    }

    /// Only the last bind is answered: by then all are there.
    fn bind(&self, client: &mut Client) -> Result<()> {
        let Some((last, others)) = self.bindings.split_last() else {
            return Ok(());
        };
        for binding in others {
            client.queue(1, binding.method(true));
            if client.queued() > BIND_BATCH_LEN {
                client.flush()?;
            }
        }
        client.call(1, last.method(false), |m| matches!(m, Method::QueueBindOk(_)).then_some(()))
    }

    /// Deletes everything.
    pub(super) fn delete(&self, client: &mut Client) -> Result<()> {
        for queue in &self.queues {
            let delete = queue::Delete { queue, ..Default::default() };
            client.call(1, delete, |m| matches!(m, Method::QueueDeleteOk(_)).then_some(()))?;
        }
        if let Some((exchange, _)) = &self.exchange {
            let delete = exchange::Delete { exchange, ..Default::default() };
            client.call(1, delete, |m| matches!(m, Method::ExchangeDeleteOk(_)).then_some(()))?;
        }
        Ok(())
    }
}

impl Binding {
    fn method(&self, nowait: bool) -> queue::Bind<'_> {
        queue::Bind {
            queue: &self.queue,
            exchange: &self.exchange,
            routing_key: &self.routing_key,
            nowait,
            ..Default::default()
        }
    }
}

/// Binds are written in pieces of about so many bytes.
const BIND_BATCH_LEN: usize = 64 * 1024;
