//! The channels of a connection, by number.

use crate::channel::Channel;

/// See the module.
#[derive(Default)]
pub(super) struct Channels {
    /// Sorted by number.
    slots: Vec<(u16, Slot)>,
    /// Where the last one was found.
    last: usize,
    /// Closed by the client in what was read at once: opening them again before the close is answered is an error (M-02).
    pub(super) just_closed: Vec<u16>,
}

/// What stands at a number.
pub(super) enum Slot {
    /// A channel.
    Open(Box<Channel>),
    /// The broker has closed it; what comes is ignored until close-ok (C-26).
    Closing,
}

impl Channels {
    /// The open channel of this number.
    #[inline]
    pub(super) fn open(&mut self, number: u16) -> Option<&mut Channel> {
        match self.slot(number)? {
            Slot::Open(channel) => Some(channel),
            Slot::Closing => None,
        }
    }

    #[inline]
    pub(super) fn slot(&mut self, number: u16) -> Option<&mut Slot> {
        if self.slots.get(self.last).is_none_or(|(found, _)| *found != number) {
            self.last = self.slots.binary_search_by_key(&number, |(found, _)| *found).ok()?;
        }
        self.slots.get_mut(self.last).map(|(_, slot)| slot)
    }

    /// How many there are, those that are being closed too.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The numbers of all of them.
    pub(super) fn numbers(&self) -> Vec<u16> {
        self.slots.iter().map(|(number, _)| *number).collect()
    }

    pub(super) fn insert(&mut self, number: u16) {
        if let Err(at) = self.slots.binary_search_by_key(&number, |(found, _)| *found) {
            self.slots.insert(at, (number, Slot::Open(Box::new(Channel::new(number)))));
        }
    }

    pub(super) fn set_closing(&mut self, number: u16) {
        if let Some(slot) = self.slot(number) {
            *slot = Slot::Closing;
        }
    }

    pub(super) fn remove(&mut self, number: u16) {
        if let Ok(at) = self.slots.binary_search_by_key(&number, |(found, _)| *found) {
            self.slots.remove(at);
        }
    }

    pub(super) fn take_open(&mut self) -> Vec<Channel> {
        let open = |(_, slot)| match slot {
            Slot::Open(channel) => Some(*channel),
            Slot::Closing => None,
        };
        std::mem::take(&mut self.slots).into_iter().filter_map(open).collect()
    }
}
