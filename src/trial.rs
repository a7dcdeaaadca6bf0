//! What is worth its cost at some times and not at others is tried, and where it was in vain it is tried again later and later.

/// After each time in vain it is not tried for 2, 4, 8, ... waits.
#[derive(Default)]
pub(crate) struct Trial {
    /// Times in a row.
    in_vain: u32,
    /// Waits to let go by.
    pause: u32,
}

impl Trial {
    const IN_VAIN_MAX: u32 = 10;

    /// Whether to try it now. To be asked at each wait.
    pub(crate) fn is_due(&mut self) -> bool {
        let due = self.pause == 0;
        self.pause = self.pause.saturating_sub(1);
        due
    }

    /// To be told of each trial.
    pub(crate) fn ended(&mut self, well: bool) {
        self.in_vain = if well { 0 } else { Self::IN_VAIN_MAX.min(self.in_vain + 1) };
        self.pause = if well { 0 } else { 1 << self.in_vain };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_in_vain_is_tried_later_and_later_until_it_goes_well() {
        let mut trial = Trial::default();
        for pauses in [2, 4, 8] {
            assert!(trial.is_due());
            trial.ended(false);
            assert_eq!((0..).take_while(|_| !trial.is_due()).count(), pauses);
        }
        trial.ended(true);
        assert!(trial.is_due());
        (0..100).for_each(|_| trial.ended(false));
        assert_eq!(trial.pause, 1 << Trial::IN_VAIN_MAX);
    }
}
