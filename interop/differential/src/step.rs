//! The steps of a script. [`Step`] reads and writes them as lines.

use std::fmt;

use leveret_protocol::FieldTable;

use crate::line::{Line, LineWriter};
use crate::message::Message;
use crate::notation::{Read, error, parse};

/// A connection by its letter, and a channel on it; channel 0 is the connection itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) connection: char,
    pub(crate) channel: u16,
}

impl Place {
    fn parse(text: &str) -> Read<Self> {
        let mut chars = text.chars();
        let connection = chars.next().filter(char::is_ascii_lowercase);
        let channel = match chars.as_str() {
            "" => Some(0),
            digits => digits.parse().ok().filter(|channel| (1..=99).contains(channel)),
        };
        match (connection, channel) {
            (Some(connection), Some(channel)) => Ok(Self { connection, channel }),
            _ => error(format!("{text:?} is no channel: connections are a to z, their channels a1 to a99")),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.channel {
            0 => write!(f, "{}", self.connection),
            channel => write!(f, "{}{channel}", self.connection),
        }
    }
}

/// Which delivery is settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// The one with this delivery tag, whether there is one or not.
    Tag(u64),
    /// The unsettled one with the lowest tag on the channel.
    First,
    /// The unsettled one with the highest tag on the channel.
    Last,
    /// The last unsettled one with this body on the channel.
    Body(Vec<u8>),
}

impl Target {
    fn from_line(line: &mut Line) -> Read<Self> {
        let word = line.word()?;
        Ok(match word.as_slice() {
            b"first" => Self::First,
            b"last" => Self::Last,
            [b'b', b'o', b'd', b'y', b':', body @ ..] => Self::Body(body.to_vec()),
            tag => Self::Tag(parse(&String::from_utf8_lossy(tag))?),
        })
    }

    fn to_word(&self) -> Vec<u8> {
        match self {
            Self::First => b"first".to_vec(),
            Self::Last => b"last".to_vec(),
            Self::Body(body) => [b"body:", body.as_slice()].concat(),
            Self::Tag(tag) => tag.to_string().into_bytes(),
        }
    }
}

/// What a step does. Methods of the protocol have their names and arguments.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    ExchangeDeclare {
        exchange: String,
        kind: String,
        passive: bool,
        durable: bool,
        auto_delete: bool,
        internal: bool,
        nowait: bool,
        args: FieldTable,
    },
    ExchangeDelete {
        exchange: String,
        if_unused: bool,
        nowait: bool,
    },
    ExchangeBind {
        destination: String,
        source: String,
        key: String,
        nowait: bool,
        args: FieldTable,
    },
    ExchangeUnbind {
        destination: String,
        source: String,
        key: String,
        nowait: bool,
        args: FieldTable,
    },
    QueueDeclare {
        queue: String,
        passive: bool,
        durable: bool,
        exclusive: bool,
        auto_delete: bool,
        nowait: bool,
        args: FieldTable,
    },
    QueueBind {
        queue: String,
        exchange: String,
        key: String,
        nowait: bool,
        args: FieldTable,
    },
    QueueUnbind {
        queue: String,
        exchange: String,
        key: String,
        args: FieldTable,
    },
    QueuePurge {
        queue: String,
        nowait: bool,
    },
    QueueDelete {
        queue: String,
        if_unused: bool,
        if_empty: bool,
        nowait: bool,
    },
    Qos {
        count: u16,
        global: bool,
    },
    Consume {
        queue: String,
        tag: String,
        no_ack: bool,
        exclusive: bool,
        nowait: bool,
        args: FieldTable,
    },
    Cancel {
        tag: String,
        nowait: bool,
    },
    Publish(Message),
    Get {
        queue: String,
        no_ack: bool,
    },
    Ack {
        target: Target,
        multiple: bool,
    },
    Nack {
        target: Target,
        multiple: bool,
        requeue: bool,
    },
    Reject {
        target: Target,
        requeue: bool,
    },
    Recover {
        requeue: bool,
    },
    ConfirmSelect {
        nowait: bool,
    },
    TxSelect,
    TxCommit,
    TxRollback,
    ChannelClose,
    ConnectionClose,
    /// Ends TCP without a word.
    ConnectionDrop,
    /// Waits until the channel has had so many deliveries since the step before.
    Await {
        count: usize,
    },
    /// Waits so many milliseconds.
    Sleep {
        ms: u64,
    },
    /// Waits until the queue has so many ready messages.
    Wait {
        queue: String,
        ready: u32,
    },
}

