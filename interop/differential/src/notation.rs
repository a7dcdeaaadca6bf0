//! How text, field values and tables are written in scripts and answers.
//!
//! ```text
//! text  = bare | "quoted"            bare = letters, digits and _-.@$*#/+:    escapes: \" \\ \n \r \t \xNN
//! value = letter ":" content         the letter is the one on the wire: I:5 S:text t:true D:2/314 A:[I:1,V:] F:{a=I:1}
//! table = "{" name=value,… "}"
//! ```

use leveret_protocol::{FieldTable, FieldValue};

/// What is wrong with a line of a script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotationError(pub(crate) String);

/// The result of reading notation.
pub(crate) type Read<T> = Result<T, NotationError>;

/// Makes a [`NotationError`].
pub(crate) fn error<T>(text: impl Into<String>) -> Read<T> {
    Err(NotationError(text.into()))
}

const fn is_bare(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'@' | b'$' | b'*' | b'#' | b'/' | b'+' | b':')
}

/// Appends text, quoted where it has to be.
pub(crate) fn write_text(out: &mut String, bytes: &[u8]) {
    if !bytes.is_empty() && bytes.iter().all(|byte| is_bare(*byte)) {
        out.extend(bytes.iter().map(|byte| char::from(*byte)));
        return;
    }
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out.push('"');
}

/// Text in the form of [`write_text`].
pub(crate) fn text(bytes: impl AsRef<[u8]>) -> String {
    let mut out = String::new();
    write_text(&mut out, bytes.as_ref());
    out
}

/// Appends a table in braces.
pub(crate) fn write_table(out: &mut String, table: &FieldTable) {
    out.push('{');
    for (index, (name, value)) in table.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_text(out, name);
        out.push('=');
        write_value(out, value);
    }
    out.push('}');
}

fn write_value(out: &mut String, value: &FieldValue) {
    let mut put = |letter: char, content: &dyn std::fmt::Display| out.push_str(&format!("{letter}:{content}"));
    match value {
        FieldValue::LongString(bytes) => put('S', &text(bytes)),
        FieldValue::Bytes(bytes) => put('x', &text(bytes)),
        FieldValue::I8(n) => put('b', n),
        FieldValue::U8(n) => put('B', n),
        FieldValue::I16(n) => put('s', n),
        FieldValue::U16(n) => put('u', n),
        FieldValue::I32(n) => put('I', n),
        FieldValue::U32(n) => put('i', n),
        FieldValue::I64(n) => put('l', n),
        FieldValue::Timestamp(n) => put('T', n),
        FieldValue::Bool(b) => put('t', b),
        FieldValue::F32(x) => put('f', x),
        FieldValue::F64(x) => put('d', x),
        FieldValue::Decimal { scale, value } => put('D', &format_args!("{scale}/{value}")),
        FieldValue::Void => put('V', &""),
        FieldValue::Table(table) => {
            out.push_str("F:");
            write_table(out, table);
        }
        FieldValue::Array(values) => {
            out.push_str("A:[");
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(out, value);
            }
            out.push(']');
        }
    }
}

