//! Sliding-window replay protection (RFC 3711 §3.3.2).

/// Remembers which of the last `64 × WORDS` packet indices were seen.
pub(super) struct ReplayWindow<const WORDS: usize> {
    highest: Option<u64>,
    seen: [u64; WORDS],
}

impl<const WORDS: usize> ReplayWindow<WORDS> {
    const SIZE: u64 = 64 * WORDS as u64;

    pub(super) fn new() -> Self {
        ReplayWindow {
            highest: None,
            seen: [0; WORDS],
        }
    }

    /// The highest index accepted so far.
    pub(super) fn highest(&self) -> Option<u64> {
        self.highest
    }

    /// Whether `index` is new and not older than the window.
    pub(super) fn is_fresh(&self, index: u64) -> bool {
        let Some(highest) = self.highest else {
            return true;
        };
        if index > highest {
            return true;
        }
        if highest - index >= Self::SIZE {
            return false;
        }
        let (word, bit) = Self::place(index);
        self.seen[word] & bit == 0
    }

    /// Records an authenticated `index`. Only call it for one that [is fresh](Self::is_fresh).
    pub(super) fn accept(&mut self, index: u64) {
        if let Some(highest) = self.highest {
            if index > highest {
                if index - highest >= Self::SIZE {
                    self.seen = [0; WORDS];
                } else {
                    for passed in highest + 1..=index {
                        let (word, bit) = Self::place(passed);
                        self.seen[word] &= !bit;
                    }
                }
                self.highest = Some(index);
            }
        } else {
            self.highest = Some(index);
        }
        let (word, bit) = Self::place(index);
        self.seen[word] |= bit;
    }

    fn place(index: u64) -> (usize, u64) {
        let at = index % Self::SIZE;
        ((at / 64) as usize, 1 << (at % 64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_each_index_once_in_any_order() {
        let mut window = ReplayWindow::<2>::new();
        for index in [5, 3, 4, 100, 99, 6, 131] {
            assert!(window.is_fresh(index), "{index} is new");
            window.accept(index);
            assert!(!window.is_fresh(index), "{index} is a replay");
        }
        // 131 - 127 is the oldest index the window can still tell.
        assert!(!window.is_fresh(3));
        assert!(window.is_fresh(7));
    }

    #[test]
    fn a_leap_forgets_the_past_but_not_the_present() {
        let mut window = ReplayWindow::<1>::new();
        window.accept(1);
        window.accept(1_000_000);
        assert!(!window.is_fresh(1_000_000));
        assert!(!window.is_fresh(1));
        assert!(window.is_fresh(999_990));
    }
}
