//! Messages as scripts write them: routing, body and properties.

use std::collections::BTreeMap;

use leveret_protocol::{BasicProperties, EncodedTable, FieldTable};

use crate::line::{Line, LineWriter, Named};
use crate::notation::{Read, as_string, error, parse};

/// What basic.publish says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Message {
    pub(crate) exchange: String,
    pub(crate) key: String,
    pub(crate) body: Vec<u8>,
    pub(crate) mandatory: bool,
    pub(crate) immediate: bool,
    /// How often; the bodies of more than one have `-1`, `-2`, … at their end.
    pub(crate) count: u32,
    pub(crate) properties: Properties,
}

impl Message {
    /// Reads what stands behind the method's name.
    pub(crate) fn from_line(line: &mut Line) -> Read<Self> {
        let (exchange, key, body) = (line.text()?, line.text()?, line.word()?);
        let (mandatory, immediate) = (line.flag("mandatory"), line.flag("immediate"));
        let count = line.named_number("count")?.unwrap_or(1);
        let properties = Properties::from_named(line.rest_named())?;
        Ok(Self { exchange, key, body, mandatory, immediate, count, properties })
    }

    /// Writes what [`Message::from_line`] reads.
    pub(crate) fn to_line(&self, line: LineWriter) -> LineWriter {
        let line = line.word(&self.exchange).word(&self.key).word(&self.body);
        let line = line.flag("mandatory", self.mandatory).flag("immediate", self.immediate);
        let line = match self.count {
            1 => line,
            count => line.named("count", count.to_string()),
        };
        self.properties.to_line(line)
    }

    /// The bodies to publish.
    pub(crate) fn bodies(&self) -> impl Iterator<Item = Vec<u8>> {
        let suffix = |index| match self.count {
            1 => String::new(),
            _ => format!("-{index}"),
        };
        (1..=self.count).map(move |index| [&self.body, suffix(index).as_bytes()].concat())
    }
}

/// Properties by their names in the specification; those that are there.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Properties {
    pub(crate) headers: Option<FieldTable>,
    pub(crate) texts: BTreeMap<&'static str, Vec<u8>>,
    pub(crate) numbers: BTreeMap<&'static str, u64>,
}

const TEXTS: [&str; 10] = [
    "app-id",
    "cluster-id",
    "content-encoding",
    "content-type",
    "correlation-id",
    "expiration",
    "message-id",
    "reply-to",
    "type",
    "user-id",
];
const NUMBERS: [&str; 3] = ["delivery-mode", "priority", "timestamp"];

impl Properties {
    fn from_named(named: Vec<(String, Named)>) -> Read<Self> {
        let mut properties = Self::default();
        for (name, value) in named {
            let known = |names: &[&'static str]| names.iter().find(|known| **known == name).copied();
            match value {
                Named::Table(table) if name == "headers" => properties.headers = Some(table),
                Named::Text(text) => match (known(&TEXTS), known(&NUMBERS)) {
                    (Some(name), _) => drop(properties.texts.insert(name, text)),
                    (_, Some(name)) => drop(properties.numbers.insert(name, parse(&as_string(text)?)?)),
                    _ => return error(format!("there is no property {name}")),
                },
                Named::Table(_) => return error(format!("{name} is no table")),
            }
        }
        Ok(properties)
    }

    /// Writes all properties as named values.
    pub(crate) fn to_line(&self, mut line: LineWriter) -> LineWriter {
        for (name, number) in &self.numbers {
            line = line.named(name, number.to_string());
        }
        for (name, text) in &self.texts {
            line = line.named(name, text);
        }
        match &self.headers {
            Some(headers) => line.named_table("headers", headers),
            None => line,
        }
    }

    /// Flags and values for a header frame.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let headers = self.headers.as_ref().map(EncodedTable::from);
        let text = |name| self.texts.get(name).map(Vec::as_slice);
        let octet = |name| self.numbers.get(name).map(|number| *number as u8);
        let mut out = Vec::new();
        BasicProperties {
            content_type: text("content-type"),
            content_encoding: text("content-encoding"),
            headers: headers.as_ref().map(EncodedTable::as_table),
            delivery_mode: octet("delivery-mode"),
            priority: octet("priority"),
            correlation_id: text("correlation-id"),
            reply_to: text("reply-to"),
            expiration: text("expiration"),
            message_id: text("message-id"),
            timestamp: self.numbers.get("timestamp").copied(),
            kind: text("type"),
            user_id: text("user-id"),
            app_id: text("app-id"),
            cluster_id: text("cluster-id"),
        }
        .encode(&mut out);
        out
    }
}

impl From<BasicProperties<'_>> for Properties {
    fn from(received: BasicProperties<'_>) -> Self {
        let texts = [
            ("app-id", received.app_id),
            ("cluster-id", received.cluster_id),
            ("content-encoding", received.content_encoding),
            ("content-type", received.content_type),
            ("correlation-id", received.correlation_id),
            ("expiration", received.expiration),
            ("message-id", received.message_id),
            ("reply-to", received.reply_to),
            ("type", received.kind),
            ("user-id", received.user_id),
        ];
        let numbers = [
            ("delivery-mode", received.delivery_mode.map(u64::from)),
            ("priority", received.priority.map(u64::from)),
            ("timestamp", received.timestamp),
        ];
        Self {
            headers: received.headers.map(|table| table.to_owned()),
            texts: texts.into_iter().filter_map(|(name, text)| Some((name, text?.to_vec()))).collect(),
            numbers: numbers.into_iter().filter_map(|(name, number)| Some((name, number?))).collect(),
        }
    }
}
