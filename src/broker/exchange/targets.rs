//! Lists of destinations from which a binding is taken in constant time.

use smallvec::SmallVec;

use crate::broker::topology::QueueKey;

/// The number of an exchange within its topology.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ExchangeId(pub(crate) u32);

/// The number of a binding within its topology.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct BindingId(pub(crate) u32);

/// Where a binding leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Destination {
    Queue(QueueKey),
    Exchange(ExchangeId),
}

/// One binding as an exchange type keeps it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) destination: Destination,
    pub(crate) binding: BindingId,
}

/// Where an exchange type put a binding.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Place {
    /// The type's own number: a node, a rule.
    pub(crate) node: u32,
    /// The position in the list of that node.
    pub(crate) slot: u32,
}

/// The bindings at one place. Removal moves the last one into the gap.
#[derive(Debug, Clone, Default)]
pub(crate) struct Targets(SmallVec<[Target; 1]>);

impl Targets {
    /// Appends and gives the slot.
    pub(crate) fn push(&mut self, target: Target) -> u32 {
        let slot = u32::try_from(self.0.len()).expect("memory ends before the numbers do");
        self.0.push(target);
        slot
    }

    /// Removes the binding at `slot`; gives the binding that is at `slot` now, if any.
    pub(crate) fn remove(&mut self, slot: u32) -> Option<BindingId> {
        let slot = slot as usize;
        self.0.swap_remove(slot);
        if self.0.spilled() && self.0.len() * 4 < self.0.capacity() {
            self.0.shrink_to_fit();
        }
        self.0.get(slot).map(|target| target.binding)
    }

    #[inline]
    pub(crate) fn iter(&self) -> impl Iterator<Item = Target> {
        self.0.iter().copied()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
