//! How the estimator behaves over a bottleneck, and what it makes of nonsense.

use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::simulation::{LAYERS, Link, Moment, Simulation};
use super::{BandwidthEstimator, MAX_BPS, MIN_BPS};
use crate::rtcp::transport_feedback::TransportFeedback;
use crate::rtcp::write::Compound;

const WIDE: u64 = 3_000_000;
const NARROW: u64 = 300_000;
const START: u64 = 1_000_000;

/// Subscribers of a link of 3 Mbit/s, with and without audio besides.
fn subscribers() -> impl Iterator<Item = Simulation> {
    (0..10).map(|seed| {
        let mut simulation = Simulation::new(Link::new(WIDE, seed), START);
        simulation.audio = seed % 2 == 0;
        simulation
    })
}

fn lowest(moments: &[Moment]) -> u64 {
    moments.iter().map(|it| it.estimate).min().unwrap()
}

fn highest(moments: &[Moment]) -> u64 {
    moments.iter().map(|it| it.estimate).max().unwrap()
}

/// Whether the highest layer was sent in the end.
fn ends_high(moments: &[Moment]) -> bool {
    moments.last().unwrap().layer == LAYERS[2]
}

/// The share of time in which the highest layer was sent.
fn share_high(moments: &[Moment]) -> f64 {
    let high = moments.iter().filter(|it| it.layer == LAYERS[2]).count();
    high as f64 / moments.len() as f64
}

#[test]
fn follows_a_link_down_and_up() {
    for (n, mut it) in subscribers().enumerate() {
        assert!(ends_high(it.run(10_000)), "{}", it.story());
        it.link.bps = NARROW;
        let cut = it.run(1_500);
        assert!(cut.last().unwrap().estimate < 500_000, "{}", it.story());
        it.run(500);
        let settled = it.run(10_000 + 777 * n as i64);
        let within = (200_000..330_000).contains(&lowest(settled));
        assert!(within && highest(settled) < 330_000, "{}", it.story());
        it.link.bps = WIDE;
        assert!(ends_high(it.run(10_000)), "{}", it.story());
    }
}

#[test]
fn random_loss_is_no_congestion() {
    for (n, mut it) in subscribers().enumerate() {
        it.link.loss = [0.02, 0.05][n / 2 % 2];
        let moments = it.run(60_000);
        let fine = lowest(moments) >= START && share_high(moments) > 0.95;
        assert!(fine, "{}", it.story());
    }
}

#[test]
fn jitter_is_no_congestion() {
    for mut it in subscribers() {
        it.link.jitter = 30;
        let moments = it.run(60_000);
        let fine = lowest(moments) > START * 9 / 10 && share_high(moments) > 0.5;
        assert!(fine, "{}", it.story());
    }
}

#[test]
fn follows_a_link_with_jitter_and_loss_down_and_up() {
    for mut it in subscribers() {
        it.link.jitter = 10;
        it.link.loss = 0.02;
        it.link.feedback_loss = 0.02;
        it.run(15_000);
        it.link.bps = NARROW;
        it.run(2_000);
        let settled = it.run(15_000);
        let within = lowest(settled) > 150_000 && highest(settled) < 400_000;
        assert!(within, "{}", it.story());
        it.link.bps = WIDE;
        assert!(ends_high(it.run(15_000)), "{}", it.story());
    }
}

#[test]
fn keyframes_that_leave_at_once_are_no_congestion() {
    for mut it in subscribers() {
        it.keyframes = Some((3_000, 30_000));
        let moments = it.run(60_000);
        let fine = lowest(moments) >= START && share_high(moments) > 0.95;
        assert!(fine, "{}", it.story());
    }
    // A quarter of a second of queue, on a link with twice the rate of the stream.
    for mut it in subscribers() {
        it.link.bps = 1_000_000;
        it.layers = 2;
        it.keyframes = Some((3_000, 30_000));
        let moments = it.run(60_000);
        assert!(lowest(moments) > 600_000, "{}", it.story());
    }
}

#[test]
fn a_link_that_stalls_now_and_then_is_not_narrow() {
    for mut it in subscribers() {
        it.run(5_000);
        for _ in 0..20 {
            it.link.stall(it.now(), 100);
            let moments = it.run(2_000);
            assert!(lowest(moments) > 1_700_000, "{}", it.story());
        }
    }
}

#[test]
fn a_paused_sender_resumes_when_the_link_is_back() {
    // A link too narrow for video, and one that is down.
    for bps in [80_000, 0] {
        for mut it in subscribers() {
            it.run(5_000);
            it.link.bps = bps;
            let paused = it.run(20_000).last().unwrap().layer == 0;
            assert!(paused, "{}", it.story());
            it.link.bps = WIDE;
            assert!(ends_high(it.run(10_000)), "{}", it.story());
        }
    }
}

