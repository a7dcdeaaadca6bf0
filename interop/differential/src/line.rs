//! A line of a script as words, flags and named values, before anyone knows what they mean.

use std::collections::VecDeque;
use std::fmt;

use leveret_protocol::FieldTable;

use crate::notation::{Cursor, Read, as_string, error, parse, write_table, write_text};

/// What stands behind `name=`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Named {
    /// Text.
    Text(Vec<u8>),
    /// A table in braces.
    Table(FieldTable),
}

/// The words of a line that were not asked for yet.
#[derive(Debug)]
pub(crate) struct Line {
    words: VecDeque<Vec<u8>>,
    named: Vec<(String, Named)>,
}

impl Line {
    /// Splits a line.
    pub(crate) fn parse(line: &str) -> Read<Self> {
        let mut cursor = Cursor::new(line);
        let mut split = Self { words: VecDeque::new(), named: Vec::new() };
        while !cursor.at_end() {
            let text = cursor.text()?;
            if !cursor.take(b'=') {
                split.words.push_back(text);
                continue;
            }
            let value = match cursor.sees(b'{') {
                true => Named::Table(cursor.table()?),
                false => Named::Text(cursor.text()?),
            };
            split.named.push((as_string(text)?, value));
        }
        Ok(split)
    }

    /// The next word.
    pub(crate) fn word(&mut self) -> Read<Vec<u8>> {
        self.words.pop_front().map_or_else(|| error("a word is missing"), Ok)
    }

    /// The next word as text.
    pub(crate) fn text(&mut self) -> Read<String> {
        as_string(self.word()?)
    }

    /// The next word as a number.
    pub(crate) fn number<T: std::str::FromStr>(&mut self) -> Read<T> {
        parse(&self.text()?)
    }

    /// Whether `name` is among the words that are left. Only behind all that have a fixed place.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let found = self.words.iter().position(|word| word == name.as_bytes());
        found.is_some_and(|index| self.words.remove(index).is_some())
    }

    /// The table behind `name=`; an empty one without it.
    pub(crate) fn table(&mut self, name: &str) -> Read<FieldTable> {
        match self.named(name) {
            None => Ok(FieldTable::new()),
            Some(Named::Table(table)) => Ok(table),
            Some(Named::Text(_)) => error(format!("{name} is a table")),
        }
    }

    /// The number behind `name=`.
    pub(crate) fn named_number<T: std::str::FromStr>(&mut self, name: &str) -> Read<Option<T>> {
        match self.named(name) {
            None => Ok(None),
            Some(Named::Text(text)) => parse(&as_string(text)?).map(Some),
            Some(Named::Table(_)) => error(format!("{name} is a number")),
        }
    }

    /// All named values that are left.
    pub(crate) fn rest_named(&mut self) -> Vec<(String, Named)> {
        std::mem::take(&mut self.named)
    }

    fn named(&mut self, name: &str) -> Option<Named> {
        let index = self.named.iter().position(|(other, _)| other == name)?;
        Some(self.named.remove(index).1)
    }

    /// Refuses what nobody asked for.
    pub(crate) fn finish(self) -> Read<()> {
        match (self.words.front(), self.named.first()) {
            (None, None) => Ok(()),
            (Some(word), _) => error(format!("unexpected {:?}", String::from_utf8_lossy(word))),
            (None, Some((name, _))) => error(format!("unexpected {name:?}")),
        }
    }
}

/// Writes a line word by word.
#[derive(Debug)]
pub(crate) struct LineWriter(String);

impl LineWriter {
    /// A line that begins with a name, written as it is.
    pub(crate) fn new(name: impl fmt::Display) -> Self {
        Self(name.to_string())
    }

    /// A word in its fixed place.
    pub(crate) fn word(mut self, word: impl AsRef<[u8]>) -> Self {
        self.0.push(' ');
        write_text(&mut self.0, word.as_ref());
        self
    }

    /// `name`, if it is so.
    pub(crate) fn flag(mut self, name: &str, holds: bool) -> Self {
        if holds {
            self.0.push(' ');
            self.0.push_str(name);
        }
        self
    }

    /// `name={…}`, unless the table is empty.
    pub(crate) fn table(self, name: &str, table: &FieldTable) -> Self {
        if table.is_empty() {
            return self;
        }
        self.named_table(name, table)
    }

    /// `name={…}`.
    pub(crate) fn named_table(mut self, name: &str, table: &FieldTable) -> Self {
        self.0.push_str(&format!(" {name}="));
        write_table(&mut self.0, table);
        self
    }

    /// `name=text`.
    pub(crate) fn named(mut self, name: &str, text: impl AsRef<[u8]>) -> Self {
        self.0.push_str(&format!(" {name}="));
        write_text(&mut self.0, text.as_ref());
        self
    }

    /// The line.
    pub(crate) fn finish(self) -> String {
        self.0
    }
}
