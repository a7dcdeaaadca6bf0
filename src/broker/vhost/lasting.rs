//! What a vhost keeps over a restart: its definitions are logged as they change, and made again from the log.

use std::sync::Arc;

use leveret_protocol::Table;

use super::{Graph, VHost};
use crate::broker::arguments::{self, QueueReference, ReceivedDeclare};
use crate::broker::compat::Compat;
use crate::broker::definitions::{self, QueueDefinition, VHostDefinition};
use crate::broker::durability::Durability;
use crate::broker::effects::Effects;
use crate::broker::error::BrokerError;
use crate::broker::queue::{Begin, Lane, Queue, Recovered};
use crate::broker::topology::{BoundPair, Change, ExchangeDefinition};

impl VHost {
    /// Logs what changed of exchanges and bindings. Called under the graph's lock, so that the log has the order of the changes.
    pub(super) fn log_changes(&self, graph: &mut Graph, fx: &mut Effects) {
        let Some(durability) = &self.durability else { return };
        for change in graph.topology.take_changes() {
            match change {
                Change::ExchangeMade(definition) => {
                    durability.define(definitions::exchange(&self.name, &definition), fx);
                }
                Change::ExchangeGone(name) => durability.forget(definitions::exchange_key(&self.name, &name), fx),
                Change::BindingMade(pair) => {
                    durability.define((definitions::binding_key(&self.name, &pair), [].into()), fx);
                }
                Change::BindingGone(pair) => durability.forget(definitions::binding_key(&self.name, &pair), fx),
            }
        }
    }

    /// What a client wanted is so already, because of an earlier change, which may not be durable yet.
    pub(super) fn rests_on_changes(&self, fx: &mut Effects) {
        if let Some(durability) = &self.durability {
            durability.rests_on_changes(fx);
        }
    }

    /// The same of a queue that is there already.
    pub(super) fn rests_on_its_declare(&self, queue: &Queue, fx: &mut Effects) {
        if queue.on_disk().is_some_and(|disk| disk.journal.is_some()) {
            self.rests_on_changes(fx);
        }
    }

    /// Logs a queue's definition: it was declared, or what it remembers of policies has changed. Called under the graph's lock.
    pub(super) fn log_queue(&self, durability: &Durability, queue: &Queue, fx: &mut Effects) {
        if let Some(disk) = queue.on_disk().filter(|disk| disk.journal.is_some()) {
            let definition = QueueDefinition {
                name: queue.name.to_string(),
                id: disk.id,
                auto_delete: queue.settings.auto_delete,
                queue_type: queue.settings.queue_type,
                arguments: queue.settings.arguments.clone(),
                earlier_ttls: queue.earlier_ttls(),
            };
            durability.define(definitions::queue(&self.name, &definition), fx);
        }
    }

    /// Logs that a queue is gone with its messages. Called under the graph's lock.
    pub(super) fn log_queue_gone(&self, queue: &Queue, fx: &mut Effects) {
        let Some(durability) = &self.durability else { return };
        durability.remove(queue);
        if queue.on_disk().is_some_and(|disk| disk.journal.is_some()) {
            durability.forget(definitions::queue_key(&self.name, &queue.name), fx);
        }
    }

    /// Logs what was set for the vhost. Called under the graph's lock.
    pub(super) fn log_vhost(&self, definition: &VHostDefinition, fx: &mut Effects) {
        if let Some(durability) = &self.durability {
            durability.define(definitions::vhost(&self.name, definition), fx);
        }
    }

    /// Sets again what was set for the vhost; nothing is logged.
    pub fn restore(&self, definition: &VHostDefinition) {
        *self.default_type.write() = definition.default_queue_type;
    }

    /// Makes an exchange again, unless it is there; nothing is logged.
    pub fn restore_exchange(&self, definition: ExchangeDefinition) {
        let mut graph = self.graph.write();
        if graph.topology.exchange(definition.name.as_bytes()).is_none() {
            let name = definition.name.clone();
            graph.topology.insert_exchange(definition);
            graph.topology.set_policy_alternate(&name, self.policies.read().alternate_of(&name));
            graph.topology.take_changes();
        }
        self.publish_generation(&graph);
    }

    /// Makes a queue again with what the store has of it; nothing is logged.
    ///
    /// # Errors
    /// Its arguments are none that this broker knows.
    pub fn restore_queue(
        &self,
        definition: &QueueDefinition,
        recovered: Vec<(Lane, Recovered)>,
        fx: &mut Effects,
    ) -> Result<Arc<Queue>, BrokerError> {
        let received = ReceivedDeclare {
            queue: QueueReference { vhost: &self.name, name: &definition.name },
            server_named: false,
            durable: true,
            exclusive: false,
            auto_delete: definition.auto_delete,
            arguments: &definition.arguments,
        };
        // What one line of RabbitMQ refuses may have been declared when another was followed.
        let settings = arguments::declare(&received, definition.queue_type, Compat::default())?;
        let disk = self.durability.as_ref().map(|durability| durability.on_disk(definition.id, &settings));
        let mut graph = self.graph.write();
        let queue = graph.add_queue(&definition.name, true, |key| {
            let policy = self.policies.read().say_to_queue(&definition.name, settings.queue_type);
            let earlier_ttls = definition.earlier_ttls.clone();
            let begin = Begin { policy: &policy, now: fx.now(), disk, recovered, earlier_ttls };
            Queue::new(definition.name.as_str().into(), key, settings, None, self.home.clone(), begin)
        });
        queue.dispatch(fx); // registers when it is unused, and asks for its first messages
        self.queues.insert(definition.name.as_str().into(), queue.clone());
        if let Some(durability) = &self.durability {
            durability.add(&queue);
        }
        self.publish_generation(&graph);
        Ok(queue)
    }

    /// Makes a binding again; false if one of its ends is not there any more. Nothing is logged.
    pub fn restore_binding(&self, pair: &BoundPair) -> bool {
        let mut graph = self.graph.write();
        let Ok(arguments) = Table::parse(&pair.arguments) else { return false };
        let key = String::from_utf8_lossy(&pair.key);
        let made = match pair.to_queue {
            true => {
                let queue = self.queue(&pair.destination).map(|queue| queue.key);
                graph.topology.bind_queue(&pair.destination, queue, &pair.source, &key, arguments)
            }
            false => graph.topology.bind_exchange(&pair.destination, &pair.source, &key, arguments),
        };
        graph.topology.take_changes();
        self.publish_generation(&graph);
        made.is_ok()
    }
}
