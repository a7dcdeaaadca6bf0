//! Definitions as the store keeps them: a key that names one, and a value from which it is made again.
//!
//! A key is an octet for the kind and then parts, each behind its length. What a binding is stands in its key alone.

use leveret_protocol::{FieldTable, FieldValue, Table};

use super::arguments::QueueType;
use super::exchange::ExchangeType;
use super::journal::QueueId;
use super::moment::Moment;
use super::policy::{ApplyTo, Kind};
use super::topology::{BoundPair, ExchangeDefinition, ExchangeFlags};

/// Bytes of a key or a value.
pub type Bytes = Box<[u8]>;

/// A definition read from its key and value.
#[derive(Debug, Clone, PartialEq)]
pub enum Definition {
    /// An exchange of a vhost.
    Exchange(String, ExchangeDefinition),
    /// A durable queue of a vhost.
    Queue(String, QueueDefinition),
    /// A binding of a vhost.
    Binding(String, BoundPair),
    /// A policy of a vhost.
    Policy(String, PolicyDefinition),
    /// A vhost for which something was set.
    VHost(String, VHostDefinition),
}

/// A durable queue as it was declared.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueDefinition {
    /// Its name.
    pub name: String,
    /// Names it in the store.
    pub id: QueueId,
    /// The flag.
    pub auto_delete: bool,
    /// Its type, which the arguments need not tell. Classic where early versions have not kept it.
    pub queue_type: QueueType,
    /// The arguments.
    pub arguments: FieldTable,
    /// Until when what time to live held, where policies have changed it since (B-07).
    pub earlier_ttls: Vec<(Moment, Option<u64>)>,
}

/// A policy as it was set (B-07).
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyDefinition {
    /// Who sets it. With the name it says which one it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// A regular expression for names.
    pub pattern: String,
    /// What it applies to.
    pub apply_to: ApplyTo,
    /// Of several that match, the highest wins.
    pub priority: i64,
    /// Keys and values.
    pub definition: FieldTable,
}

/// What was set for a vhost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VHostDefinition {
    /// The type of queues that are declared without one; without it, the node's.
    pub default_queue_type: Option<QueueType>,
}

const BINDING: u8 = b'B';
const EXCHANGE: u8 = b'E';
const POLICY: u8 = b'P';
const QUEUE: u8 = b'Q';
const VHOST: u8 = b'V';

/// Key and value of an exchange.
pub fn exchange(vhost: &str, definition: &ExchangeDefinition) -> (Bytes, Bytes) {
    let flags = definition.flags;
    let mut value = FieldTable::new();
    value.push("type", definition.exchange_type.as_str());
    value.push("durable", flags.durable);
    value.push("auto_delete", flags.auto_delete);
    value.push("internal", flags.internal);
    (exchange_key(vhost, &definition.name), with_arguments(value, &definition.arguments))
}

/// Key of an exchange.
pub fn exchange_key(vhost: &str, name: &str) -> Bytes {
    key(EXCHANGE, &[vhost.as_bytes(), name.as_bytes()])
}

/// Key and value of a queue.
pub fn queue(vhost: &str, definition: &QueueDefinition) -> (Bytes, Bytes) {
    let mut value = FieldTable::new();
    value.push("id", FieldValue::I64(definition.id.0 as i64));
    value.push("type", definition.queue_type.name());
    value.push("auto_delete", definition.auto_delete);
    if !definition.earlier_ttls.is_empty() {
        let number = |n: u64| FieldValue::I64(n as i64);
        let pair = |(until, ttl): &(Moment, Option<u64>)| [number(until.0), ttl.map_or(FieldValue::Void, number)];
        value.push("earlier_ttls", FieldValue::Array(definition.earlier_ttls.iter().flat_map(pair).collect()));
    }
    (queue_key(vhost, &definition.name), with_arguments(value, &definition.arguments))
}

/// Key of a queue.
pub fn queue_key(vhost: &str, name: &str) -> Bytes {
    key(QUEUE, &[vhost.as_bytes(), name.as_bytes()])
}

/// Key of a binding.
pub fn binding_key(vhost: &str, pair: &BoundPair) -> Bytes {
    let to_queue = [u8::from(pair.to_queue)];
    let parts = [vhost.as_bytes(), pair.source.as_bytes(), &to_queue, pair.destination.as_bytes(), &pair.key];
    key(BINDING, &[&parts[..], &[&pair.arguments]].concat())
}