/// Reads notation from the front of a line.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// A cursor at the beginning of `line`.
    pub(crate) const fn new(line: &'a str) -> Self {
        Self { rest: line.as_bytes() }
    }

    /// Skips spaces and says whether the line ends here.
    pub(crate) fn at_end(&mut self) -> bool {
        self.rest = self.rest.trim_ascii_start();
        self.rest.is_empty()
    }

    /// Takes `byte` if it is next.
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// Whether `byte` is next.
    pub(crate) fn sees(&self, byte: u8) -> bool {
        self.rest.first() == Some(&byte)
    }

    fn demand(&mut self, byte: u8) -> Read<()> {
        match self.take(byte) {
            true => Ok(()),
            false => error(format!("expected {:?} before {:?}", char::from(byte), String::from_utf8_lossy(self.rest))),
        }
    }

    /// Reads text, bare or quoted.
    pub(crate) fn text(&mut self) -> Read<Vec<u8>> {
        if self.take(b'"') {
            return self.quoted();
        }
        let end = self.rest.iter().position(|byte| !is_bare(*byte)).unwrap_or(self.rest.len());
        let (bare, rest) = self.rest.split_at(end);
        if bare.is_empty() {
            return error(format!("expected text before {:?}", String::from_utf8_lossy(rest)));
        }
        self.rest = rest;
        Ok(bare.to_vec())
    }

    fn quoted(&mut self) -> Read<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            let Some((first, rest)) = self.rest.split_first() else {
                return error("a quote is not closed");
            };
            self.rest = rest;
            match first {
                b'"' => return Ok(bytes),
                b'\\' => bytes.push(self.escape()?),
                byte => bytes.push(*byte),
            }
        }
    }

    fn escape(&mut self) -> Read<u8> {
        let (byte, len) = match self.rest {
            [b'x', a, b, ..] => {
                let digits = [*a, *b];
                let digits = std::str::from_utf8(&digits).ok();
                (digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()), 3)
            }
            [b'n', ..] => (Some(b'\n'), 1),
            [b'r', ..] => (Some(b'\r'), 1),
            [b't', ..] => (Some(b'\t'), 1),
            [c @ (b'"' | b'\\'), ..] => (Some(*c), 1),
            _ => (None, 0),
        };
        self.rest = self.rest.get(len..).unwrap_or_default();
        byte.map_or_else(|| error("unknown escape"), Ok)
    }

    /// Reads a table in braces.
    pub(crate) fn table(&mut self) -> Read<FieldTable> {
        self.demand(b'{')?;
        let mut table = FieldTable::new();
        self.list(b'}', |cursor| {
            let name = cursor.text()?;
            cursor.demand(b'=')?;
            table.push(name, cursor.value()?);
            Ok(())
        })?;
        Ok(table)
    }

    fn list(&mut self, end: u8, mut item: impl FnMut(&mut Self) -> Read<()>) -> Read<()> {
        self.at_end();
        if self.take(end) {
            return Ok(());
        }
        loop {
            self.at_end();
            item(self)?;
            self.at_end();
            if self.take(end) {
                return Ok(());
            }
            self.demand(b',')?;
        }
    }

    fn value(&mut self) -> Read<FieldValue> {
        let Some((letter, rest)) = self.rest.split_first() else {
            return error("a value is missing");
        };
        self.rest = rest;
        self.demand(b':')?;
        Ok(match letter {
            b'S' => FieldValue::LongString(self.text()?),
            b'x' => FieldValue::Bytes(self.text()?),
            b'b' => FieldValue::I8(self.number()?),
            b'B' => FieldValue::U8(self.number()?),
            b's' => FieldValue::I16(self.number()?),
            b'u' => FieldValue::U16(self.number()?),
            b'I' => FieldValue::I32(self.number()?),
            b'i' => FieldValue::U32(self.number()?),
            b'l' => FieldValue::I64(self.number()?),
            b'T' => FieldValue::Timestamp(self.number()?),
            b't' => FieldValue::Bool(self.number()?),
            b'f' => FieldValue::F32(self.number()?),
            b'd' => FieldValue::F64(self.number()?),
            b'D' => {
                let decimal = as_string(self.text()?)?;
                let Some((scale, value)) = decimal.split_once('/') else {
                    return error("a decimal is scale/digits");
                };
                FieldValue::Decimal { scale: parse(scale)?, value: parse(value)? }
            }
            b'V' => FieldValue::Void,
            b'F' => FieldValue::Table(self.table()?),
            b'A' => {
                self.demand(b'[')?;
                let mut values = Vec::new();
                self.list(b']', |cursor| cursor.value().map(|value| values.push(value)))?;
                FieldValue::Array(values)
            }
            letter => return error(format!("no type {:?}", char::from(*letter))),
        })
    }

    fn number<T: std::str::FromStr>(&mut self) -> Read<T> {
        parse(&as_string(self.text()?)?)
    }
}

/// Reads a number, or whatever else `T` is.
pub(crate) fn parse<T: std::str::FromStr>(text: &str) -> Read<T> {
    text.parse().map_or_else(|_| error(format!("cannot read {text:?}")), Ok)
}

/// Text that has to be UTF-8.
pub(crate) fn as_string(bytes: Vec<u8>) -> Read<String> {
    String::from_utf8(bytes).map_or_else(|_| error("text that is not UTF-8"), Ok)
}
