//! What a client is told of what another has changed is as durable as the change.

use std::sync::Arc;

use leveret_protocol::{FieldTable, Table};

use super::{QueueDeclare, VHost};
use crate::broker::connection::ConnectionId;
use crate::broker::durability::Durability;
use crate::broker::effects::Effects;
use crate::broker::journal::{Journal, Pager, Request};
use crate::broker::kept::Kept;
use crate::broker::topology::{Declare, ExchangeFlags};
use crate::broker::{Broker, BrokerSettings, Compat, QueueType};

struct NoPages;

impl Pager for NoPages {
    fn request(&self, _: Request<Kept>) {}
}

fn vhost() -> Arc<VHost> {
    let durability = Arc::new(Durability::new(Arc::new(Journal::new()), Arc::new(NoPages), 0));
    let settings = BrokerSettings {
        compat: Compat::default(),
        memory_max: 1 << 20,
        default_queue_type: QueueType::Classic,
        seed: 1,
    };
    Broker::new(settings, Some(durability)).add_vhost("/")
}

fn declare_queue(vhost: &VHost, name: &str, durable: bool, fx: &mut Effects) {
    let arguments = FieldTable::new();
    let declare = QueueDeclare {
        name,
        server_named: false,
        durable,
        exclusive: false,
        auto_delete: false,
        arguments: &arguments,
    };
    vhost.declare_queue(&declare, ConnectionId(1), fx).unwrap();
}

fn declare_exchange(vhost: &VHost, passive: bool, fx: &mut Effects) {
    let flags = ExchangeFlags { durable: true, auto_delete: false, internal: false };
    let declare = Declare { name: "e", exchange_type: "fanout", passive, flags, arguments: Table::EMPTY };
    vhost.declare_exchange(&declare, fx).unwrap();
}

/// What must be durable before a change is answered.
fn rests_on(change: impl FnOnce(&mut Effects)) -> u64 {
    let mut fx = Effects::default();
    change(&mut fx);
    fx.take_logged()
}

#[test]
fn what_is_so_already_waits_for_what_made_it_so() {
    let vhost = vhost();
    let by = ConnectionId(1);
    let bind = |fx: &mut Effects| vhost.bind_queue("q", "e", "k", Table::EMPTY, by, fx).unwrap();
    let unbind = |fx: &mut Effects| vhost.unbind_queue("q", "e", "k", Table::EMPTY, by, fx).unwrap();
    let delete = |fx: &mut Effects| _ = vhost.delete_queue("q", false, false, by, fx).unwrap();
    let delete_exchange = |fx: &mut Effects| vhost.delete_exchange("e", false, fx).unwrap();
    let changes: [&dyn Fn(&mut Effects); 6] = [
        &|fx| declare_queue(&vhost, "q", true, fx),
        &|fx| declare_exchange(&vhost, false, fx),
        &bind,
        &unbind,
        &delete,
        &delete_exchange,
    ];
    let mut before = 0;
    for (at, change) in changes.iter().enumerate() {
        let made = rests_on(change);
        assert!(made > before, "change {at} is logged");
        assert_eq!(rests_on(change), made, "change {at} again");
        before = made;
    }
}

#[test]
fn what_is_not_kept_and_a_mere_look_wait_for_nothing() {
    let vhost = vhost();
    assert!(rests_on(|fx| declare_exchange(&vhost, false, fx)) > 0);
    for _ in 0..2 {
        assert_eq!(rests_on(|fx| declare_queue(&vhost, "transient", false, fx)), 0);
        assert_eq!(rests_on(|fx| declare_exchange(&vhost, true, fx)), 0);
    }
}
