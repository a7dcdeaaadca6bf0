//! Closes as they are expected: code, text, failing method, and what they end.

use leveret_protocol::ReplyCode;

use super::{Method, MethodId, OwnedFrame};

/// What channel.close or connection.close says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Close {
    /// 0 for the whole connection.
    pub(crate) channel: u16,
    pub(crate) code: u16,
    pub(crate) text: String,
    pub(crate) class_id: u16,
    pub(crate) method_id: u16,
}

/// The close with this code. A hard code ends the connection, a soft one `channel`; the code's name and ` - ` are put
/// before `explanation`.
pub(crate) fn closes(channel: u16, code: u16, explanation: &str, id: (u16, u16)) -> Close {
    let reply_code = ReplyCode::from_u16(code).expect("a reply code");
    let text = match explanation {
        "" => reply_code.name().to_owned(),
        _ => format!("{} - {explanation}", reply_code.name()),
    };
    let (class_id, method_id) = id;
    Close { channel: if reply_code.is_hard() { 0 } else { channel }, code, text, class_id, method_id }
}

impl Close {
    /// Reads the frame; None if it is no close.
    pub(crate) fn read(frame: &OwnedFrame) -> Option<Self> {
        let (code, text, class_id, method_id) = match frame.method() {
            Method::ConnectionClose(m) => (m.reply_code, m.reply_text, m.class_id, m.method_id),
            Method::ChannelClose(m) => (m.reply_code, m.reply_text, m.class_id, m.method_id),
            _ => return None,
        };
        Some(Self { channel: frame.channel, code, text: text.to_owned(), class_id, method_id })
    }

    /// The method that failed.
    pub(crate) fn id(&self) -> MethodId {
        MethodId { class: self.class_id, method: self.method_id }
    }
}

/// How texts name a queue.
pub(crate) fn q_named(queue: &str) -> String {
    format!("queue '{queue}' in vhost '/'")
}

/// How texts name an exchange.
pub(crate) fn x_named(exchange: &str) -> String {
    format!("exchange '{exchange}' in vhost '/'")
}

/// The explanation of 404 for a queue.
pub(crate) fn no_queue(queue: &str) -> String {
    format!("no {}", q_named(queue))
}

/// The explanation of 404 for an exchange.
pub(crate) fn no_exchange(exchange: &str) -> String {
    format!("no {}", x_named(exchange))
}

/// The explanation of 405.
pub(crate) fn locked(queue: &str) -> String {
    format!(
        "cannot obtain exclusive access to locked {}. It could be originally declared on another connection or the \
         exclusive property value does not match that of the original declaration.",
        q_named(queue)
    )
}
