//! Fanout exchanges: every binding matches, whatever the keys.

use super::{BindingId, Place, Sink, Target, Targets};

#[derive(Debug, Default)]
pub(crate) struct Fanout {
    targets: Targets,
}

impl Fanout {
    pub(crate) fn bind(&mut self, target: Target) -> Place {
        Place { node: 0, slot: self.targets.push(target) }
    }

    pub(crate) fn unbind(&mut self, place: Place) -> Option<BindingId> {
        self.targets.remove(place.slot)
    }

    #[inline]
    pub(crate) fn matches(&self, sink: &mut Sink<'_>) {
        sink.extend(&self.targets);
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }
}
