//! Datagrams that arrive broken.

use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Breaks a share of datagrams. UDP's checksum drops those that a wire breaks; these are the ones that a
/// faulty middlebox or an attacker sends.
#[derive(Debug)]
pub(super) struct Damage {
    share: f64,
    rng: SmallRng,
}

impl Damage {
    /// Breaks `share` of the datagrams, 0..1.
    pub(super) fn new(share: f64, seed: u64) -> Self {
        Self {
            share,
            rng: SmallRng::seed_from_u64(seed),
        }
    }

    /// The datagram cut short or with one byte changed, if it is its turn.
    pub(super) fn strike(&mut self, datagram: &[u8]) -> Option<Bytes> {
        let struck = self.rng.random::<f64>() < self.share;
        let cut: bool = self.rng.random();
        let place: usize = self.rng.random_range(0..usize::MAX);
        let change = self.rng.random_range(1..=u8::MAX);
        if !struck || datagram.is_empty() {
            return None;
        }
        let place = place % datagram.len();
        if cut {
            return Some(Bytes::copy_from_slice(&datagram[..place.max(1)]));
        }
        let mut broken = datagram.to_vec();
        broken[place] ^= change;
        Some(broken.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_datagrams_is_cut_short_or_changed() {
        let whole = [7u8; 100];
        let mut damage = Damage::new(0.2, 1);
        let broken = (0..1000)
            .filter_map(|_| damage.strike(&whole))
            .collect::<Vec<_>>();
        assert!((150..250).contains(&broken.len()), "{}", broken.len());
        assert!(broken.iter().all(|datagram| datagram[..] != whole));
        let short = broken.iter().filter(|d| d.len() < whole.len()).count();
        assert!((60..140).contains(&short), "{short}");
        let mut none = Damage::new(0.0, 1);
        assert!((0..1000).all(|_| none.strike(&whole).is_none()));
    }
}