/// One line of a script.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    /// Where; None for what concerns the script alone.
    pub(crate) place: Option<Place>,
    /// What.
    pub(crate) action: Action,
    /// The next step follows at once, and what is answered counts as that one's.
    pub(crate) pipelined: bool,
}

impl Step {
    /// Reads a line.
    pub(crate) fn parse(text: &str) -> Read<Self> {
        let mut line = Line::parse(text)?;
        let first = line.text()?;
        let (place, name) = match first.as_str() {
            "sleep" | "wait" => (None, first.clone()),
            place => (Some(Place::parse(place)?), line.text()?),
        };
        let action = Action::from_line(&name, &mut line)?;
        let on_connection = matches!(action, Action::ConnectionClose | Action::ConnectionDrop);
        if place.is_some_and(|place| (place.channel == 0) != on_connection) {
            return error(format!("{name} is not for {first}"));
        }
        let pipelined = line.flag("pipelined");
        line.finish()?;
        Ok(Self { place, action, pipelined })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.action.to_line(self.place.map(|place| format!("{place} ")).unwrap_or_default());
        f.write_str(&line.flag("pipelined", self.pipelined).finish())
    }
}

impl Action {
    /// Whether it is the end of a channel or a connection.
    pub(crate) const fn ends_consumers(&self) -> bool {
        matches!(self, Self::ChannelClose | Self::ConnectionClose | Self::ConnectionDrop)
    }

    fn from_line(name: &str, l: &mut Line) -> Read<Self> {
        let action = match name {
            "exchange.declare" => Self::ExchangeDeclare {
                exchange: l.text()?,
                kind: l.text()?,
                passive: l.flag("passive"),
                durable: l.flag("durable"),
                auto_delete: l.flag("auto-delete"),
                internal: l.flag("internal"),
                nowait: l.flag("nowait"),
                args: l.table("args")?,
            },
            "exchange.delete" => {
                Self::ExchangeDelete { exchange: l.text()?, if_unused: l.flag("if-unused"), nowait: l.flag("nowait") }
            }
            "exchange.bind" => {
                let (destination, source, key) = (l.text()?, l.text()?, l.text()?);
                Self::ExchangeBind { destination, source, key, nowait: l.flag("nowait"), args: l.table("args")? }
            }
            "exchange.unbind" => {
                let (destination, source, key) = (l.text()?, l.text()?, l.text()?);
                Self::ExchangeUnbind { destination, source, key, nowait: l.flag("nowait"), args: l.table("args")? }
            }
            "queue.declare" => Self::QueueDeclare {
                queue: l.text()?,
                passive: l.flag("passive"),
                durable: l.flag("durable"),
                exclusive: l.flag("exclusive"),
                auto_delete: l.flag("auto-delete"),
                nowait: l.flag("nowait"),
                args: l.table("args")?,
            },
            "queue.bind" => {
                let (queue, exchange, key) = (l.text()?, l.text()?, l.text()?);
                Self::QueueBind { queue, exchange, key, nowait: l.flag("nowait"), args: l.table("args")? }
            }
            "queue.unbind" => {
                Self::QueueUnbind { queue: l.text()?, exchange: l.text()?, key: l.text()?, args: l.table("args")? }
            }
            "queue.purge" => Self::QueuePurge { queue: l.text()?, nowait: l.flag("nowait") },
            "queue.delete" => Self::QueueDelete {
                queue: l.text()?,
                if_unused: l.flag("if-unused"),
                if_empty: l.flag("if-empty"),
                nowait: l.flag("nowait"),
            },
            "basic.qos" => Self::Qos { count: l.number()?, global: l.flag("global") },
            "basic.consume" => Self::Consume {
                queue: l.text()?,
                tag: l.text()?,
                no_ack: l.flag("no-ack"),
                exclusive: l.flag("exclusive"),
                nowait: l.flag("nowait"),
                args: l.table("args")?,
            },
            "basic.cancel" => Self::Cancel { tag: l.text()?, nowait: l.flag("nowait") },
            "basic.publish" => Self::Publish(Message::from_line(l)?),
            "basic.get" => Self::Get { queue: l.text()?, no_ack: l.flag("no-ack") },
            "basic.ack" => Self::Ack { target: Target::from_line(l)?, multiple: l.flag("multiple") },
            "basic.nack" => {
                Self::Nack { target: Target::from_line(l)?, multiple: l.flag("multiple"), requeue: l.flag("requeue") }
            }
            "basic.reject" => Self::Reject { target: Target::from_line(l)?, requeue: l.flag("requeue") },
            "basic.recover" => Self::Recover { requeue: l.flag("requeue") },
            "confirm.select" => Self::ConfirmSelect { nowait: l.flag("nowait") },
            "tx.select" => Self::TxSelect,
            "tx.commit" => Self::TxCommit,
            "tx.rollback" => Self::TxRollback,
            "channel.close" => Self::ChannelClose,
            "connection.close" => Self::ConnectionClose,
            "connection.drop" => Self::ConnectionDrop,
            "await" => Self::Await { count: l.number()? },
            "sleep" => Self::Sleep { ms: l.number()? },
            "wait" => Self::Wait { queue: l.text()?, ready: l.number()? },
            _ => return error(format!("there is no step {name:?}")),
        };
        Ok(action)
    }

