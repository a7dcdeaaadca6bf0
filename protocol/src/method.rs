//! Methods: what the two sides ask of each other and answer.
//!
//! A method is a struct in the module of its class, named as in the specification; arguments are
//! its fields. [`Method`] is any of them. Strings and tables lie in the receive buffer.

pub mod access;
mod arguments;
pub mod basic;
pub mod channel;
pub mod confirm;
pub mod connection;
pub mod exchange;
pub mod queue;
pub mod tx;

use std::fmt;

use nom::Parser;
use nom::combinator::into;
use nom::number::complete::be_u16;
use nom::sequence::pair;

pub use arguments::ArgumentKind;
use arguments::{Arguments, Fault};

use crate::wire::Parsed;

/// The two numbers that name a method on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MethodId {
    /// The class.
    pub class: u16,
    /// The method within its class.
    pub method: u16,
}

impl From<(u16, u16)> for MethodId {
    fn from((class, method): (u16, u16)) -> Self {
        Self { class, method }
    }
}

impl fmt::Display for MethodId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.class, self.method)
    }
}

/// Why the payload of a method frame is no method. All are 501 (C-23, C-25).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MethodError {
    /// A short string is not UTF-8, and is not one that is only passed on.
    #[error("Malformed UTF-8 in shortstr")]
    InvalidUtf8 {
        /// The class.
        class: u16,
        /// The method.
        method: u16,
    },
    /// Arguments are cut, bytes are left over, or a table is unreadable.
    #[error("method {class},{method} has malformed arguments")]
    Syntax {
        /// The class.
        class: u16,
        /// The method.
        method: u16,
    },
    /// The payload is too short to name a method.
    #[error("unknown_frame")]
    Truncated,
    /// There is no such method.
    #[error("method {class},{method} is unknown")]
    UnknownClassOrMethod {
        /// The class.
        class: u16,
        /// The method.
        method: u16,
    },
}

/// What is fixed about a method.
#[derive(Debug, Clone, Copy)]
pub struct MethodSpec {
    /// Its numbers.
    pub id: MethodId,
    /// Its name, such as `queue.declare`.
    pub name: &'static str,
    /// Its arguments in wire order. Those without a meaning any more are called `reserved`.
    pub arguments: &'static [(&'static str, ArgumentKind)],
}

/// Makes the enum of all methods and its dispatch from one table.
macro_rules! method {
    ($(($class:literal, $method:literal) $variant:ident($($type:tt)+) $name:literal,)*) => {
        /// Any method.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each variant is its struct")]
        pub enum Method<'a> {
            $($variant($($type)+),)*
        }

        impl<'a> Method<'a> {
            /// All methods by number.
            pub const ALL: &'static [MethodSpec] = &[$(MethodSpec {
                id: MethodId { class: $class, method: $method },
                name: $name,
                arguments: <$($type)+ as Arguments<'a>>::LIST,
            },)*];

            /// Reads the payload of a method frame.
            #[inline]
            pub fn decode(payload: &'a [u8]) -> Result<Self, MethodError> {
                let (arguments, id) = id(payload).map_err(|_| MethodError::Truncated)?;
                let MethodId { class, method } = id;
                let decoded = match (class, method) {
                    $(($class, $method) => Arguments::decode(arguments).map(Self::$variant),)*
                    _ => return Err(MethodError::UnknownClassOrMethod { class, method }),
                };
                decoded.map_err(|fault| match fault {
                    Fault::Syntax => MethodError::Syntax { class, method },
                    Fault::Utf8 => MethodError::InvalidUtf8 { class, method },
                })
            }

            /// Appends the payload of a method frame. Short strings are cut at 255 bytes.
            #[inline]
            pub fn encode(&self, out: &mut Vec<u8>) {
                let MethodId { class, method } = self.id();
                let [c0, c1] = class.to_be_bytes();
                let [m0, m1] = method.to_be_bytes();
                out.extend_from_slice(&[c0, c1, m0, m1]);
                match self {
                    $(Self::$variant(arguments) => arguments.encode(out),)*
                }
            }

            /// The numbers on the wire.
            #[inline]
            pub const fn id(&self) -> MethodId {
                let (class, method) = match self {
                    $(Self::$variant(_) => ($class, $method),)*
                };
                MethodId { class, method }
            }

            /// The name, such as `queue.declare`.
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)*
                }
            }
        }

        $(impl<'a> From<$($type)+> for Method<'a> {
            #[inline]
            fn from(method: $($type)+) -> Self {
                Self::$variant(method)
            }
        })*
    };
}

