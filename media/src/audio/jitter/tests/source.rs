//! What the source does: silence, stalls, restarts, wrapping counters, malice.

use super::*;

/// Speech, a marker, a pause with a marker every 400 ms as libopus sends them, speech.
fn with_pause(pause_ms: u64) -> Vec<Sent> {
    let mut packets = stream(50, 10, 777, &PLAIN);
    let mut seq = 60u16;
    let mut at = 1_000;
    while at < 1_000 + pause_ms {
        packets.push(Sent {
            at: at as f64,
            seq,
            timestamp: 777 + at as u32 * 48,
            payload: DTX,
        });
        seq += 1;
        at += 400;
    }
    let resume = 1_000 + pause_ms;
    packets.extend(
        stream(50, seq, 777 + resume as u32 * 48, &PLAIN)
            .into_iter()
            .map(|mut packet| {
                packet.at += resume as f64;
                packet
            }),
    );
    packets
}

#[test]
fn silence_the_sender_leaves_out_is_filled_on_time() {
    let start = Instant::now();
    let link = Link::default();
    let arrivals = send(link, start, &with_pause(2_000));
    let mut buffer = buffer(Release::InOrder);
    let played = play(&mut buffer, &arrivals, ms(0));
    assert_continuous(&played);
    let stats = buffer.stats();
    assert_eq!(
        (stats.lost, stats.concealed, stats.late, stats.restarts),
        (0, 0, 0, 0),
        "{stats:?}"
    );
    assert!(stats.silent > 80, "{stats:?}");
    for one in &played {
        let (media, _) = span(&one.what);
        let held =
            one.at.duration_since(start).as_secs_f64() * 1_000.0 - 60.0 - media as f64 / 48.0;
        assert!(held < 41.0, "{one:?} held {held} ms");
    }
    let (media, length) = span(&played.last().expect("some").what);
    assert_eq!(media + length, (4_000) * 48);
}

#[test]
fn a_stall_is_waited_out_then_concealed_then_left_alone() {
    let start = Instant::now();
    let arrivals = send(Link::default(), start, &stream(100, 0, 0, &PLAIN));
    let mut buffer = buffer(Release::InOrder);
    let played = play(&mut buffer, &arrivals, Duration::from_secs(60));
    let made_up: Vec<_> = played
        .iter()
        .filter(|one| matches!(one.what, Playout::Lost { .. }))
        .collect();
    // Patience first, then one second, in real time, then nothing at all.
    let end = arrivals.last().expect("some").arrival;
    let waited = made_up[0].at.duration_since(end);
    assert!(waited > ms(120) && waited < ms(145), "{waited:?}");
    assert_eq!(made_up.len(), 50);
    let took = made_up[49].at.duration_since(made_up[0].at);
    assert!(took >= ms(975) && took <= ms(985), "{took:?}");
    assert_eq!(buffer.next_at(), None);
}

#[test]
fn a_sender_that_pauses_its_timestamp_too_goes_on_where_the_wall_clock_is() {
    let start = Instant::now();
    let mut packets = stream(200, 0, 5_000, &PLAIN);
    for packet in &mut packets[100..] {
        packet.at += 30_000.0;
    }
    let arrivals = send(Link::default(), start, &packets);
    let mut buffer = buffer(Release::InOrder);
    let played = play(&mut buffer, &arrivals, ms(0));
    assert_continuous(&played);
    let frames: Vec<_> = played
        .iter()
        .filter_map(|one| match one.what {
            Playout::Frame { media, .. } => Some(media),
            _ => None,
        })
        .collect();
    assert_eq!(frames.len(), 200, "no speech is lost: {:?}", buffer.stats());
    assert!(
        frames[100].abs_diff(32_000 * 48) < 48 * 5,
        "{}",
        frames[100] / 48
    );
}

#[test]
fn a_source_that_starts_anew_is_followed() {
    let start = Instant::now();
    let mut packets = stream(100, 60_000, 4_000_000_000, &PLAIN);
    packets.extend(
        stream(100, 7, 12_345, &PLAIN)
            .into_iter()
            .map(|mut packet| {
                packet.at += 2_000.0;
                packet
            }),
    );
    let arrivals = send(Link::default(), start, &packets);
    let mut buffer = buffer(Release::InOrder);
    let played = play(&mut buffer, &arrivals, ms(0));
    let frames: Vec<_> = played
        .iter()
        .filter_map(|one| match &one.what {
            Playout::Frame {
                media, restarted, ..
            } => Some((*media, *restarted)),
            _ => None,
        })
        .collect();
    assert_eq!(frames.len(), 200);
    assert_eq!(frames.iter().filter(|frame| frame.1).count(), 1);
    assert!(
        frames[100].1 && frames[100].0.abs_diff(100 * 960) < 10,
        "{:?}",
        frames[100]
    );
    assert_eq!(frames[199].0 - frames[100].0, 99 * 960);
    assert_eq!(buffer.stats().restarts, 1);
}

