//! What the path does: loss, jitter, reordering, duplicates, drift.

use super::*;

#[test]
fn a_perfect_link_adds_no_delay_in_order_and_the_least_when_paced() {
    let start = Instant::now();
    let link = Link::default();
    let arrivals = send(link, start, &stream(500, 0, FIRST, &PLAIN));
    for (release, limit) in [(Release::InOrder, 0.1), (Release::Paced, 20.1)] {
        let mut buffer = buffer(release);
        let played = play(&mut buffer, &arrivals, ms(0));
        assert_continuous(&played);
        let holds = holds(&played, start, FIRST, link);
        assert!(
            holds[holds.len() * 9 / 10] <= limit,
            "{release:?} {}",
            holds[holds.len() * 9 / 10]
        );
        assert_eq!(buffer.stats().target_delay, ms(20));
        assert_eq!(buffer.stats().concealed + buffer.stats().lost, 0);
    }
}

#[test]
fn at_30_ms_jitter_and_2_percent_loss_little_is_held_and_little_concealed() {
    for seed in 1..=10 {
        let start = Instant::now();
        let link = Link {
            seed,
            jitter: 30.0,
            loss: 0.02,
            ..Link::default()
        };
        let arrivals = send(link, start, &stream(3_000, 65_000, FIRST, &WITH_FEC));
        for release in [Release::InOrder, Release::Paced] {
            let mut buffer = buffer(release);
            let played = play(&mut buffer, &arrivals, ms(0));
            assert_continuous(&played);
            let stats = buffer.stats();
            let target = stats.target_delay.as_secs_f64() * 1_000.0;
            assert!(
                (40.0..=70.0).contains(&target),
                "{release:?} target {target}"
            );
            // 2 % is gone; what is late beyond that must be little, and nearly all is recovered.
            assert!(stats.lost < 3_000 * 4 / 100, "{release:?} {stats:?}");
            assert!(stats.late < 3_000 / 100, "{release:?} {stats:?}");
            assert!(stats.recovered > 25, "{release:?} {stats:?}");
            let holds = holds(&played, start, FIRST, link);
            let median = holds[holds.len() / 2];
            let most = holds[holds.len() * 99 / 100];
            match release {
                Release::InOrder => {
                    assert!(median < 50.0, "median {median}");
                    assert!(stats.concealed < 15, "{stats:?}");
                }
                // It cannot wait for the packet that carries the redundancy.
                Release::Paced => {
                    assert!((40.0..70.0).contains(&median), "median {median}");
                    assert!(stats.concealed < 40, "{stats:?}");
                }
            }
            assert!(most < 80.0, "{release:?} p99 {most}");
        }
    }
}

#[test]
fn the_target_falls_again_when_the_network_calms() {
    let start = Instant::now();
    let packets = stream(2_000, 0, 0, &PLAIN);
    let rough = Link {
        jitter: 60.0,
        ..Link::default()
    };
    let mut arrivals = send(rough, start, &packets[..1_000]);
    arrivals.extend(send(
        Link {
            seed: 2,
            jitter: 2.0,
            ..rough
        },
        start,
        &packets[1_000..],
    ));
    arrivals.sort_by_key(|frame| frame.arrival);
    let mut buffer = buffer(Release::InOrder);
    let calm_from = arrivals.partition_point(|frame| frame.timestamp < 1_000 * 960);
    play(&mut buffer, &arrivals[..calm_from], ms(0));
    let rough = buffer.stats().target_delay;
    assert!(rough > ms(90), "{rough:?}");
    play(&mut buffer, &arrivals[calm_from..calm_from + 350], ms(0));
    assert!(
        buffer.stats().target_delay <= ms(20),
        "{:?}",
        buffer.stats()
    );
}

#[test]
fn bursts_of_loss_keep_the_clock() {
    let start = Instant::now();
    let link = Link {
        loss: 0.02,
        burst: 0.7,
        jitter: 5.0,
        ..Link::default()
    };
    let sent = stream(3_000, 0, 0, &WITH_FEC);
    let arrivals = send(link, start, &sent);
    let mut buffer = buffer(Release::InOrder);
    let played = play(&mut buffer, &arrivals, ms(0));
    assert_continuous(&played);
    let stats = buffer.stats();
    let gone = (arrivals.last().expect("some").seq - arrivals[0].seq + 1) as u64 - stats.received;
    assert!(
        stats.lost >= gone && stats.lost <= gone + 5,
        "{stats:?}, {gone} gone"
    );
    // The last of each burst is recovered from the packet after it, the others concealed.
    assert_eq!(stats.recovered + stats.concealed, stats.lost);
    assert!(stats.recovered > 20);
}

#[test]
fn loss_without_redundancy_is_concealed_after_one_target_delay() {
    let start = Instant::now();
    let mut arrivals = send(Link::default(), start, &stream(200, 0, 0, &PLAIN));
    arrivals.remove(150);
    let mut buffer = buffer(Release::InOrder);
    let played = play(&mut buffer, &arrivals, ms(0));
    let lost = played
        .iter()
        .find(|one| matches!(one.what, Playout::Lost { .. }))
        .expect("one");
    assert_eq!(span(&lost.what), (150 * 960, 960));
    let waited = lost.at.duration_since(start) - ms(60 + 150 * 20);
    assert!(waited >= ms(20) && waited <= ms(21), "{waited:?}");
    assert_eq!((buffer.stats().lost, buffer.stats().concealed), (1, 1));
    assert_continuous(&played);
}

#[test]
fn duplicates_and_reordering_change_nothing() {
    let start = Instant::now();
    let link = Link {
        jitter: 45.0,
        duplicate: 0.3,
        ..Link::default()
    };
    let arrivals = send(link, start, &stream(1_000, 65_500, 0, &PLAIN));
    let mut buffer = buffer(Release::InOrder);
    let played = play(&mut buffer, &arrivals, ms(0));
    assert_continuous(&played);
    let stats = buffer.stats();
    assert_eq!(stats.received + stats.duplicates, arrivals.len() as u64);
    assert!(stats.duplicates > 200 && stats.late < 20, "{stats:?}");
}

#[test]
fn a_skewed_clock_never_starves_or_fills_the_buffer() {
    for skew_ppm in [-500.0, 500.0] {
        for release in [Release::InOrder, Release::Paced] {
            let start = Instant::now();
            let link = Link {
                skew_ppm,
                jitter: 10.0,
                ..Link::default()
            };
            let arrivals = send(link, start, &stream(15_000, 0, 0, &PLAIN));
            let mut buffer = buffer(release);
            let played = play(&mut buffer, &arrivals, ms(0));
            assert_continuous(&played);
            let stats = buffer.stats();
            assert!(
                stats.late < 60 && stats.target_delay < ms(40),
                "{skew_ppm} {stats:?}"
            );
            assert!(buffer.held.len() < 5);
        }
    }
}
