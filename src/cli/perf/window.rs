//! Messages published and not yet confirmed.

use std::collections::VecDeque;

/// The unconfirmed messages of a channel, by delivery tag.
///
/// Invariant: `sent` holds an entry for each tag from `first` on; the first entry is unconfirmed.
#[derive(Debug)]
pub(super) struct Window {
    size: usize,
    first: u64,
    /// When each message was sent; None once it is confirmed.
    sent: VecDeque<Option<u64>>,
    unconfirmed: usize,
}

/// A confirm for a message that was not published or is confirmed already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("confirm of delivery tag {0}, which is not waited for")]
pub(super) struct UnknownTag(pub u64);

impl Window {
    /// At most `size` messages may be unconfirmed.
    pub(super) fn new(size: usize) -> Self {
        Self { size, first: 1, sent: VecDeque::with_capacity(size.min(65_536)), unconfirmed: 0 }
    }

    /// How many messages may be published now.
    pub(super) const fn room(&self) -> usize {
        self.size - self.unconfirmed
    }

    /// How many messages wait for a confirm.
    #[cfg(test)]
    const fn unconfirmed(&self) -> usize {
        self.unconfirmed
    }

    /// Takes in the next message, sent at `time`. There must be room.
    pub(super) fn publish(&mut self, time: u64) {
        debug_assert!(self.room() > 0);
        self.sent.push_back(Some(time));
        self.unconfirmed += 1;
    }

    /// Takes out the message `tag`, with `multiple` also all before it (and with tag 0 all there
    /// are). `each` is told when each was sent.
    pub(super) fn confirm(&mut self, tag: u64, multiple: bool, mut each: impl FnMut(u64)) -> Result<(), UnknownTag> {
        if multiple && tag == 0 {
            self.take_before(self.sent.len(), each);
            return Ok(());
        }
        let index = tag.checked_sub(self.first).map(|index| index as usize);
        let index = index.filter(|&index| index < self.sent.len()).ok_or(UnknownTag(tag))?;
        if multiple {
            self.take_before(index + 1, each);
        } else {
            each(self.sent[index].take().ok_or(UnknownTag(tag))?);
            self.unconfirmed -= 1;
        }
        while let Some(None) = self.sent.front() {
            self.sent.pop_front();
            self.first += 1;
        }
        Ok(())
    }

    fn take_before(&mut self, end: usize, mut each: impl FnMut(u64)) {
        for time in self.sent.drain(..end).flatten() {
            self.unconfirmed -= 1;
            each(time);
        }
        self.first += end as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(size: usize, messages: usize) -> Window {
        let mut window = Window::new(size);
        (1..=messages).for_each(|n| window.publish(n as u64 * 10));
        window
    }

    fn confirm(window: &mut Window, tag: u64, multiple: bool) -> Vec<u64> {
        let mut times = Vec::new();
        window.confirm(tag, multiple, |time| times.push(time)).unwrap();
        times
    }

    #[test]
    fn a_multiple_confirm_takes_all_up_to_its_tag() {
        let mut window = filled(5, 5);
        assert_eq!(window.room(), 0);
        assert_eq!(confirm(&mut window, 3, true), [10, 20, 30]);
        assert_eq!((window.room(), window.unconfirmed()), (3, 2));
        assert_eq!(confirm(&mut window, 5, true), [40, 50]);
    }

    #[test]
    fn confirms_out_of_order_are_counted_once() {
        let mut window = filled(5, 4);
        assert_eq!(confirm(&mut window, 3, false), [30]);
        assert_eq!(confirm(&mut window, 1, false), [10]);
        assert_eq!(confirm(&mut window, 4, true), [20, 40]);
        assert_eq!(window.room(), 5);
        window.publish(50);
        assert_eq!(confirm(&mut window, 5, false), [50]);
    }

    #[test]
    fn tag_0_with_multiple_is_all() {
        let mut window = filled(5, 2);
        assert_eq!(confirm(&mut window, 0, true), [10, 20]);
        window.publish(30);
        assert_eq!(confirm(&mut window, 3, false), [30]);
    }

    #[test]
    fn a_confirm_that_nothing_waits_for_is_an_error() {
        let mut window = filled(5, 3);
        confirm(&mut window, 2, false);
        for tag in [0, 2, 4] {
            assert_eq!(window.confirm(tag, false, |_| ()), Err(UnknownTag(tag)));
        }
        assert_eq!(window.unconfirmed(), 2);
    }
}
