//! What a broker says, as values that outlive the receive buffer.

use leveret_protocol::{BasicProperties, Content, Method, Step as Assembled};

use crate::message::Properties;

/// A method from the broker, with its content.
#[derive(Debug)]
pub(crate) enum Said {
    /// channel.close or connection.close.
    Close { code: u16, text: String, method: String },
    /// basic.ack or basic.nack.
    Confirm { ack: bool, tag: u64, multiple: bool },
    /// basic.cancel.
    Cancel { consumer: String },
    /// queue.declare-ok.
    DeclareOk { queue: String, ready: u32, consumers: u32 },
    /// basic.deliver.
    Deliver { consumer: String, tag: u64, redelivered: bool, message: Arrived },
    /// channel.flow-ok.
    FlowOk,
    /// basic.get-ok.
    GetOk { tag: u64, redelivered: bool, left: u32, message: Arrived },
    /// basic.return.
    Return { code: u16, text: String, message: Arrived },
    /// Any other answer, with what it says.
    Reply { name: &'static str, text: Option<String> },
}

/// A message from the broker.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) exchange: Vec<u8>,
    pub(crate) key: Vec<u8>,
    pub(crate) body: Vec<u8>,
    pub(crate) properties: Properties,
}

impl Said {
    /// None while more frames are needed.
    pub(crate) fn from_assembled(assembled: Assembled<'_>) -> Option<Self> {
        match assembled {
            Assembled::More => None,
            Assembled::Method(method) => Some(Self::from_method(&method)),
            Assembled::Content(content) => Some(Self::from_content(&content)),
        }
    }

    fn from_method(method: &Method<'_>) -> Self {
        let close = |code, text: &str, class_id, method_id| Self::Close {
            code,
            text: text.to_owned(),
            method: method_name(class_id, method_id),
        };
        let text = match method {
            Method::ConnectionClose(m) => return close(m.reply_code, m.reply_text, m.class_id, m.method_id),
            Method::ChannelClose(m) => return close(m.reply_code, m.reply_text, m.class_id, m.method_id),
            Method::BasicAck(m) => return Self::Confirm { ack: true, tag: m.delivery_tag, multiple: m.multiple },
            Method::BasicNack(m) => return Self::Confirm { ack: false, tag: m.delivery_tag, multiple: m.multiple },
            Method::BasicCancel(m) => return Self::Cancel { consumer: m.consumer_tag.to_owned() },
            Method::ChannelFlowOk(_) => return Self::FlowOk,
            Method::QueueDeclareOk(m) => {
                let queue = m.queue.to_owned();
                return Self::DeclareOk { queue, ready: m.message_count, consumers: m.consumer_count };
            }
            Method::BasicConsumeOk(m) => Some(m.consumer_tag.to_owned()),
            Method::BasicCancelOk(m) => Some(m.consumer_tag.to_owned()),
            Method::QueuePurgeOk(m) => Some(m.message_count.to_string()),
            Method::QueueDeleteOk(m) => Some(m.message_count.to_string()),
            _ => None,
        };
        Self::Reply { name: method.name(), text }
    }

    fn from_content(content: &Content<'_>) -> Self {
        let arrived = |exchange: &[u8], key: &[u8]| Arrived {
            exchange: exchange.to_vec(),
            key: key.to_vec(),
            body: content.body.to_vec(),
            properties: BasicProperties::decode(content.properties).unwrap_or_default().into(),
        };
        match content.method {
            Method::BasicDeliver(m) => Self::Deliver {
                consumer: m.consumer_tag.to_owned(),
                tag: m.delivery_tag,
                redelivered: m.redelivered,
                message: arrived(m.exchange, m.routing_key),
            },
            Method::BasicGetOk(m) => Self::GetOk {
                tag: m.delivery_tag,
                redelivered: m.redelivered,
                left: m.message_count,
                message: arrived(m.exchange, m.routing_key),
            },
            Method::BasicReturn(m) => Self::Return {
                code: m.reply_code,
                text: m.reply_text.to_owned(),
                message: arrived(m.exchange, m.routing_key),
            },
            method => Self::Reply { name: method.name(), text: None },
        }
    }
}

fn method_name(class: u16, method: u16) -> String {
    let known = Method::ALL.iter().find(|spec| (spec.id.class, spec.id.method) == (class, method));
    known.map_or_else(|| format!("{class},{method}"), |spec| spec.name.to_owned())
}
