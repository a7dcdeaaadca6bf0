//! `exchange.declare`.

use leveret_protocol::{FieldTable, Table, Value};

use super::{Change, Exchange, ExchangeDefinition, ExchangeFlags, Topology, TopologyError};
use crate::broker::exchange::{Bindings, ExchangeId, ExchangeType, text, type_name};

/// The argument that names the alternate exchange.
const ALTERNATE_EXCHANGE: &str = "alternate-exchange";

/// What `exchange.declare` asks for.
#[derive(Debug, Clone, Copy)]
pub struct Declare<'a> {
    /// The exchange, without line ends.
    pub name: &'a str,
    /// The name of the type; not read if `passive`.
    pub exchange_type: &'a str,
    /// Only ask whether it is there.
    pub passive: bool,
    /// Its flags; not read if `passive`.
    pub flags: ExchangeFlags,
    /// Its arguments; not read if `passive`.
    pub arguments: Table<'a>,
}

impl Topology {
    /// Declares an exchange, or checks that it is there as asked. Gives whether it is new.
    ///
    /// The checks in order: type, default exchange, then of an exchange that is there the equivalence, of a new one its
    /// name and arguments. Rights come between the default exchange and the rest: a caller who checks them asks
    /// [`check_declare`](Self::check_declare) first.
    ///
    /// # Errors
    /// [`TopologyError`], and nothing is changed.
    pub fn declare_exchange(&mut self, declare: &Declare<'_>) -> Result<bool, TopologyError> {
        let found = self.exchange_id(declare.name.as_bytes());
        let exchange_type = self.check_declare(declare).map_err(|error| self.other_type(error, found))?;
        match (exchange_type, found) {
            (None, Some(_)) => Ok(false),
            (None, None) => Err(TopologyError::NoExchange(self.exchange_ref(declare.name.as_bytes()))),
            (Some(exchange_type), Some(id)) => {
                self.check_equivalent(id, exchange_type, declare)?;
                Ok(false)
            }
            (Some(exchange_type), None) => {
                self.check_new(declare)?;
                self.insert_exchange(ExchangeDefinition {
                    name: declare.name.into(),
                    exchange_type,
                    flags: declare.flags,
                    arguments: declare.arguments.to_owned(),
                });
                Ok(true)
            }
        }
    }

    /// The checks of a declare that come before those of rights. Gives the type, none if passive.
    ///
    /// # Errors
    /// An unknown type, or the default exchange.
    pub fn check_declare(&self, declare: &Declare<'_>) -> Result<Option<ExchangeType>, TopologyError> {
        let exchange_type = if declare.passive { None } else { Some(ExchangeType::parse(declare.exchange_type)?) };
        if declare.name.is_empty() {
            return Err(TopologyError::DefaultExchange);
        }
        Ok(exchange_type)
    }

    /// Gives an exchange the alternate that a policy says, unless it was declared with one.
    pub fn set_policy_alternate(&mut self, exchange: &str, by_policy: Option<Vec<u8>>) {
        let Some(id) = self.exchange_id(exchange.as_bytes()).filter(|_| !exchange.is_empty()) else { return };
        let exchange = &mut self.exchanges[id.0];
        let alternate = alternate(&exchange.definition.arguments).or_else(|| by_policy.map(Into::into));
        if exchange.alternate != alternate {
            exchange.alternate = alternate;
            self.generation += 1;
        }
    }

    /// Adds an exchange of a name that is not in use.
    pub fn insert_exchange(&mut self, definition: ExchangeDefinition) {
        self.generation += 1;
        self.record(|| Change::ExchangeMade(definition.clone()));
        let name = definition.name.as_bytes().into();
        let id = self.exchanges.insert(Exchange {
            alternate: alternate(&definition.arguments),
            bindings: Bindings::new(definition.exchange_type),
            outgoing: Vec::new(),
            incoming: Vec::new(),
            definition,
        });
        self.exchange_names.insert(name, ExchangeId(id));
    }

