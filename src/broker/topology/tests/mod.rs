//! The rules of exchanges and bindings, named by their rows, and random histories against a plain model.

mod bind;
mod declare;
mod headers;
mod model;
mod remove;
mod route;

use leveret_protocol::{EncodedTable, FieldTable, FieldValue, Table};

use super::{Declare, ExchangeFlags, QueueKey, RouteScratch, Topology, TopologyError};
use crate::broker::exchange::RoutingKeys;

const PLAIN: ExchangeFlags = ExchangeFlags { durable: false, auto_delete: false, internal: false };

const AUTO_DELETE: ExchangeFlags = ExchangeFlags { auto_delete: true, ..PLAIN };

fn table<const N: usize>(entries: [(&str, FieldValue); N]) -> EncodedTable {
    EncodedTable::from(&entries.into_iter().collect::<FieldTable>())
}

/// A topology with the short calls that tests need.
struct Place {
    topology: Topology,
    queues: Vec<String>,
}

impl Place {
    fn new() -> Self {
        Self { topology: Topology::new("/"), queues: Vec::new() }
    }

    fn declare_with(
        &mut self,
        name: &str,
        exchange_type: &str,
        flags: ExchangeFlags,
        arguments: Table<'_>,
    ) -> Result<bool, TopologyError> {
        self.topology.declare_exchange(&Declare { name, exchange_type, passive: false, flags, arguments })
    }

    fn declare(&mut self, name: &str, exchange_type: &str) -> Result<bool, TopologyError> {
        self.declare_with(name, exchange_type, PLAIN, Table::EMPTY)
    }

    fn passive(&mut self, name: &str) -> Result<bool, TopologyError> {
        self.topology.declare_exchange(&Declare {
            name,
            exchange_type: "",
            passive: true,
            flags: PLAIN,
            arguments: Table::EMPTY,
        })
    }

    fn declare_with_alternate(&mut self, name: &str, exchange_type: &str, alternate: &str) {
        let arguments = table([("alternate-exchange", alternate.into())]);
        self.declare_with(name, exchange_type, PLAIN, arguments.as_table()).unwrap();
    }

    fn queue(&mut self, name: &str) -> QueueKey {
        let key = QueueKey(u32::try_from(self.queues.len()).unwrap());
        self.queues.push(name.to_owned());
        self.topology.add_queue(name, key, true);
        key
    }

    fn key(&self, queue: &str) -> Option<QueueKey> {
        let position = self.queues.iter().position(|name| name == queue)?;
        Some(QueueKey(u32::try_from(position).unwrap()))
    }

    fn remove_queue(&mut self, queue: &str) -> Vec<String> {
        let removed = self.topology.remove_queue(self.key(queue).unwrap());
        removed.exchanges.iter().map(ToString::to_string).collect()
    }

    fn bind(&mut self, queue: &str, source: &str, key: &str) -> Result<bool, TopologyError> {
        self.bind_with(queue, source, key, Table::EMPTY)
    }

    fn bind_with(&mut self, queue: &str, source: &str, key: &str, arguments: Table<'_>) -> Result<bool, TopologyError> {
        let queue_key = self.key(queue);
        self.topology.bind_queue(queue, queue_key, source, key, arguments)
    }

    fn unbind(&mut self, queue: &str, source: &str, key: &str) -> usize {
        self.unbind_with(queue, source, key, Table::EMPTY)
    }

    fn unbind_with(&mut self, queue: &str, source: &str, key: &str, arguments: Table<'_>) -> usize {
        let queue = self.key(queue);
        self.topology.unbind_queue(queue, source, key, arguments).unwrap().bindings
    }

    /// Binds `destination` to `source` with an empty key.
    fn link(&mut self, source: &str, destination: &str) {
        self.topology.bind_exchange(destination, source, "", Table::EMPTY).unwrap();
    }

    fn unlink(&mut self, source: &str, destination: &str) -> usize {
        self.topology.unbind_exchange(destination, source, "", Table::EMPTY).unwrap().bindings
    }

    fn exists(&self, exchange: &str) -> bool {
        self.topology.exchange(exchange.as_bytes()).is_some()
    }

    /// The names of the queues that a message reaches, sorted.
    fn route(&self, exchange: &str, key: &str) -> Vec<&str> {
        self.route_with(exchange, &RoutingKeys::one(key.as_bytes()), Table::EMPTY)
    }

    fn route_with(&self, exchange: &str, keys: &RoutingKeys<'_>, headers: Table<'_>) -> Vec<&str> {
        let mut out = Vec::new();
        let mut scratch = RouteScratch::default();
        self.topology.route(exchange.as_bytes(), keys, Some(headers), &mut scratch, &mut out).unwrap();
        let mut names = out.iter().map(|queue| self.queues[queue.0 as usize].as_str()).collect::<Vec<_>>();
        names.sort_unstable();
        names
    }
}

/// The explanation of a refusal.
fn refusal<T: std::fmt::Debug>(result: Result<T, TopologyError>) -> String {
    result.unwrap_err().to_string()
}