/// Key and value of a policy.
pub fn policy(vhost: &str, policy: &PolicyDefinition) -> (Bytes, Bytes) {
    let mut value = FieldTable::new();
    value.push("pattern", policy.pattern.as_str());
    value.push("apply-to", policy.apply_to.as_str());
    value.push("priority", FieldValue::I64(policy.priority));
    value.push("definition", FieldValue::Table(policy.definition.clone()));
    (policy_key(vhost, policy.kind, &policy.name), value.encode().into())
}

/// Key of a policy.
pub fn policy_key(vhost: &str, kind: Kind, name: &str) -> Bytes {
    let kind = [u8::from(kind == Kind::Operator)];
    key(POLICY, &[vhost.as_bytes(), &kind, name.as_bytes()])
}

/// Key and value of a vhost.
pub fn vhost(name: &str, definition: &VHostDefinition) -> (Bytes, Bytes) {
    let mut value = FieldTable::new();
    if let Some(default) = definition.default_queue_type {
        value.push("default_queue_type", default.name());
    }
    (key(VHOST, &[name.as_bytes()]), value.encode().into())
}

/// Reads a definition; none if key and value are nothing of the kind.
pub fn read(key: &[u8], value: &[u8]) -> Option<Definition> {
    let (kind, mut rest) = key.split_first()?;
    let vhost = text(part(&mut rest)?)?;
    match *kind {
        EXCHANGE => Some(Definition::Exchange(vhost, read_exchange(text(part(&mut rest)?)?, value)?)),
        QUEUE => Some(Definition::Queue(vhost, read_queue(text(part(&mut rest)?)?, value)?)),
        BINDING => {
            let pair = BoundPair {
                source: text(part(&mut rest)?)?.into(),
                to_queue: part(&mut rest)? == [1],
                destination: text(part(&mut rest)?)?.into(),
                key: part(&mut rest)?.into(),
                arguments: part(&mut rest)?.into(),
            };
            Some(Definition::Binding(vhost, pair))
        }
        POLICY => {
            let kind = match part(&mut rest)? {
                [0] => Kind::User,
                [1] => Kind::Operator,
                _ => return None,
            };
            Some(Definition::Policy(vhost, read_policy(kind, text(part(&mut rest)?)?, value)?))
        }
        VHOST => {
            let value = Table::parse(value).ok()?.to_owned();
            let default_queue_type = queue_type(value.get("default_queue_type"))?;
            Some(Definition::VHost(vhost, VHostDefinition { default_queue_type }))
        }
        _ => None,
    }
}

fn read_exchange(name: String, value: &[u8]) -> Option<ExchangeDefinition> {
    let value = Table::parse(value).ok()?.to_owned();
    let flag = |name| Some(matches!(value.get(name)?, FieldValue::Bool(true)));
    Some(ExchangeDefinition {
        name: name.into(),
        exchange_type: ExchangeType::parse(value.get("type")?.as_str()?).ok()?,
        flags: ExchangeFlags {
            durable: flag("durable")?,
            auto_delete: flag("auto_delete")?,
            internal: flag("internal")?,
        },
        arguments: arguments(&value)?,
    })
}

fn read_queue(name: String, value: &[u8]) -> Option<QueueDefinition> {
    let value = Table::parse(value).ok()?.to_owned();
    Some(QueueDefinition {
        name,
        id: QueueId(value.get("id")?.as_integer()? as u64),
        auto_delete: matches!(value.get("auto_delete")?, FieldValue::Bool(true)),
        queue_type: queue_type(value.get("type"))?.unwrap_or_default(),
        arguments: arguments(&value)?,
        earlier_ttls: earlier_ttls(&value)?,
    })
}

fn read_policy(kind: Kind, name: String, value: &[u8]) -> Option<PolicyDefinition> {
    let value = Table::parse(value).ok()?.to_owned();
    Some(PolicyDefinition {
        kind,
        name,
        pattern: value.get("pattern")?.as_str()?.to_owned(),
        apply_to: ApplyTo::parse(value.get("apply-to")?.as_str()?).ok()?,
        priority: value.get("priority")?.as_integer()?,
        definition: match value.get("definition")? {
            FieldValue::Table(definition) => definition.clone(),
            _ => return None,
        },
    })
}