#[test]
fn a_single_stray_packet_changes_nothing() {
    let start = Instant::now();
    let mut arrivals = send(Link::default(), start, &stream(200, 0, 0, &PLAIN));
    for at in [50, 100, 150] {
        let mut stray = arrivals[at].clone();
        stray.seq = stray.seq.wrapping_add(20_000);
        stray.timestamp = stray.timestamp.wrapping_mul(77_777);
        arrivals.insert(at, stray);
    }
    let mut buffer = buffer(Release::InOrder);
    let played = play(&mut buffer, &arrivals, ms(0));
    assert_eq!(played.len(), 200);
    assert_eq!(buffer.stats().restarts, 0);
}

#[test]
fn every_wrap_of_both_counters_is_seamless() {
    for (seq, timestamp) in [
        (65_530, u32::MAX - 4_000),
        (0, u32::MAX),
        (32_760, 1 << 31),
        (65_535, 0),
    ] {
        let start = Instant::now();
        let link = Link {
            jitter: 25.0,
            ..Link::default()
        };
        let arrivals = send(link, start, &stream(300, seq, timestamp, &PLAIN));
        let mut buffer = buffer(Release::InOrder);
        assert_continuous(&play(&mut buffer, &arrivals, ms(0)));
        assert!(
            buffer.stats().late <= 5 && buffer.stats().restarts == 0,
            "{:?}",
            buffer.stats()
        );
    }
}

#[test]
fn a_path_that_becomes_slower_is_adapted_to() {
    for release in [Release::InOrder, Release::Paced] {
        let start = Instant::now();
        let packets = stream(600, 0, 0, &PLAIN);
        let mut arrivals = send(Link::default(), start, &packets[..300]);
        arrivals.extend(send(
            Link {
                delay: 460.0,
                ..Link::default()
            },
            start,
            &packets[300..],
        ));
        let mut buffer = buffer(release);
        let played = play(&mut buffer, &arrivals, ms(0));
        assert_continuous(&played);
        let stats = buffer.stats();
        assert!(stats.late <= 30, "{release:?} {stats:?}");
        let real = played
            .iter()
            .filter(|one| matches!(one.what, Playout::Frame { .. }))
            .count();
        assert!(real >= 570, "{release:?} {real}");
    }
}

#[test]
fn hostile_packets_cost_bounded_memory_and_bounded_work() {
    let start = Instant::now();
    for seed in 0..20 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut buffer = buffer(if seed % 2 == 0 {
            Release::InOrder
        } else {
            Release::Paced
        });
        let (mut seq, mut timestamp) = (0u16, 0u32);
        let mut now = start;
        let mut made_up = 0u64;
        let mut end = 0u64;
        for _ in 0..5_000 {
            match rng.random_range(0..6) {
                0 => (seq, timestamp) = (rng.random(), rng.random()),
                1 => timestamp = timestamp.wrapping_add(90_000),
                2 => seq = seq.wrapping_add(rng.random_range(0..4_000)),
                3 => timestamp = timestamp.wrapping_sub(rng.random_range(0..100_000)),
                _ => timestamp = timestamp.wrapping_add(rng.random_range(0..5_760)),
            }
            seq = seq.wrapping_add(1);
            now += Duration::from_millis(rng.random_range(0..4));
            let payload: Vec<u8> = (0..rng.random_range(0..20)).map(|_| rng.random()).collect();
            let skewed = now - Duration::from_millis(rng.random_range(0..3_000)).min(now - start);
            buffer.push(
                EncodedFrame {
                    seq,
                    timestamp,
                    payload: payload.into(),
                    arrival: skewed,
                },
                now,
            );
            assert!(buffer.held.len() <= MAX_PACKETS);
            if rng.random_bool(0.3) {
                while let Some(what) = buffer.poll(now) {
                    let (media, length) = span(&what);
                    assert!(media >= end, "{media} after {end}");
                    end = media + length;
                    if !matches!(what, Playout::Frame { .. }) {
                        made_up += length;
                    }
                }
            }
        }
        // What is made up never outruns the clock, but for the first second.
        let elapsed = now.duration_since(start).as_millis() as u64 * 48;
        assert!(
            made_up <= elapsed + 48_000 + 5_760,
            "{made_up} in {elapsed}"
        );
    }
}