    /// The checks of an exchange that is not there yet.
    fn check_new(&self, declare: &Declare<'_>) -> Result<(), TopologyError> {
        if declare.name.starts_with("amq.") {
            return Err(TopologyError::ReservedName(declare.name.into()));
        }
        match declare.arguments.get(ALTERNATE_EXCHANGE) {
            None | Some(Value::LongString(_)) => Ok(()),
            Some(value) => Err(TopologyError::AlternateType {
                exchange: self.exchange_ref(declare.name.as_bytes()),
                type_name: type_name(&value),
            }),
        }
    }

    /// An exchange that is there is of another type than one of RabbitMQ's that is not here.
    fn other_type(&self, error: TopologyError, found: Option<ExchangeId>) -> TopologyError {
        match (error, found) {
            (TopologyError::InvalidType(name), Some(id)) if !name.is_empty() => {
                let definition = &self.exchanges[id.0].definition;
                TopologyError::Inequivalent {
                    argument: "type",
                    exchange: self.exchange_ref(definition.name.as_bytes()),
                    received: format!("''{name}''").into(),
                    current: quoted_type(definition.exchange_type).into(),
                }
            }
            (error, _) => error,
        }
    }

    /// Compares what is there with what is asked for; the first difference is named.
    fn check_equivalent(
        &self,
        id: ExchangeId,
        exchange_type: ExchangeType,
        declare: &Declare<'_>,
    ) -> Result<(), TopologyError> {
        let exchange = &self.exchanges[id.0];
        let current = &exchange.definition;
        let refuse = |argument, received: String, current: String| TopologyError::Inequivalent {
            argument,
            exchange: self.exchange_ref(declare.name.as_bytes()),
            received: received.into(),
            current: current.into(),
        };
        if current.exchange_type != exchange_type {
            let received = quoted_type(exchange_type);
            return Err(refuse("type", received, quoted_type(current.exchange_type)));
        }
        let (is, asked) = (current.flags, declare.flags);
        for (argument, is, asked) in [
            ("durable", is.durable, asked.durable),
            ("auto_delete", is.auto_delete, asked.auto_delete),
            ("internal", is.internal, asked.internal),
        ] {
            if is != asked {
                return Err(refuse(argument, format!("'{asked}'"), format!("'{is}'")));
            }
        }
        let asked = declare.arguments.get(ALTERNATE_EXCHANGE);
        match alternate_difference(exchange.alternate.as_deref(), asked) {
            Some((received, current)) => Err(refuse(ALTERNATE_EXCHANGE, received, current)),
            None => Ok(()),
        }
    }
}

/// The alternate exchange that arguments name. Of several the first counts.
fn alternate(arguments: &FieldTable) -> Option<Box<[u8]>> {
    match arguments.get(ALTERNATE_EXCHANGE) {
        Some(leveret_protocol::FieldValue::LongString(name)) => Some(name.as_slice().into()),
        _ => None,
    }
}

/// Names with a dash are quoted twice.
fn quoted_type(exchange_type: ExchangeType) -> String {
    let name = exchange_type.as_str();
    if name.contains('-') { format!("''{name}''") } else { format!("'{name}'") }
}

/// Phrases for the alternate asked for and the current one, if they differ.
fn alternate_difference(current: Option<&[u8]>, asked: Option<Value<'_>>) -> Option<(String, String)> {
    let with_type = |value: &Value<'_>| format!("the value '{}' of type '{}'", text(value), type_name(value));
    match (current, asked) {
        (None, None) => None,
        (None, Some(asked)) => Some((with_type(&asked), "none".to_owned())),
        (Some(name), None) => Some(("none".to_owned(), with_type(&Value::LongString(name)))),
        (Some(name), Some(Value::LongString(asked) | Value::Bytes(asked))) if name == asked => None,
        (Some(name), Some(asked)) => {
            let received = match asked {
                Value::Void => "none".to_owned(),
                asked => format!("'{}'", text(&asked)),
            };
            Some((received, format!("'{}'", text(&Value::LongString(name)))))
        }
    }
}
