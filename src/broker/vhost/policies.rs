//! The policies of a vhost, and who goes by them (B-07).

use leveret_protocol::FieldTable;

use super::{Graph, VHost};
use crate::broker::definitions::{self, PolicyDefinition};
use crate::broker::effects::Effects;
use crate::broker::policy::{ApplyTo, Kind, Policies, Policy, PolicyError};
use crate::broker::queue::Queue;

/// What [`VHost::set_policy`] sets.
pub struct PolicyDeclare<'a> {
    /// Its name.
    pub name: &'a str,
    /// A regular expression for names.
    pub pattern: &'a str,
    /// What it applies to.
    pub apply_to: ApplyTo,
    /// Of several that match, the highest wins.
    pub priority: i64,
    /// Keys and values.
    pub definition: FieldTable,
}

impl VHost {
    /// Sets a policy, and gives it to the queues and exchanges that it concerns. It is durable when
    /// [`Broker::durable`](crate::broker::Broker::durable) is done.
    ///
    /// # Errors
    /// The pattern is no regular expression, or a key or value is not possible. Nothing is changed.
    pub fn set_policy(&self, kind: Kind, policy: PolicyDeclare<'_>, fx: &mut Effects) -> Result<(), PolicyError> {
        let PolicyDeclare { name, pattern, apply_to, priority, definition } = policy;
        let (name, pattern) = (name.to_owned(), pattern.to_owned());
        let policy = PolicyDefinition { kind, name, pattern, apply_to, priority, definition };
        self.change_policies(fx, |policies, fx| {
            set(policies, &policy)?;
            if let Some(durability) = &self.durability {
                durability.define(definitions::policy(&self.name, &policy), fx);
            }
            Ok(())
        })
    }

    /// Removes a policy, as durably as it is set. Whether it was there.
    pub fn remove_policy(&self, kind: Kind, name: &str, fx: &mut Effects) -> bool {
        let removed = self.change_policies(fx, |policies, fx| {
            if !policies.remove(kind, name) {
                return Err(());
            }
            if let Some(durability) = &self.durability {
                durability.forget(definitions::policy_key(&self.name, kind, name), fx);
            }
            Ok(())
        });
        removed.is_ok()
    }

    /// Sets a policy again; nothing is logged. Queues that are made afterwards begin with it.
    ///
    /// # Errors
    /// The pattern, a key or a value is none that this broker takes.
    pub fn restore_policy(&self, policy: &PolicyDefinition) -> Result<(), PolicyError> {
        let mut graph = self.graph.write();
        let mut policies = self.policies.write();
        set(&mut policies, policy)?;
        self.tell_exchanges(&mut graph, &policies);
        Ok(())
    }

    /// All policies of a kind by name.
    pub fn policies(&self, kind: Kind) -> Vec<(String, Policy)> {
        let policies = self.policies.read();
        policies.list(kind).map(|(name, policy)| (name.to_owned(), policy.clone())).collect()
    }

    /// The name of the policy that a queue goes by.
    pub fn policy_of_queue(&self, kind: Kind, queue: &Queue) -> Option<String> {
        let policies = self.policies.read();
        policies.of_queue(kind, &queue.name, queue.settings.queue_type).map(|(name, _)| name.to_owned())
    }

    /// The name of the policy that an exchange goes by.
    pub fn policy_of_exchange(&self, exchange: &str) -> Option<String> {
        self.policies.read().of_exchange(exchange).map(|(name, _)| name.to_owned())
    }

    /// Changes the policies and gives what they say then to all queues and exchanges. One change at a time: the graph is locked.
    fn change_policies<E>(
        &self,
        fx: &mut Effects,
        change: impl FnOnce(&mut Policies, &mut Effects) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut graph = self.graph.write();
        // What it means for queues is durable with it, or neither.
        let _together = self.durability.as_ref().map(|durability| durability.journal.group());
        change(&mut self.policies.write(), fx)?;
        let policies = self.policies.read();
        self.tell_exchanges(&mut graph, &policies);
        for queue in graph.slots.iter().flatten() {
            let policy = policies.say_to_queue(&queue.name, queue.settings.queue_type);
            if queue.set_policy(&policy, fx)
                && let Some(durability) = &self.durability
            {
                self.log_queue(durability, queue, fx);
            }
        }
        Ok(())
    }

    fn tell_exchanges(&self, graph: &mut Graph, policies: &Policies) {
        let names: Vec<_> = graph.topology.exchanges().map(|exchange| exchange.name.clone()).collect();
        for name in names {
            graph.topology.set_policy_alternate(&name, policies.alternate_of(&name));
        }
        self.publish_generation(graph);
    }
}

fn set(policies: &mut Policies, policy: &PolicyDefinition) -> Result<(), PolicyError> {
    let PolicyDefinition { kind, name, pattern, apply_to, priority, definition } = policy;
    policies.set(*kind, name, pattern, *apply_to, *priority, definition.clone())
}