/// The type of this name; none within if there is no name.
fn queue_type(name: Option<&FieldValue>) -> Option<Option<QueueType>> {
    match name {
        None => Some(None),
        Some(name) => QueueType::from_name(name.as_str()?.as_bytes()).map(Some),
    }
}

/// A value's bytes. Arguments as deep as a client may send are too deep for a table in a table: they are kept as bytes.
fn with_arguments(mut value: FieldTable, arguments: &FieldTable) -> Bytes {
    let mut nested = value.clone();
    nested.push("arguments", FieldValue::Table(arguments.clone()));
    let nested = nested.encode();
    if Table::parse(&nested).is_ok() {
        return nested.into();
    }
    value.push("arguments", FieldValue::LongString(arguments.encode()));
    value.encode().into()
}

fn arguments(value: &FieldTable) -> Option<FieldTable> {
    match value.get("arguments")? {
        FieldValue::Table(arguments) => Some(arguments.clone()),
        FieldValue::LongString(bytes) => Some(Table::parse(bytes).ok()?.to_owned()),
        _ => None,
    }
}

fn earlier_ttls(value: &FieldTable) -> Option<Vec<(Moment, Option<u64>)>> {
    let numbers = match value.get("earlier_ttls") {
        None => return Some(Vec::new()),
        Some(FieldValue::Array(numbers)) => numbers,
        Some(_) => return None,
    };
    let pair = |pair: &[FieldValue]| {
        let ttl = match &pair[1] {
            FieldValue::Void => None,
            ttl => Some(ttl.as_integer()? as u64),
        };
        Some((Moment(pair[0].as_integer()? as u64), ttl))
    };
    numbers.chunks_exact(2).map(pair).collect()
}

fn key(kind: u8, parts: &[&[u8]]) -> Bytes {
    let mut key = vec![kind];
    for part in parts {
        key.extend_from_slice(&(part.len() as u32).to_be_bytes());
        key.extend_from_slice(part);
    }
    key.into()
}

fn part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, behind) = rest.split_first_chunk::<4>()?;
    let (part, behind) = behind.split_at_checked(u32::from_be_bytes(*len) as usize)?;
    *rest = behind;
    Some(part)
}

fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use leveret_protocol::TABLE_DEPTH_MAX;
    use proptest::prelude::*;

    use super::*;

    fn field() -> impl Strategy<Value = FieldValue> {
        let leaf = prop_oneof![
            Just(FieldValue::Void),
            any::<bool>().prop_map(FieldValue::Bool),
            any::<i32>().prop_map(FieldValue::I32),
            any::<i64>().prop_map(FieldValue::I64),
            any::<u8>().prop_map(FieldValue::U8),
            any::<u64>().prop_map(FieldValue::Timestamp),
            (-1e9..1e9_f64).prop_map(FieldValue::F64),
            prop::collection::vec(any::<u8>(), 0..40).prop_map(FieldValue::LongString),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(FieldValue::Array),
                prop::collection::vec((".{0,10}", inner), 0..4).prop_map(|fields| FieldValue::Table(table(fields))),
            ]
        })
    }

    fn table(fields: Vec<(String, FieldValue)>) -> FieldTable {
        let mut table = FieldTable::new();
        fields.into_iter().for_each(|(name, value)| table.push(name.as_str(), value));
        table
    }

    /// Arguments of clients: some fields, as deep as they may be.
    fn some_arguments() -> impl Strategy<Value = FieldTable> {
        let wrap = |inner| table(vec![("inner".to_owned(), FieldValue::Table(inner))]);
        let fields = prop::collection::vec((".{0,20}", field()), 0..5).prop_map(table);
        (fields, prop_oneof![Just(0_usize), 0..TABLE_DEPTH_MAX]).prop_map(move |(fields, deeper)| {
            let deepest = (0..deeper).fold(fields.clone(), |inner, _| wrap(inner));
            if Table::parse(&deepest.encode()).is_ok() { deepest } else { fields }
        })
    }

    #[test]
    fn arguments_as_deep_as_a_client_may_send_come_back() {
        let wrap = |inner| table(vec![("inner".to_owned(), FieldValue::Table(inner))]);
        let arguments = (1..TABLE_DEPTH_MAX).fold(FieldTable::new(), |inner, _| wrap(inner));
        assert!(Table::parse(&arguments.encode()).is_ok() && Table::parse(&wrap(arguments.clone()).encode()).is_err());
        let definition = QueueDefinition {
            name: "q".to_owned(),
            id: QueueId(1),
            auto_delete: false,
            queue_type: QueueType::Classic,
            arguments,
            earlier_ttls: Vec::new(),
        };
        let (at, value) = queue("/", &definition);
        assert_eq!(read(&at, &value), Some(Definition::Queue("/".to_owned(), definition)));
    }

    proptest! {
        #[test]
        fn definitions_come_back_as_they_went_in(
            (vhost, name, source) in (".{0,60}", ".{0,60}", ".{0,60}"),
            (kind, flags) in (0..4_usize, prop::array::uniform3(any::<bool>())),
            (id, key) in (any::<u64>(), prop::collection::vec(any::<u8>(), 0..=255)),
            arguments in some_arguments(),
        ) {
            let [durable, auto_delete, internal] = flags;
            let exchange_type =
                [ExchangeType::Direct, ExchangeType::Fanout, ExchangeType::Topic, ExchangeType::Headers][kind];
            let flags = ExchangeFlags { durable, auto_delete, internal };
            let definition =
                ExchangeDefinition { name: name.as_str().into(), exchange_type, flags, arguments: arguments.clone() };
            let (at, value) = exchange(&vhost, &definition);
            prop_assert_eq!(read(&at, &value), Some(Definition::Exchange(vhost.clone(), definition)));

            let bytes = arguments.encode().into();
            let queue_type = if durable { QueueType::Quorum } else { QueueType::Classic };
            let earlier_ttls = if internal { vec![(Moment(5), Some(id)), (Moment(id), None)] } else { Vec::new() };
            let definition =
                QueueDefinition { name: name.clone(), id: QueueId(id), auto_delete, queue_type, arguments, earlier_ttls };
            let (at, value) = queue(&vhost, &definition);
            prop_assert_eq!(read(&at, &value), Some(Definition::Queue(vhost.clone(), definition)));

            let (source, destination) = (source.as_str().into(), name.as_str().into());
            let pair = BoundPair { source, destination, to_queue: durable, key: key.into(), arguments: bytes };
            prop_assert_eq!(read(&binding_key(&vhost, &pair), &[]), Some(Definition::Binding(vhost, pair)));
        }
    }

    #[test]
    fn policies_come_back_as_they_went_in() {
        let [user, operator] = [Kind::User, Kind::Operator].map(|kind| PolicyDefinition {
            kind,
            name: "p".to_owned(),
            pattern: "^q".to_owned(),
            apply_to: ApplyTo::QuorumQueues,
            priority: -3,
            definition: table(vec![("max-length".to_owned(), FieldValue::I64(5))]),
        });
        for definition in [&user, &operator] {
            let (key, value) = policy("v", definition);
            assert_eq!(read(&key, &value), Some(Definition::Policy("v".to_owned(), definition.clone())));
        }
        assert_ne!(policy("v", &user).0, policy("v", &operator).0);
    }

    #[test]
    fn vhosts_come_back_as_they_went_in() {
        for default_queue_type in [None, Some(QueueType::Quorum)] {
            let definition = VHostDefinition { default_queue_type };
            let (key, value) = vhost("v", &definition);
            assert_eq!(read(&key, &value), Some(Definition::VHost("v".to_owned(), definition)));
        }
    }

    #[test]
    fn a_queue_of_an_early_version_has_no_type() {
        let mut value = FieldTable::new();
        value.push("id", FieldValue::I64(3));
        value.push("auto_delete", false);
        value.push("arguments", FieldValue::Table(FieldTable::new()));
        let read = read(&queue_key("/", "q"), &value.encode());
        assert!(matches!(read, Some(Definition::Queue(_, queue)) if queue.queue_type == QueueType::Classic));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(
            key in prop::collection::vec(any::<u8>(), 0..60),
            value in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let _ = read(&key, &value);
        }
    }
}
