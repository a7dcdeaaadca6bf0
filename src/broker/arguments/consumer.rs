//! The arguments of `basic.consume` (S-18, Q-31, Q-38, Q-39).

use leveret_protocol::{FieldTable, FieldValue};

use super::interval::Interval;
use super::{ArgumentError, InvalidValue, QueueReference, QueueType, check};

/// What a consumer asked for beside its flags.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConsumerArguments {
    /// `x-priority`: higher is served first.
    pub priority: i64,
    /// `x-consumer-timeout` in milliseconds.
    pub timeout_ms: Option<u64>,
    /// `x-stream-offset`
    pub stream_offset: StreamOffset,
    /// `x-stream-filter`: the values of which one has to match; none is no filter.
    pub stream_filter: Vec<Vec<u8>>,
    /// `x-stream-match-unfiltered`: whether messages without a filter value match too.
    pub stream_match_unfiltered: bool,
}

/// Where in a stream a consumer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StreamOffset {
    /// At the first message.
    First,
    /// At the last chunk of messages.
    Last,
    /// At the messages published from now on.
    #[default]
    Next,
    /// At this offset; a negative one is taken too.
    Offset(i64),
    /// At messages published this many seconds after 1970 or later.
    Timestamp(u64),
    /// At messages published this many milliseconds ago or later.
    Age(u64),
}

impl ConsumerArguments {
    /// Reads the arguments for a queue of this type: values first, then arguments that only other types know.
    pub fn parse(
        queue: QueueReference<'_>,
        queue_type: QueueType,
        arguments: &FieldTable,
    ) -> Result<Self, ArgumentError> {
        let mut parsed = Self::default();
        for (argument, read) in READERS {
            let known = queue_type.consumer_arguments().contains(&argument);
            let Some(value) = arguments.get(argument).filter(|_| known) else {
                continue;
            };
            read(&mut parsed, value).map_err(|reason| ArgumentError::InvalidValue {
                queue: queue.to_string(),
                argument,
                reason,
            })?;
        }
        queue_type.unsuitable_consumer_argument(arguments).map_or(Ok(parsed), |argument| {
            Err(ArgumentError::UnsuitableArgument { queue: queue.to_string(), argument, queue_type })
        })
    }

    fn read_stream_filter(&mut self, value: &FieldValue) -> Result<(), InvalidValue> {
        match value {
            FieldValue::LongString(filter) => self.stream_filter.push(filter.clone()),
            FieldValue::Array(values) => {
                self.stream_filter.extend(values.iter().filter_map(|v| match v {
                    FieldValue::LongString(filter) => Some(filter.clone()),
                    _ => None,
                }));
                // RabbitMQ fails on an array without any string.
                if self.stream_filter.is_empty() {
                    return Err(InvalidValue::StreamFilter(value.clone()));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl StreamOffset {
    fn parse(value: &FieldValue) -> Option<Self> {
        match value {
            FieldValue::LongString(name) => match name.as_slice() {
                b"first" => Some(Self::First),
                b"last" => Some(Self::Last),
                b"next" => Some(Self::Next),
                interval => Some(Self::Age(Interval::parse(interval)?.as_ms())),
            },
            FieldValue::Timestamp(seconds) => Some(Self::Timestamp(*seconds)),
            value => value.as_integer().map(Self::Offset),
        }
    }
}

type Reader = fn(&mut ConsumerArguments, &FieldValue) -> Result<(), InvalidValue>;

/// In the order in which values are checked.
const READERS: [(&str, Reader); 5] = [
    ("x-priority", |consumer, value| {
        consumer.priority = check::integer(value)?;
        Ok(())
    }),
    ("x-consumer-timeout", |consumer, value| {
        consumer.timeout_ms = Some(check::not_negative(value)?);
        Ok(())
    }),
    ("x-stream-offset", |consumer, value| {
        let invalid = || InvalidValue::StreamOffset(value.clone());
        consumer.stream_offset = StreamOffset::parse(value).ok_or_else(invalid)?;
        Ok(())
    }),
    ("x-stream-filter", ConsumerArguments::read_stream_filter),
    ("x-stream-match-unfiltered", |consumer, value| {
        consumer.stream_match_unfiltered = matches!(value, FieldValue::Bool(true));
        Ok(())
    }),
];