    /// Writes the action behind `start`, the place with a space.
    fn to_line(&self, start: String) -> LineWriter {
        let line = |name: &str| LineWriter::new(start + name);
        match self {
            Self::ExchangeDeclare { exchange, kind, passive, durable, auto_delete, internal, nowait, args } => {
                let line = line("exchange.declare").word(exchange).word(kind);
                let line = line.flag("passive", *passive).flag("durable", *durable).flag("auto-delete", *auto_delete);
                line.flag("internal", *internal).flag("nowait", *nowait).table("args", args)
            }
            Self::ExchangeDelete { exchange, if_unused, nowait } => {
                line("exchange.delete").word(exchange).flag("if-unused", *if_unused).flag("nowait", *nowait)
            }
            Self::ExchangeBind { destination, source, key, nowait, args } => {
                let line = line("exchange.bind").word(destination).word(source).word(key);
                line.flag("nowait", *nowait).table("args", args)
            }
            Self::ExchangeUnbind { destination, source, key, nowait, args } => {
                let line = line("exchange.unbind").word(destination).word(source).word(key);
                line.flag("nowait", *nowait).table("args", args)
            }
            Self::QueueDeclare { queue, passive, durable, exclusive, auto_delete, nowait, args } => {
                let line = line("queue.declare").word(queue).flag("passive", *passive).flag("durable", *durable);
                let line = line.flag("exclusive", *exclusive).flag("auto-delete", *auto_delete);
                line.flag("nowait", *nowait).table("args", args)
            }
            Self::QueueBind { queue, exchange, key, nowait, args } => {
                let line = line("queue.bind").word(queue).word(exchange).word(key);
                line.flag("nowait", *nowait).table("args", args)
            }
            Self::QueueUnbind { queue, exchange, key, args } => {
                line("queue.unbind").word(queue).word(exchange).word(key).table("args", args)
            }
            Self::QueuePurge { queue, nowait } => line("queue.purge").word(queue).flag("nowait", *nowait),
            Self::QueueDelete { queue, if_unused, if_empty, nowait } => {
                let line = line("queue.delete").word(queue).flag("if-unused", *if_unused);
                line.flag("if-empty", *if_empty).flag("nowait", *nowait)
            }
            Self::Qos { count, global } => line("basic.qos").word(count.to_string()).flag("global", *global),
            Self::Consume { queue, tag, no_ack, exclusive, nowait, args } => {
                let line = line("basic.consume").word(queue).word(tag).flag("no-ack", *no_ack);
                line.flag("exclusive", *exclusive).flag("nowait", *nowait).table("args", args)
            }
            Self::Cancel { tag, nowait } => line("basic.cancel").word(tag).flag("nowait", *nowait),
            Self::Publish(message) => message.to_line(line("basic.publish")),
            Self::Get { queue, no_ack } => line("basic.get").word(queue).flag("no-ack", *no_ack),
            Self::Ack { target, multiple } => line("basic.ack").word(target.to_word()).flag("multiple", *multiple),
            Self::Nack { target, multiple, requeue } => {
                line("basic.nack").word(target.to_word()).flag("multiple", *multiple).flag("requeue", *requeue)
            }
            Self::Reject { target, requeue } => line("basic.reject").word(target.to_word()).flag("requeue", *requeue),
            Self::Recover { requeue } => line("basic.recover").flag("requeue", *requeue),
            Self::ConfirmSelect { nowait } => line("confirm.select").flag("nowait", *nowait),
            Self::TxSelect => line("tx.select"),
            Self::TxCommit => line("tx.commit"),
            Self::TxRollback => line("tx.rollback"),
            Self::ChannelClose => line("channel.close"),
            Self::ConnectionClose => line("connection.close"),
            Self::ConnectionDrop => line("connection.drop"),
            Self::Await { count } => line("await").word(count.to_string()),
            Self::Sleep { ms } => line("sleep").word(ms.to_string()),
            Self::Wait { queue, ready } => line("wait").word(queue).word(ready.to_string()),
        }
    }
}
