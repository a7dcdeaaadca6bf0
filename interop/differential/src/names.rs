//! Names on the wire and in scripts: `@q` is a name of the script's own, `$gen1` one that the broker made.

use leveret_protocol::{FieldTable, FieldValue};

use crate::message::Properties;

/// The names of one play of one script.
#[derive(Debug)]
pub(crate) struct Names {
    /// What `@` stands for.
    prefix: String,
    /// What the broker made, with its name in scripts.
    made: Vec<(String, String)>,
}

/// How names that the broker makes begin, and what they are called in scripts.
const MADE: [(&str, &str); 3] = [("amq.gen-", "$gen"), ("amq.ctag-", "$ctag"), ("amq.rabbitmq.reply-to.", "$reply")];

impl Names {
    /// Names that differ from all others with another prefix.
    pub(crate) const fn new(prefix: String) -> Self {
        Self { prefix, made: Vec::new() }
    }

    /// A text of a script as it is sent.
    pub(crate) fn to_wire(&self, text: &str) -> String {
        if let Some(own) = text.strip_prefix('@') {
            return format!("{}{own}", self.prefix);
        }
        let made = self.made.iter().find(|(_, name)| name == text);
        made.map_or_else(|| text.to_owned(), |(made, _)| made.clone())
    }

    /// All properties as they are sent.
    pub(crate) fn properties_to_wire(&self, properties: &Properties) -> Properties {
        let mut sent = properties.clone();
        for text in sent.texts.values_mut() {
            *text = self.bytes_to_wire(text);
        }
        sent.headers = sent.headers.map(|table| self.table_to_wire(&table));
        sent
    }

    /// A table as it is sent.
    pub(crate) fn table_to_wire(&self, table: &FieldTable) -> FieldTable {
        map_table(table, &mut |bytes| self.bytes_to_wire(bytes))
    }

    fn bytes_to_wire(&self, bytes: &[u8]) -> Vec<u8> {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.to_wire(text).into_bytes(),
            Err(_) => bytes.to_vec(),
        }
    }

    /// Received properties as scripts show them.
    pub(crate) fn show_properties(&mut self, mut properties: Properties) -> Properties {
        for text in properties.texts.values_mut() {
            *text = self.show(&*text);
        }
        properties.headers = properties.headers.map(|table| map_table(&table, &mut |bytes| self.show(bytes)));
        properties
    }

    /// Received text as scripts show it.
    pub(crate) fn show(&mut self, received: impl AsRef<[u8]>) -> Vec<u8> {
        let Ok(text) = std::str::from_utf8(received.as_ref()) else {
            return received.as_ref().to_vec();
        };
        let mut rest = text.replace(&self.prefix, "@");
        let mut shown = String::new();
        while let Some((at, start, short)) = first_made(&rest) {
            let len = rest[at..].find(|c: char| !is_name(c)).unwrap_or(rest.len() - at);
            let made = rest[at..at + len].to_owned();
            shown.push_str(&rest[..at]);
            rest = rest.split_off(at + len);
            match made.len() == start.len() {
                true => shown.push_str(&made),
                false => shown.push_str(&self.short(made, short)),
            }
        }
        shown.push_str(&rest);
        shown.into_bytes()
    }

    fn short(&mut self, made: String, start: &str) -> String {
        if let Some((_, short)) = self.made.iter().find(|(known, _)| *known == made) {
            return short.clone();
        }
        let number = 1 + self.made.iter().filter(|(_, short)| short.starts_with(start)).count();
        let short = format!("{start}{number}");
        self.made.push((made, short.clone()));
        short
    }

    /// The queues that the broker named.
    pub(crate) fn made_queues(&self) -> impl Iterator<Item = &str> {
        self.made.iter().map(|(made, _)| made.as_str()).filter(|made| made.starts_with(MADE[0].0))
    }
}

fn first_made(text: &str) -> Option<(usize, &'static str, &'static str)> {
    MADE.iter().filter_map(|(start, short)| Some((text.find(start)?, *start, *short))).min()
}

const fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '/' | '=')
}

fn map_table(table: &FieldTable, text: &mut dyn FnMut(&[u8]) -> Vec<u8>) -> FieldTable {
    table.iter().map(|(name, value)| (name.to_vec(), map_value(value, text))).collect()
}

fn map_value(value: &FieldValue, text: &mut dyn FnMut(&[u8]) -> Vec<u8>) -> FieldValue {
    match value {
        FieldValue::LongString(bytes) => FieldValue::LongString(text(bytes)),
        FieldValue::Table(table) => FieldValue::Table(map_table(table, text)),
        FieldValue::Array(values) => FieldValue::Array(values.iter().map(|value| map_value(value, text)).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_on_the_wire_are_shown_as_in_scripts() {
        let mut names = Names::new("df1.".to_owned());
        assert_eq!(names.to_wire("@q"), "df1.q");
        assert_eq!(names.show("no queue 'df1.q' in vhost '/'"), b"no queue '@q' in vhost '/'");
        assert_eq!(names.show("amq.gen-x_Y-1 and amq.ctag-2 and amq.gen-x_Y-1"), b"$gen1 and $ctag1 and $gen1");
        assert_eq!(names.to_wire("$gen1"), "amq.gen-x_Y-1");
        assert_eq!(names.to_wire("$gen2"), "$gen2");
        assert_eq!(names.show("amq.rabbitmq.reply-to"), b"amq.rabbitmq.reply-to");
        assert_eq!(names.show("amq.rabbitmq.reply-to.g1hk=.x/y+z=="), b"$reply1");
        assert_eq!(names.show("amq.gen-*"), b"amq.gen-*");
    }
}
