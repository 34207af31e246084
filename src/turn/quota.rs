//! At most so many at once, of all and of each.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use parking_lot::Mutex;

/// A bounded number of permits.
pub(super) struct Quota<K> {
    total: usize,
    each: usize,
    taken: Mutex<Taken<K>>,
}

struct Taken<K> {
    all: usize,
    by: HashMap<K, usize>,
}

/// Which bound was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exhausted {
    /// That of all.
    Total,
    /// That of the one who asks.
    Each,
}

/// One of them, until it is dropped.
pub(super) struct Permit<K: Hash + Eq> {
    quota: Arc<Quota<K>>,
    holder: K,
}

impl<K: Hash + Eq + Clone> Quota<K> {
    pub(super) fn new(total: usize, each: usize) -> Arc<Self> {
        Arc::new(Self {
            total,
            each,
            taken: Mutex::new(Taken {
                all: 0,
                by: HashMap::new(),
            }),
        })
    }

    pub(super) fn take(self: &Arc<Self>, holder: K) -> Result<Permit<K>, Exhausted> {
        let mut taken = self.taken.lock();
        if taken.by.get(&holder).is_some_and(|&held| held >= self.each) {
            return Err(Exhausted::Each);
        }
        if taken.all >= self.total {
            return Err(Exhausted::Total);
        }
        taken.all += 1;
        *taken.by.entry(holder.clone()).or_default() += 1;
        drop(taken);
        Ok(Permit {
            quota: Arc::clone(self),
            holder,
        })
    }
}

impl<K: Hash + Eq> Drop for Permit<K> {
    fn drop(&mut self) {
        let mut taken = self.quota.taken.lock();
        taken.all -= 1;
        if let Some(held) = taken.by.get_mut(&self.holder) {
            *held -= 1;
            if *held == 0 {
                taken.by.remove(&self.holder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_bounds_hold_and_what_is_dropped_can_be_taken_again() {
        let quota = Quota::new(3, 2);
        let first = quota.take("ann").expect("one");
        let _second = quota.take("ann").expect("two");
        assert_eq!(quota.take("ann").err(), Some(Exhausted::Each));
        let _third = quota.take("bob").expect("three");
        assert_eq!(quota.take("cem").err(), Some(Exhausted::Total));
        drop(first);
        let fourth = quota.take("cem").expect("there is room again");
        drop(fourth);
        assert!(!quota.taken.lock().by.contains_key("cem"), "forgotten");
    }
}
