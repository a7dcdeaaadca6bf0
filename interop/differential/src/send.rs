//! Steps as methods on the wire, and what answers each.

use leveret_protocol::method::{basic, channel, confirm, exchange, queue, tx};
use leveret_protocol::{EncodedTable, FieldTable};

use crate::link::Link;
use crate::message::Message;
use crate::names::Names;
use crate::step::Action;

impl Action {
    /// The name of the method that answers; None if there is none.
    pub(crate) const fn reply(&self) -> Option<&'static str> {
        Some(match self {
            Self::ExchangeDeclare { nowait: false, .. } => "exchange.declare-ok",
            Self::ExchangeDelete { nowait: false, .. } => "exchange.delete-ok",
            Self::ExchangeBind { nowait: false, .. } => "exchange.bind-ok",
            Self::ExchangeUnbind { nowait: false, .. } => "exchange.unbind-ok",
            Self::QueueDeclare { nowait: false, .. } => "queue.declare-ok",
            Self::QueueBind { nowait: false, .. } => "queue.bind-ok",
            Self::QueueUnbind { .. } => "queue.unbind-ok",
            Self::QueuePurge { nowait: false, .. } => "queue.purge-ok",
            Self::QueueDelete { nowait: false, .. } => "queue.delete-ok",
            Self::Qos { .. } => "basic.qos-ok",
            Self::Consume { nowait: false, .. } => "basic.consume-ok",
            Self::Cancel { nowait: false, .. } => "basic.cancel-ok",
            Self::Get { .. } => "basic.get",
            Self::Recover { .. } => "basic.recover-ok",
            Self::ConfirmSelect { nowait: false } => "confirm.select-ok",
            Self::TxSelect => "tx.select-ok",
            Self::TxCommit => "tx.commit-ok",
            Self::TxRollback => "tx.rollback-ok",
            Self::ChannelClose => "channel.close-ok",
            Self::ConnectionClose => "connection.close-ok",
            _ => return None,
        })
    }

    /// Writes the method. `tag` is the delivery tag that a settling step is about.
    pub(crate) fn write(&self, names: &Names, tag: u64, channel: u16, link: &mut Link) {
        let wire = |name: &str| names.to_wire(name);
        let table = |args: &FieldTable| EncodedTable::from(&names.table_to_wire(args));
        match self {
            Self::ExchangeDeclare { exchange, kind, passive, durable, auto_delete, internal, nowait, args } => {
                let (exchange, kind, args) = (wire(exchange), wire(kind), table(args));
                let declare = exchange::Declare {
                    exchange: &exchange,
                    kind: &kind,
                    passive: *passive,
                    durable: *durable,
                    auto_delete: *auto_delete,
                    internal: *internal,
                    nowait: *nowait,
                    arguments: args.as_table(),
                };
                link.write(channel, declare);
            }
            Self::ExchangeDelete { exchange, if_unused, nowait } => {
                let exchange = &wire(exchange);
                link.write(channel, exchange::Delete { exchange, if_unused: *if_unused, nowait: *nowait });
            }
            Self::ExchangeBind { destination, source, key, nowait, args } => {
                let (destination, source, routing_key, args) =
                    (&wire(destination), &wire(source), &wire(key), table(args));
                let arguments = args.as_table();
                link.write(channel, exchange::Bind { destination, source, routing_key, nowait: *nowait, arguments });
            }
            Self::ExchangeUnbind { destination, source, key, nowait, args } => {
                let (destination, source, routing_key, args) =
                    (&wire(destination), &wire(source), &wire(key), table(args));
                let arguments = args.as_table();
                link.write(channel, exchange::Unbind { destination, source, routing_key, nowait: *nowait, arguments });
            }
            Self::QueueDeclare { queue, passive, durable, exclusive, auto_delete, nowait, args } => {
                let (queue, args) = (wire(queue), table(args));
                let declare = queue::Declare {
                    queue: &queue,
                    passive: *passive,
                    durable: *durable,
                    exclusive: *exclusive,
                    auto_delete: *auto_delete,
                    nowait: *nowait,
                    arguments: args.as_table(),
                };
                link.write(channel, declare);
            }
            Self::QueueBind { queue, exchange, key, nowait, args } => {
                let (queue, exchange, routing_key, args) = (&wire(queue), &wire(exchange), &wire(key), table(args));
                let arguments = args.as_table();
                link.write(channel, queue::Bind { queue, exchange, routing_key, nowait: *nowait, arguments });
            }
            Self::QueueUnbind { queue, exchange, key, args } => {
                let (queue, exchange, routing_key, args) = (&wire(queue), &wire(exchange), &wire(key), table(args));
                link.write(channel, queue::Unbind { queue, exchange, routing_key, arguments: args.as_table() });
            }
            Self::QueuePurge { queue, nowait } => {
                link.write(channel, queue::Purge { queue: &wire(queue), nowait: *nowait });
            }
            Self::QueueDelete { queue, if_unused, if_empty, nowait } => {
                let (queue, if_unused, if_empty) = (&wire(queue), *if_unused, *if_empty);
                link.write(channel, queue::Delete { queue, if_unused, if_empty, nowait: *nowait });
            }
            Self::Qos { count, global } => {
                link.write(channel, basic::Qos { prefetch_size: 0, prefetch_count: *count, global: *global });
            }
            Self::Consume { queue, tag, no_ack, exclusive, nowait, args } => {
                let (queue, tag, args) = (wire(queue), wire(tag), table(args));
                let consume = basic::Consume {
                    queue: &queue,
                    consumer_tag: &tag,
                    no_local: false,
                    no_ack: *no_ack,
                    exclusive: *exclusive,
                    nowait: *nowait,
                    arguments: args.as_table(),
                };
                link.write(channel, consume);
            }
            Self::Cancel { tag, nowait } => {
                link.write(channel, basic::Cancel { consumer_tag: &wire(tag), nowait: *nowait });
            }
            Self::Publish(message) => message.write(names, channel, link),
            Self::Get { queue, no_ack } => link.write(channel, basic::Get { queue: &wire(queue), no_ack: *no_ack }),
            Self::Ack { multiple, .. } => {
                link.write(channel, basic::Ack { delivery_tag: tag, multiple: *multiple });
            }
            Self::Nack { multiple, requeue, .. } => {
                link.write(channel, basic::Nack { delivery_tag: tag, multiple: *multiple, requeue: *requeue });
            }
            Self::Reject { requeue, .. } => {
                link.write(channel, basic::Reject { delivery_tag: tag, requeue: *requeue });
            }
            Self::Recover { requeue } => link.write(channel, basic::Recover { requeue: *requeue }),
            Self::ConfirmSelect { nowait } => link.write(channel, confirm::Select { nowait: *nowait }),
            Self::TxSelect => link.write(channel, tx::Select {}),
            Self::TxCommit => link.write(channel, tx::Commit {}),
            Self::TxRollback => link.write(channel, tx::Rollback {}),
            Self::ChannelClose => link
                .write(channel, channel::Close { reply_code: 200, reply_text: "Goodbye", class_id: 0, method_id: 0 }),
            Self::ConnectionClose
            | Self::ConnectionDrop
            | Self::Await { .. }
            | Self::Sleep { .. }
            | Self::Wait { .. } => {}
        }
    }
}

impl Message {
    fn write(&self, names: &Names, channel: u16, link: &mut Link) {
        let (exchange, key) = (names.to_wire(&self.exchange), names.to_wire(&self.key));
        let publish = basic::Publish {
            exchange: exchange.as_bytes(),
            routing_key: key.as_bytes(),
            mandatory: self.mandatory,
            immediate: self.immediate,
        };
        let properties = names.properties_to_wire(&self.properties).encode();
        for body in self.bodies() {
            link.write(channel, publish);
            link.write_content(channel, &properties, &body);
        }
    }
}
