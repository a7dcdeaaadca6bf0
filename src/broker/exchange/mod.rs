//! Exchange types: which of an exchange's bindings a message matches.
//!
//! Each type is one file with the same few methods, behind one arm of `Bindings`. A type sees binding keys, arguments
//! and destinations; names, existence, identity of bindings and the graph of exchanges are the
//! [topology](super::topology)'s.

mod direct;
mod fanout;
mod headers;
mod targets;
mod topic;
mod value_text;

use leveret_protocol::Table;

use self::direct::Direct;
use self::fanout::Fanout;
use self::headers::{Headers, HeadersScratch};
use self::topic::{Topic, TopicScratch};
use super::topology::{QueueKey, TopologyError};

pub(crate) use self::targets::{BindingId, Destination, ExchangeId, Place, Target, Targets};
pub(crate) use self::value_text::{term, text, type_name};

/// The type of an exchange, as named in `exchange.declare`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExchangeType {
    /// A binding matches when its key is the routing key.
    Direct,
    /// Every binding matches.
    Fanout,
    /// The binding key is a pattern of words.
    Topic,
    /// The binding arguments are conditions on the message's headers.
    Headers,
}

/// Types that RabbitMQ has and this broker does not: it refuses them as invalid instead of unknown.
const TYPES_OF_RABBITMQ: [&str; 4] = ["x-consistent-hash", "x-local-random", "x-modulus-hash", "x-random"];

impl ExchangeType {
    /// The type of that name; letters count in their case.
    ///
    /// # Errors
    /// [`TopologyError::InvalidType`] or [`TopologyError::UnknownType`].
    pub fn parse(name: &str) -> Result<Self, TopologyError> {
        match name {
            "direct" => Ok(Self::Direct),
            "fanout" => Ok(Self::Fanout),
            "topic" => Ok(Self::Topic),
            "headers" => Ok(Self::Headers),
            _ if name.is_empty() || TYPES_OF_RABBITMQ.contains(&name) => Err(TopologyError::InvalidType(name.into())),
            _ => Err(TopologyError::UnknownType(name.into())),
        }
    }

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Topic => "topic",
            Self::Headers => "headers",
        }
    }
}

/// The routing keys of one message: the one it was published with and those of its `CC` and `BCC` headers.
#[derive(Debug, Clone, Copy)]
pub struct RoutingKeys<'a> {
    /// The key of `basic.publish`; any bytes.
    pub main: &'a [u8],
    /// The keys of `CC` and `BCC`; any bytes.
    pub others: &'a [&'a [u8]],
}

impl<'a> RoutingKeys<'a> {
    /// A message with one key.
    pub const fn one(main: &'a [u8]) -> Self {
        Self { main, others: &[] }
    }

    /// All keys, the main one first.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> {
        std::iter::once(self.main).chain(self.others.iter().copied())
    }
}

/// What a message shows to exchanges.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) keys: &'a RoutingKeys<'a>,
    pub(crate) headers: Table<'a>,
}

/// Collects where a message goes. Duplicates are allowed; whoever reads it removes them.
#[derive(Debug)]
pub(crate) struct Sink<'a> {
    pub(crate) queues: &'a mut Vec<QueueKey>,
    pub(crate) exchanges: &'a mut Vec<ExchangeId>,
    /// Whether any binding matched, whatever its destination then does.
    pub(crate) matched: bool,
}

impl Sink<'_> {
    #[inline]
    pub(crate) fn add(&mut self, target: Target) {
        self.matched = true;
        match target.destination {
            Destination::Queue(queue) => self.queues.push(queue),
            Destination::Exchange(exchange) => self.exchanges.push(exchange),
        }
    }

    #[inline]
    pub(crate) fn extend(&mut self, targets: &Targets) {
        targets.iter().for_each(|target| self.add(target));
    }
}

/// Working memory of the types' `matches`.
#[derive(Debug, Default)]
pub(crate) struct MatchScratch {
    topic: TopicScratch,
    headers: HeadersScratch,
}

/// The bindings of one exchange, arranged as its type needs them.
#[derive(Debug)]
pub(crate) enum Bindings {
    Direct(Direct),
    Fanout(Fanout),
    Topic(Topic),
    Headers(Headers),
}

impl Bindings {
    pub(crate) fn new(exchange_type: ExchangeType) -> Self {
        match exchange_type {
            ExchangeType::Direct => Self::Direct(Direct::default()),
            ExchangeType::Fanout => Self::Fanout(Fanout::default()),
            ExchangeType::Topic => Self::Topic(Topic::new()),
            ExchangeType::Headers => Self::Headers(Headers::new()),
        }
    }

    /// Whether such a binding may be made; asked only when it is made, not when it is removed.
    pub(crate) fn check(&self, key: &[u8], arguments: Table<'_>) -> Result<(), TopologyError> {
        match self {
            Self::Direct(_) | Self::Fanout(_) => Ok(()),
            Self::Topic(_) => Topic::check(key),
            Self::Headers(_) => Headers::check(arguments),
        }
    }

    /// Adds a binding that passed [`check`](Self::check) and is not there yet. The place is what `unbind` needs.
    pub(crate) fn bind(&mut self, key: &[u8], arguments: Table<'_>, target: Target) -> Place {
        match self {
            Self::Direct(direct) => direct.bind(key, target),
            Self::Fanout(fanout) => fanout.bind(target),
            Self::Topic(topic) => topic.bind(key, target),
            Self::Headers(headers) => headers.bind(arguments, target),
        }
    }

    /// Removes the binding at `place`. Some other binding may take its place: that one is given.
    pub(crate) fn unbind(&mut self, key: &[u8], arguments: Table<'_>, place: Place) -> Option<BindingId> {
        match self {
            Self::Direct(direct) => direct.unbind(key, place),
            Self::Fanout(fanout) => fanout.unbind(place),
            Self::Topic(topic) => topic.unbind(key, place),
            Self::Headers(headers) => headers.unbind(arguments, place),
        }
    }

    /// Gives the destinations of all bindings that match.
    #[inline]
    pub(crate) fn matches(&self, subject: &Subject<'_>, scratch: &mut MatchScratch, sink: &mut Sink<'_>) {
        match self {
            Self::Direct(direct) => direct.matches(subject.keys, sink),
            Self::Fanout(fanout) => fanout.matches(sink),
            Self::Topic(topic) => topic.matches(subject.keys, &mut scratch.topic, sink),
            Self::Headers(headers) => headers.matches(subject.headers, &mut scratch.headers, sink),
        }
    }

    /// Whether nothing of any binding is left, inside too.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Direct(direct) => direct.is_empty(),
            Self::Fanout(fanout) => fanout.is_empty(),
            Self::Topic(topic) => topic.is_empty(),
            Self::Headers(headers) => headers.is_empty(),
        }
    }
}
