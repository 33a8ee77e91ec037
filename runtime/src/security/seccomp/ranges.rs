//! A value for every `u32`, the same over long stretches.

/// A map over all of `u32`, kept as the boundaries at which the value changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ranges<T> {
    /// The value of zero.
    pub(super) first: T,
    /// From each of these keys on, another value. Ascending; neighbours differ.
    pub(super) rest: Vec<(u32, T)>,
}

impl<T: PartialEq> Ranges<T> {
    /// Everything has this value.
    pub(super) fn new(value: T) -> Self {
        Self {
            first: value,
            rest: Vec::new(),
        }
    }

    /// From `start` on, `value`. Must be called with ascending keys.
    pub(super) fn change_at(&mut self, start: u32, value: T) {
        debug_assert!(self.rest.last().is_none_or(|(last, _)| *last < start));
        let current = self.rest.last().map_or(&self.first, |(_, value)| value);
        if *current == value {
            return;
        }
        if start == 0 {
            self.first = value;
        } else {
            self.rest.push((start, value));
        }
    }
}
