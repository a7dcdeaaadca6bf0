//! Policies: what an operator says for all queues and exchanges whose names match a pattern (B-07 to B-09).
//!
//! A plain value: policies are set, removed and listed, and give what they say to one queue or exchange. The vhost gives that to those it
//! concerns whenever a policy changes.

mod error;
mod keys;
mod merge;
mod term;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use leveret_protocol::FieldTable;
use regex::Regex;

pub use self::error::PolicyError;
pub use self::merge::QueuePolicy;
use super::arguments::QueueType;

/// Who sets a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A user of the vhost.
    User,
    /// An operator, whose limits hold whatever users say.
    Operator,
}

/// What a policy applies to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the values' own names")]
pub enum ApplyTo {
    #[default]
    All,
    Exchanges,
    Queues,
    ClassicQueues,
    QuorumQueues,
    Streams,
}

impl ApplyTo {
    /// By the name that the management API uses.
    ///
    /// # Errors
    /// There is nothing of that name.
    pub fn parse(name: &str) -> Result<Self, PolicyError> {
        match name {
            "all" => Ok(Self::All),
            "exchanges" => Ok(Self::Exchanges),
            "queues" => Ok(Self::Queues),
            "classic_queues" => Ok(Self::ClassicQueues),
            "quorum_queues" => Ok(Self::QuorumQueues),
            "streams" => Ok(Self::Streams),
            _ => Err(PolicyError::ApplyTo(name.to_owned())),
        }
    }

    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Exchanges => "exchanges",
            Self::Queues => "queues",
            Self::ClassicQueues => "classic_queues",
            Self::QuorumQueues => "quorum_queues",
            Self::Streams => "streams",
        }
    }

    fn has_queues(self, queue_type: QueueType) -> bool {
        match self {
            Self::All | Self::Queues => true,
            Self::Exchanges => false,
            Self::ClassicQueues => queue_type == QueueType::Classic,
            Self::QuorumQueues => queue_type == QueueType::Quorum,
            Self::Streams => queue_type == QueueType::Stream,
        }
    }
}

/// A policy.
#[derive(Clone, Debug)]
pub struct Policy {
    /// A regular expression for names, searched anywhere in them.
    pub pattern: Regex,
    /// What it applies to.
    pub apply_to: ApplyTo,
    /// Of several that match, the highest wins.
    pub priority: i64,
    /// Keys and values, as given.
    pub definition: FieldTable,
}

/// The policies of a vhost.
#[derive(Debug, Default)]
pub struct Policies {
    user: BTreeMap<Box<str>, Policy>,
    operator: BTreeMap<Box<str>, Policy>,
}

impl Policies {
    /// Sets a policy; one of the same name is replaced.
    ///
    /// # Errors
    /// The pattern is no regular expression, or a key or value is not possible. Nothing is changed.
    pub fn set(
        &mut self,
        kind: Kind,
        name: &str,
        pattern: &str,
        apply_to: ApplyTo,
        priority: i64,
        definition: FieldTable,
    ) -> Result<(), PolicyError> {
        let pattern = Regex::new(pattern).map_err(|error| PolicyError::pattern(&error))?;
        keys::check(kind, &definition)?;
        self.of_kind_mut(kind).insert(name.into(), Policy { pattern, apply_to, priority, definition });
        Ok(())
    }

    /// Removes a policy. Whether it was there.
    pub fn remove(&mut self, kind: Kind, name: &str) -> bool {
        self.of_kind_mut(kind).remove(name).is_some()
    }

    /// All policies of a kind by name.
    pub fn list(&self, kind: Kind) -> impl Iterator<Item = (&str, &Policy)> {
        self.of_kind(kind).iter().map(|(name, policy)| (&**name, policy))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.user.is_empty() && self.operator.is_empty()
    }

    /// The policy that applies to a queue: of those with keys that all suit its type, the one of the highest priority.
    pub fn of_queue(&self, kind: Kind, queue: &str, queue_type: QueueType) -> Option<(&str, &Policy)> {
        self.best(kind, queue, |policy| {
            policy.apply_to.has_queues(queue_type) && keys::suit(&policy.definition, queue_type)
        })
    }

    /// The policy that applies to an exchange.
    pub fn of_exchange(&self, exchange: &str) -> Option<(&str, &Policy)> {
        self.best(Kind::User, exchange, |policy| matches!(policy.apply_to, ApplyTo::All | ApplyTo::Exchanges))
    }

    /// What the policies together say to a queue.
    pub fn say_to_queue(&self, queue: &str, queue_type: QueueType) -> QueuePolicy {
        if self.is_empty() {
            return QueuePolicy::default();
        }
        let values =
            |kind| self.of_queue(kind, queue, queue_type).map(|(_, policy)| QueuePolicy::of(&policy.definition));
        match (values(Kind::User), values(Kind::Operator)) {
            (Some(user), Some(operator)) => user.under(operator),
            (one, other) => one.or(other).unwrap_or_default(),
        }
    }

    /// The alternate exchange that a policy gives to an exchange.
    pub fn alternate_of(&self, exchange: &str) -> Option<Vec<u8>> {
        let (_, policy) = self.of_exchange(exchange)?;
        keys::bytes(&policy.definition, "alternate-exchange")
    }

    fn best(&self, kind: Kind, name: &str, applies: impl Fn(&Policy) -> bool) -> Option<(&str, &Policy)> {
        let matching = self.list(kind).filter(|(_, policy)| applies(policy) && policy.pattern.is_match(name));
        matching.max_by_key(|(_, policy)| policy.priority)
    }

    fn of_kind(&self, kind: Kind) -> &BTreeMap<Box<str>, Policy> {
        match kind {
            Kind::User => &self.user,
            Kind::Operator => &self.operator,
        }
    }

    fn of_kind_mut(&mut self, kind: Kind) -> &mut BTreeMap<Box<str>, Policy> {
        match kind {
            Kind::User => &mut self.user,
            Kind::Operator => &mut self.operator,
        }
    }
}