#[test]
fn sending_little_neither_raises_the_estimate_nor_holds_it_back() {
    for mut it in subscribers() {
        it.layers = 1;
        let moments = it.run(60_000);
        let still = (lowest(moments), highest(moments)) == (START, START);
        assert!(still && it.padding == 0, "{}", it.story());
        it.layers = 3;
        assert!(ends_high(it.run(3_000)), "{}", it.story());
    }
}

#[test]
fn probes_of_a_full_link_cost_little() {
    for mut it in subscribers() {
        it.link.bps = NARROW;
        it.run(5_000);
        let before = it.padding;
        it.run(60_000);
        // Of 2.25 MB that the link takes in that time.
        assert!(
            it.padding - before < 60_000,
            "{} {}",
            it.padding,
            it.story()
        );
    }
}

#[test]
fn feedback_that_stops_lowers_the_estimate_and_none_at_all_is_told_of() {
    for mut it in subscribers() {
        it.run(5_000);
        it.feedback = false;
        let before = it.run(1_500);
        assert!(lowest(before) > 1_000_000, "{}", it.story());
        let after = it.run(6_000);
        assert!(after.last().unwrap().estimate < 200_000, "{}", it.story());
    }
    let mut it = Simulation::new(Link::new(WIDE, 1), START);
    it.feedback = false;
    it.run(20_000);
    assert!(!it.estimator.is_measured());
    assert_eq!(it.estimator.estimate(), START);
    assert!(it.padding < 20_000, "{}", it.padding);
}

/// A feedback of the packets from `base` on, by their arrivals in ticks.
fn feed(it: &mut BandwidthEstimator, now: Instant, base: u16, arrivals: &[Option<i64>]) {
    let mut buffer = [0; 1400];
    let mut compound = Compound::new(&mut buffer);
    compound.transport_feedback(1, 2, 0, base, arrivals.iter().copied());
    let len = compound.len();
    if let Some(feedback) = TransportFeedback::parse(&buffer[4.min(len)..len]) {
        it.on_feedback(now, &feedback);
    }
}

#[test]
fn feedback_that_is_repeated_or_of_unknown_packets_changes_nothing() {
    let start = Instant::now();
    let mut it = BandwidthEstimator::new(start, START);
    feed(&mut it, start, 500, &[Some(0); 100]);
    assert!(!it.is_measured());
    for packet in 0..200 {
        it.on_sent(start + Duration::from_millis(packet), 1000);
    }
    let arrivals: Vec<_> = (0..200).map(|packet| Some(packet * 4)).collect();
    let now = start + Duration::from_millis(250);
    feed(&mut it, now, 0, &arrivals);
    assert!(it.is_measured());
    assert_eq!(it.acknowledged(now), Some(8_000_000));
    let later = start + Duration::from_millis(900);
    let (estimate, next_at) = (it.estimate(), it.next_at());
    for _ in 0..100 {
        feed(&mut it, later, 0, &arrivals);
        feed(&mut it, later, 200, &[Some(0); 100]);
    }
    assert_eq!((it.estimate(), it.next_at()), (estimate, next_at));
    assert_eq!(it.acknowledged(later), Some(8_000_000));
    assert_eq!(it.acknowledged(later + Duration::from_secs(5)), None);
}

#[test]
fn nonsense_is_harmless() {
    let mut random = StdRng::seed_from_u64(9);
    let mut now = Instant::now();
    let mut it = BandwidthEstimator::new(now, START);
    it.wanted(u64::MAX);
    for _ in 0..20_000 {
        now += Duration::from_micros(random.random_range(0..20_000));
        let mut last = 0;
        for _ in 0..random.random_range(0..5) {
            last = it.on_sent(now, random.random_range(0..1500));
        }
        let base = last.wrapping_sub(random.random_range(0..40));
        let mut clock = random.random_range(-(1 << 40)..1 << 40);
        let arrivals: Vec<_> = (0..random.random_range(0..60))
            .map(|_| {
                clock += random.random_range(-30_000..30_000);
                random.random::<bool>().then_some(clock)
            })
            .collect();
        feed(&mut it, now, base, &arrivals);
        it.on_round_trip(Duration::from_millis(random.random_range(0..100_000)));
        let _ = it.poll(now);
        assert!((MIN_BPS..=MAX_BPS).contains(&it.estimate()));
        assert!((0.0..=1.0).contains(&it.loss()));
        assert!(it.next_at().is_none_or(|at| at > now));
    }
}
