//! Whether two values of an argument are the same, and the words for when they are not.

use std::borrow::Cow;

use leveret_protocol::FieldValue;

use super::interval::Interval;
use super::term::{Encoding, Term, text, type_name};

/// The width at which RabbitMQ breaks a printed term into lines.
const LINE_WIDTH: usize = 80;

/// None if the values are equivalent, else the words for what was received and what is current.
pub(super) fn difference(
    argument: &str,
    received: Option<&FieldValue>,
    current: Option<&FieldValue>,
) -> Option<(String, String)> {
    match (received, current) {
        (None, None) => None,
        (Some(received), Some(current)) => {
            let (received, current) = (Compared::new(argument, received), Compared::new(argument, current));
            (!received.is_equivalent(&current)).then(|| (received.value(), current.value()))
        }
        (received, current) => {
            let words = |value: Option<&FieldValue>| {
                value.map_or_else(|| "none".to_owned(), |v| Compared::new(argument, v).typed_value())
            };
            Some((words(received), words(current)))
        }
    }
}

/// A value in the form in which it is compared: a valid age counts by its milliseconds.
enum Compared<'a> {
    Age(String),
    Value(&'a FieldValue),
}

impl<'a> Compared<'a> {
    fn new(argument: &str, value: &'a FieldValue) -> Self {
        let interval = match value {
            FieldValue::LongString(bytes) if argument == "x-max-age" => Interval::parse(bytes),
            _ => None,
        };
        interval.map_or(Self::Value(value), |interval| Self::Age(interval.ms_digits()))
    }

    fn is_equivalent(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Age(a), Self::Age(b)) => a == b,
            (Self::Value(a), Self::Value(b)) => is_equivalent(a, b),
            _ => false,
        }
    }

    fn value(&self) -> String {
        match self {
            Self::Value(FieldValue::Void) => "none".to_owned(),
            _ => format!("'{}'", self.printed("'")),
        }
    }

    fn typed_value(&self) -> String {
        const BEFORE: &str = "the value '";
        let type_name = match self {
            Self::Age(_) => "longstr",
            Self::Value(value) => type_name(value),
        };
        format!("{BEFORE}{}' of type '{type_name}'", self.printed(BEFORE))
    }

    fn printed(&self, before: &str) -> Cow<'_, str> {
        match self {
            Self::Age(digits) => digits.into(),
            Self::Value(FieldValue::LongString(bytes) | FieldValue::Bytes(bytes)) => text(bytes).into(),
            Self::Value(value) => Term::of(value).wrapped(before.len() + 1, LINE_WIDTH, Encoding::Unicode).into(),
        }
    }
}

/// Numbers are equal by value, whatever their width; a float never equals an integer.
fn is_equivalent(a: &FieldValue, b: &FieldValue) -> bool {
    match (integer(a), integer(b), float(a), float(b)) {
        (Some(a), Some(b), _, _) => return a == b,
        (_, _, Some(a), Some(b)) => return a == b,
        _ => {}
    }
    match (a, b) {
        (FieldValue::LongString(a), FieldValue::Bytes(b)) => a == b,
        (FieldValue::Bytes(a), FieldValue::LongString(b)) => a == b,
        (FieldValue::Table(table), FieldValue::Array(array)) => table.is_empty() && array.is_empty(),
        (FieldValue::Array(array), FieldValue::Table(table)) => table.is_empty() && array.is_empty(),
        (a, b) => a == b,
    }
}

fn integer(value: &FieldValue) -> Option<i128> {
    match value {
        FieldValue::Timestamp(n) => Some(i128::from(*n)),
        value => value.as_integer().map(i128::from),
    }
}

const fn float(value: &FieldValue) -> Option<f64> {
    match value {
        FieldValue::F32(x) => Some(*x as f64),
        FieldValue::F64(x) => Some(*x),
        _ => None,
    }
}
