//! Removes what a script made.

use std::time::Instant;

use super::Player;
use crate::connection::Connection;
use crate::link::PATIENCE;
use crate::script::Script;
use crate::step::Action;

impl Player<'_> {
    pub(super) fn clean(mut self, script: &Script) {
        for connection in self.connections.values_mut() {
            if let Some(link) = connection.link.take() {
                link.close();
            }
        }
        let mut deletes: Vec<Action> = self.names.made_queues().map(|queue| delete_queue(queue.to_owned())).collect();
        for step in &script.steps {
            match &step.action {
                Action::QueueDeclare { queue, .. } => deletes.push(delete_queue(queue.clone())),
                Action::ExchangeDeclare { exchange, .. } => deletes.push(delete_exchange(exchange.clone())),
                _ => {}
            }
        }
        deletes.retain(is_own);
        let mut cleaner = Connection::default();
        for (number, delete) in (1..).zip(&deletes) {
            if cleaner.send(self.uri, number, delete, &self.names, 0).is_err() {
                return;
            }
        }
        if let Some(mut link) = cleaner.link {
            let deadline = Instant::now() + PATIENCE;
            let mut answered = 0;
            while answered < deletes.len() * 2 && Instant::now() < deadline {
                match link.read(deadline) {
                    Ok(said) => answered += said.len(), // channel.open-ok and delete-ok, or a close
                    Err(_) => return,
                }
            }
            link.close();
        }
    }
}

fn delete_queue(queue: String) -> Action {
    Action::QueueDelete { queue, if_unused: false, if_empty: false, nowait: false }
}

fn delete_exchange(exchange: String) -> Action {
    Action::ExchangeDelete { exchange, if_unused: false, nowait: false }
}

fn is_own(delete: &Action) -> bool {
    matches!(delete, Action::QueueDelete { queue: name, .. } | Action::ExchangeDelete { exchange: name, .. }
        if name.starts_with('@') || name.starts_with("amq.gen-"))
}
