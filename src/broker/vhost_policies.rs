//! The policies of a vhost, and who goes by them (B-07).

use leveret_protocol::FieldTable;

use super::effects::Effects;
use super::policy::{ApplyTo, Kind, Policies, Policy, PolicyError};
use super::queue::Queue;
use super::vhost::VHost;

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
    /// Sets a policy, and gives it to the queues and exchanges that it concerns.
    ///
    /// # Errors
    /// The pattern is no regular expression, or a key or value is not possible. Nothing is changed.
    pub fn set_policy(&self, kind: Kind, policy: PolicyDeclare<'_>, fx: &mut Effects) -> Result<(), PolicyError> {
        let PolicyDeclare { name, pattern, apply_to, priority, definition } = policy;
        self.change_policies(fx, |policies| policies.set(kind, name, pattern, apply_to, priority, definition))
    }

    /// Removes a policy. Whether it was there.
    pub fn remove_policy(&self, kind: Kind, name: &str, fx: &mut Effects) -> bool {
        let remove = |policies: &mut Policies| if policies.remove(kind, name) { Ok(()) } else { Err(()) };
        self.change_policies(fx, remove).is_ok()
    }

    /// All policies of a kind by name.
    pub fn policies(&self, kind: Kind) -> Vec<(String, Policy)> {
        let policies = self.policies_lock().read();
        policies.list(kind).map(|(name, policy)| (name.to_owned(), policy.clone())).collect()
    }

    /// The name of the policy that a queue goes by.
    pub fn policy_of_queue(&self, kind: Kind, queue: &Queue) -> Option<String> {
        let policies = self.policies_lock().read();
        policies.of_queue(kind, &queue.name, queue.settings.queue_type).map(|(name, _)| name.to_owned())
    }

    /// The name of the policy that an exchange goes by.
    pub fn policy_of_exchange(&self, exchange: &str) -> Option<String> {
        self.policies_lock().read().of_exchange(exchange).map(|(name, _)| name.to_owned())
    }
}
