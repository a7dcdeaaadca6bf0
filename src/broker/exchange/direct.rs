//! Direct exchanges: the binding key is the routing key.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::{BindingId, Place, RoutingKeys, Sink, Target, Targets};

#[derive(Debug, Default)]
pub(crate) struct Direct {
    keys: HashMap<Box<[u8]>, Targets, RandomState>,
}

impl Direct {
    pub(crate) fn bind(&mut self, key: &[u8], target: Target) -> Place {
        let targets = match self.keys.get_mut(key) {
            Some(targets) => targets,
            None => self.keys.entry(key.into()).or_default(),
        };
        Place { node: 0, slot: targets.push(target) }
    }

    pub(crate) fn unbind(&mut self, key: &[u8], place: Place) -> Option<BindingId> {
        let targets = self.keys.get_mut(key)?;
        let moved = targets.remove(place.slot);
        if targets.is_empty() {
            self.keys.remove(key);
        }
        moved
    }

    #[inline]
    pub(crate) fn matches(&self, keys: &RoutingKeys<'_>, sink: &mut Sink<'_>) {
        for key in keys.iter() {
            if let Some(targets) = self.keys.get(key) {
                sink.extend(targets);
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}