method! {
    (10, 10) ConnectionStart(connection::Start<'a>) "connection.start",
    (10, 11) ConnectionStartOk(connection::StartOk<'a>) "connection.start-ok",
    (10, 20) ConnectionSecure(connection::Secure<'a>) "connection.secure",
    (10, 21) ConnectionSecureOk(connection::SecureOk<'a>) "connection.secure-ok",
    (10, 30) ConnectionTune(connection::Tune) "connection.tune",
    (10, 31) ConnectionTuneOk(connection::TuneOk) "connection.tune-ok",
    (10, 40) ConnectionOpen(connection::Open<'a>) "connection.open",
    (10, 41) ConnectionOpenOk(connection::OpenOk) "connection.open-ok",
    (10, 50) ConnectionClose(connection::Close<'a>) "connection.close",
    (10, 51) ConnectionCloseOk(connection::CloseOk) "connection.close-ok",
    (10, 60) ConnectionBlocked(connection::Blocked<'a>) "connection.blocked",
    (10, 61) ConnectionUnblocked(connection::Unblocked) "connection.unblocked",
    (10, 70) ConnectionUpdateSecret(connection::UpdateSecret<'a>) "connection.update-secret",
    (10, 71) ConnectionUpdateSecretOk(connection::UpdateSecretOk) "connection.update-secret-ok",
    (20, 10) ChannelOpen(channel::Open) "channel.open",
    (20, 11) ChannelOpenOk(channel::OpenOk) "channel.open-ok",
    (20, 20) ChannelFlow(channel::Flow) "channel.flow",
    (20, 21) ChannelFlowOk(channel::FlowOk) "channel.flow-ok",
    (20, 40) ChannelClose(channel::Close<'a>) "channel.close",
    (20, 41) ChannelCloseOk(channel::CloseOk) "channel.close-ok",
    (30, 10) AccessRequest(access::Request<'a>) "access.request",
    (30, 11) AccessRequestOk(access::RequestOk) "access.request-ok",
    (40, 10) ExchangeDeclare(exchange::Declare<'a>) "exchange.declare",
    (40, 11) ExchangeDeclareOk(exchange::DeclareOk) "exchange.declare-ok",
    (40, 20) ExchangeDelete(exchange::Delete<'a>) "exchange.delete",
    (40, 21) ExchangeDeleteOk(exchange::DeleteOk) "exchange.delete-ok",
    (40, 30) ExchangeBind(exchange::Bind<'a>) "exchange.bind",
    (40, 31) ExchangeBindOk(exchange::BindOk) "exchange.bind-ok",
    (40, 40) ExchangeUnbind(exchange::Unbind<'a>) "exchange.unbind",
    (40, 51) ExchangeUnbindOk(exchange::UnbindOk) "exchange.unbind-ok",
    (50, 10) QueueDeclare(queue::Declare<'a>) "queue.declare",
    (50, 11) QueueDeclareOk(queue::DeclareOk<'a>) "queue.declare-ok",
    (50, 20) QueueBind(queue::Bind<'a>) "queue.bind",
    (50, 21) QueueBindOk(queue::BindOk) "queue.bind-ok",
    (50, 30) QueuePurge(queue::Purge<'a>) "queue.purge",
    (50, 31) QueuePurgeOk(queue::PurgeOk) "queue.purge-ok",
    (50, 40) QueueDelete(queue::Delete<'a>) "queue.delete",
    (50, 41) QueueDeleteOk(queue::DeleteOk) "queue.delete-ok",
    (50, 50) QueueUnbind(queue::Unbind<'a>) "queue.unbind",
    (50, 51) QueueUnbindOk(queue::UnbindOk) "queue.unbind-ok",
    (60, 10) BasicQos(basic::Qos) "basic.qos",
    (60, 11) BasicQosOk(basic::QosOk) "basic.qos-ok",
    (60, 20) BasicConsume(basic::Consume<'a>) "basic.consume",
    (60, 21) BasicConsumeOk(basic::ConsumeOk<'a>) "basic.consume-ok",
    (60, 30) BasicCancel(basic::Cancel<'a>) "basic.cancel",
    (60, 31) BasicCancelOk(basic::CancelOk<'a>) "basic.cancel-ok",
    (60, 40) BasicPublish(basic::Publish<'a>) "basic.publish",
    (60, 50) BasicReturn(basic::Return<'a>) "basic.return",
    (60, 60) BasicDeliver(basic::Deliver<'a>) "basic.deliver",
    (60, 70) BasicGet(basic::Get<'a>) "basic.get",
    (60, 71) BasicGetOk(basic::GetOk<'a>) "basic.get-ok",
    (60, 72) BasicGetEmpty(basic::GetEmpty) "basic.get-empty",
    (60, 80) BasicAck(basic::Ack) "basic.ack",
    (60, 90) BasicReject(basic::Reject) "basic.reject",
    (60, 100) BasicRecoverAsync(basic::RecoverAsync) "basic.recover-async",
    (60, 110) BasicRecover(basic::Recover) "basic.recover",
    (60, 111) BasicRecoverOk(basic::RecoverOk) "basic.recover-ok",
    (60, 120) BasicNack(basic::Nack) "basic.nack",
    (60, 200) BasicCredit(basic::Credit<'a>) "basic.credit",
    (60, 201) BasicCreditOk(basic::CreditOk) "basic.credit-ok",
    (60, 202) BasicCreditDrained(basic::CreditDrained<'a>) "basic.credit-drained",
    (85, 10) ConfirmSelect(confirm::Select) "confirm.select",
    (85, 11) ConfirmSelectOk(confirm::SelectOk) "confirm.select-ok",
    (90, 10) TxSelect(tx::Select) "tx.select",
    (90, 11) TxSelectOk(tx::SelectOk) "tx.select-ok",
    (90, 20) TxCommit(tx::Commit) "tx.commit",
    (90, 21) TxCommitOk(tx::CommitOk) "tx.commit-ok",
    (90, 30) TxRollback(tx::Rollback) "tx.rollback",
    (90, 31) TxRollbackOk(tx::RollbackOk) "tx.rollback-ok",
}

impl Method<'_> {
    /// Whether a content header and body frames follow.
    #[inline]
    pub const fn has_content(&self) -> bool {
        matches!(self, Self::BasicPublish(_) | Self::BasicReturn(_) | Self::BasicDeliver(_) | Self::BasicGetOk(_))
    }
}

#[inline]
fn id(payload: &[u8]) -> Parsed<'_, MethodId> {
    into(pair(be_u16, be_u16)).parse(payload)
}
