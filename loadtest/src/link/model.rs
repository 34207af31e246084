//! One direction of a link: packets and time in, packets out.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::loss::GilbertElliott;
use super::rate::{Bottleneck, RateSchedule};
use super::settings::LinkSettings;

/// A direction of a link, holding the packets on their way.
///
/// Jitter delays packets but keeps their order, as queues in real networks do: a packet that drew
/// a short delay waits for the one before it. Only `reorder` lets later packets overtake.
#[derive(Debug)]
pub struct LinkModel<T> {
    settings: LinkSettings,
    rng: SmallRng,
    loss: GilbertElliott,
    bottleneck: Option<Bottleneck>,
    /// Packets on their way by the time they leave; the counter keeps equal times in order.
    on_the_way: BTreeMap<(Instant, u64), T>,
    counter: u64,
    latest: Option<Instant>,
}

/// What becomes of an offered packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It never arrives.
    Lost,
    /// It arrives at this time; its duplicate, if it has one, a little later.
    Arrives(Instant),
}

impl<T: Clone> LinkModel<T> {
    /// An empty link without a limit to its rate.
    pub fn new(settings: LinkSettings) -> Self {
        Self {
            rng: SmallRng::seed_from_u64(settings.seed),
            loss: GilbertElliott::new(settings.loss, settings.burst),
            bottleneck: None,
            settings,
            on_the_way: BTreeMap::new(),
            counter: 0,
            latest: None,
        }
    }

    /// The same link behind a bottleneck, if there is a schedule of its rate.
    pub fn limited(mut self, rate: Option<RateSchedule>) -> Self {
        let queue = self.settings.queue();
        self.bottleneck = rate.map(|rate| Bottleneck::new(rate, queue));
        self
    }

    /// The schedule of the rate begins at `origin`, and not at the first packet.
    pub fn start_schedule(&mut self, origin: Instant) {
        if let Some(bottleneck) = &mut self.bottleneck {
            bottleneck.start(origin);
        }
    }

    /// A packet of so many bytes enters the link.
    pub fn offer(&mut self, now: Instant, bytes: usize, packet: T) -> Fate {
        // Every packet draws the same number of dice, so that a seed means one fate a packet.
        let lost = self.loss.lose(&mut self.rng);
        let jitter: f64 = self.rng.random_range(-1.0..=1.0);
        let overtaken = self.rng.random::<f64>() < self.settings.reorder;
        let hold: f64 = self.rng.random_range(0.5..1.5);
        let twice = self.rng.random::<f64>() < self.settings.duplicate;
        if lost {
            return Fate::Lost;
        }
        let now = match &mut self.bottleneck {
            None => now,
            Some(bottleneck) => match bottleneck.pass(now, bytes) {
                None => return Fate::Lost,
                Some(passed) => passed,
            },
        };
        let delay_ms = (self.settings.delay_ms + jitter * self.settings.jitter_ms).max(0.0);
        let mut at = now + Duration::from_secs_f64(delay_ms / 1000.0);
        if let Some(latest) = self.latest {
            at = at.max(latest);
        }
        if overtaken {
            // Long enough for one to three 20 ms packets to get past.
            let hold_ms = hold * self.settings.jitter_ms.max(30.0);
            at += Duration::from_secs_f64(hold_ms / 1000.0);
        } else {
            self.latest = Some(at);
        }
        self.hold(at, packet.clone());
        if twice {
            self.hold(at + Duration::from_millis(1), packet);
        }
        Fate::Arrives(at)
    }

    fn hold(&mut self, at: Instant, packet: T) {
        self.counter += 1;
        self.on_the_way.insert((at, self.counter), packet);
    }

    /// When the next packet leaves the link.
    pub fn next_at(&self) -> Option<Instant> {
        self.on_the_way.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next packet that has left the link by now.
    pub fn poll(&mut self, now: Instant) -> Option<T> {
        let entry = self.on_the_way.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> LinkSettings {
        LinkSettings {
            delay_ms: 60.0,
            jitter_ms: 30.0,
            seed: 3,
            ..LinkSettings::ideal()
        }
    }

    /// Send packets 20 ms apart in virtual time; give (packet, delay ms) in order of arrival.
    fn send(settings: LinkSettings, packets: usize) -> Vec<(usize, f64)> {
        let start = Instant::now();
        let sent = |n: usize| start + Duration::from_millis(20) * n as u32;
        let mut link = LinkModel::new(settings);
        for n in 0..packets {
            link.offer(sent(n), 200, n);
        }
        let mut arrived = Vec::new();
        while let Some(at) = link.next_at() {
            while let Some(n) = link.poll(at) {
                arrived.push((n, (at - sent(n)).as_secs_f64() * 1000.0));
            }
        }
        arrived
    }

    #[test]
    fn an_ideal_link_is_a_wire() {
        let arrived = send(LinkSettings::ideal(), 100);
        assert_eq!(arrived.len(), 100);
        assert!(arrived.iter().all(|(_, delay)| *delay == 0.0));
    }

    #[test]
    fn jitter_varies_the_delay_and_keeps_the_order() {
        let arrived = send(settings(), 5000);
        assert!(arrived.windows(2).all(|w| w[0].0 < w[1].0));
        let least = arrived.iter().map(|a| a.1).fold(f64::INFINITY, f64::min);
        let most = arrived.iter().map(|a| a.1).fold(0.0, f64::max);
        assert!((30.0..32.0).contains(&least), "{least}");
        assert!((88.0..=90.0).contains(&most), "{most}");
    }

    #[test]
    fn reordered_packets_are_overtaken() {
        let reorder = LinkSettings {
            reorder: 0.05,
            ..settings()
        };
        let arrived = send(reorder, 5000);
        let overtaken = arrived.windows(2).filter(|w| w[0].0 > w[1].0).count();
        assert!((100..400).contains(&overtaken), "{overtaken}");
    }

    #[test]
    fn duplicates_arrive_twice_and_losses_never() {
        let lossy = LinkSettings {
            loss: 0.1,
            duplicate: 0.1,
            ..settings()
        };
        let arrived = send(lossy, 10_000);
        let distinct = arrived
            .iter()
            .map(|a| a.0)
            .collect::<std::collections::BTreeSet<_>>();
        assert!(
            (8_800..9_200).contains(&distinct.len()),
            "{}",
            distinct.len()
        );
        let twice = arrived.len() - distinct.len();
        assert!((800..1_000).contains(&twice), "{twice}");
    }

    #[test]
    fn a_narrow_link_spaces_packets_out_and_drops_what_waits_too_long() {
        let narrow = LinkSettings {
            queue_ms: 50.0,
            ..LinkSettings::ideal()
        };
        // 1000 bytes take 10 ms.
        let rate = Some("800k".parse().unwrap());
        let mut link = LinkModel::new(narrow).limited(rate);
        let start = Instant::now();
        let fates = (0..10)
            .map(|n| link.offer(start, 1000, n))
            .collect::<Vec<_>>();
        let at = |n: u64| Fate::Arrives(start + Duration::from_millis(10 * n));
        assert_eq!(fates[..6], [at(1), at(2), at(3), at(4), at(5), at(6)]);
        assert!(fates[6..].iter().all(|fate| *fate == Fate::Lost));
    }

    #[test]
    fn a_seed_means_one_fate() {
        let lossy = LinkSettings {
            loss: 0.1,
            reorder: 0.1,
            ..settings()
        };
        assert_eq!(send(lossy, 500), send(lossy, 500));
        assert_ne!(send(lossy, 500), send(lossy.reseeded(1), 500));
    }
}
