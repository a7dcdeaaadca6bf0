//! Values by small stable numbers, freed numbers used again.

use std::ops::{Index, IndexMut};

/// A growing array with holes. A number stays the same until its value is removed; then the next insertion may get it.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    entries: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self { entries: Vec::new(), free: Vec::new() }
    }

    /// Stores `value` and gives its number.
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        if let Some(key) = self.free.pop() {
            self.entries[key as usize] = Some(value);
            return key;
        }
        let key = u32::try_from(self.entries.len()).expect("memory ends before the numbers do");
        self.entries.push(Some(value));
        key
    }

    /// Takes out the value of `key`.
    ///
    /// # Panics
    /// If there is none: numbers never leave the broker, so this is a bug.
    pub(crate) fn remove(&mut self, key: u32) -> T {
        let value = self.entries[key as usize].take();
        self.free.push(key);
        if self.free.len() == self.entries.len() {
            self.entries.clear();
            self.free.clear();
        }
        value.expect("a number in use")
    }

    pub(crate) fn get(&self, key: u32) -> Option<&T> {
        self.entries.get(key as usize)?.as_ref()
    }

    /// The values in order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..).zip(&self.entries).filter_map(|(key, entry)| Some((key, entry.as_ref()?)))
    }

    /// Whether no number is in use.
    pub(crate) const fn is_empty(&self) -> bool {
        self.entries.len() == self.free.len()
    }

    #[cfg(test)]
    pub(crate) const fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }
}

impl<T> Index<u32> for Slab<T> {
    type Output = T;

    #[inline]
    fn index(&self, key: u32) -> &T {
        self.entries[key as usize].as_ref().expect("a number in use")
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    #[inline]
    fn index_mut(&mut self, key: u32) -> &mut T {
        self.entries[key as usize].as_mut().expect("a number in use")
    }
}
