//! Which layer a subscriber is sent.

use std::time::Duration;

use super::joining::film;
use crate::engine::{MediaEvent, Playing};
use crate::ids::{PeerId, TrackId};
use crate::testing::{Call, Member, ms};

/// Bits a second of q, h and f.
const RATES: [u64; 3] = [120_000, 400_000, 1_200_000];
/// The sources of q, h and f.
const SOURCES: [u32; 3] = [0x1000, 0x1002, 0x1004];

/// A publisher of simulcast and of audio, and a viewer of both over a way of its own.
fn watched() -> (Call, usize, usize, [TrackId; 2]) {
    let mut call = Call::new();
    let epoch = call.net.epoch;
    let mut member = Member::new();
    member.speak(0x100, 30).film(SOURCES[0], &RATES, epoch);
    let (publisher, negotiated) = call.join(member, &[]);
    let tracks = [negotiated.published[0].track, negotiated.published[1].track];
    let viewer = call.add(Member::viewer(1, 1));
    call.link(viewer, ms(40), 0.0, 5);
    call.negotiate(viewer, &tracks);
    call.connect(viewer);
    (call, publisher, viewer, tracks)
}

/// The layer that the viewer saw last.
fn layer(call: &Call, viewer: usize) -> Option<usize> {
    let frame = call.members[viewer].screen("1").frames.last().unwrap();
    SOURCES
        .iter()
        .position(|ssrc| *ssrc == frame.content.source)
}

fn frames(call: &mut Call, viewer: usize, time: Duration) -> usize {
    let before = call.members[viewer].screen("1").frames.len();
    call.run(time);
    call.members[viewer].screen("1").frames.len() - before
}

fn paused(call: &Call) -> Vec<bool> {
    call.events(|event| match event {
        MediaEvent::StreamPaused { paused, .. } => Some(*paused),
        _ => None,
    })
}

fn wanted(call: &Call) -> Vec<Option<u8>> {
    call.events(|event| match event {
        MediaEvent::LayerWanted { layer, .. } => Some(*layer),
        _ => None,
    })
}

#[test]
fn a_subscriber_gets_the_layer_it_asks_for() {
    let (mut call, publisher, viewer, tracks) = watched();
    call.run(ms(5000));
    assert_eq!(layer(&call, viewer), Some(2));
    for wanted in [0, 1, 0, 2] {
        let playing = Playing {
            layer: wanted,
            ..Playing::FULL
        };
        let now = call.net.now;
        call.net
            .engine
            .set_playing(&now, PeerId(viewer as u64), tracks[1], playing);
        let asked = call.net.now.mono;
        call.run(ms(1500));
        assert_eq!(layer(&call, viewer), Some(usize::from(wanted)));
        let screen = call.members[viewer].screen("1");
        assert!(screen.longest_gap(asked, call.net.now.mono) < ms(60));
        assert!(screen.faults.is_empty(), "{:?}", screen.faults);
    }
    assert!(paused(&call).is_empty());
    assert!(call.members[publisher].keyframes_asked.len() < 12);
}

#[test]
fn the_order_in_which_layers_are_offered_does_not_say_which_is_the_highest() {
    for count in [2, 3] {
        let mut call = Call::new();
        let epoch = call.net.epoch;
        let mut member = Member::new();
        member.film(SOURCES[0], &RATES[..count], epoch);
        // As LiveKit's Rust core offers: the highest first.
        member.sections[0].rids.reverse();
        let (publisher, negotiated) = call.join(member, &[]);
        let track = negotiated.published[0].track;
        let offered = &call.members[publisher].sections[0].rids;
        assert_eq!(&call.members[publisher].told("0").rids, offered);
        let (viewer, _) = call.join(Member::viewer(0, 1), &[track]);
        for wanted in [0, count as u8 - 1] {
            let (now, peer) = (call.net.now, PeerId(viewer as u64));
            let playing = Playing {
                layer: wanted,
                ..Playing::FULL
            };
            call.net.engine.set_playing(&now, peer, track, playing);
            call.run(ms(3000));
            let frame = call.members[viewer].screen("0").frames.last().unwrap();
            assert_eq!(frame.content.source, SOURCES[usize::from(wanted)]);
        }
    }
}

#[test]
fn simulcast_without_rids_has_the_layers_of_its_group() {
    let mut call = Call::new();
    let epoch = call.net.epoch;
    let mut member = Member::new();
    member.film(SOURCES[0], &RATES, epoch);
    let camera = &mut member.cameras[0];
    camera.layers.iter_mut().for_each(|layer| layer.rid = None);
    let section = &mut member.sections[0];
    section.rids.clear();
    section.ssrcs = (SOURCES[0]..SOURCES[0] + 6).collect();
    let (_, negotiated) = call.join(member, &[]);
    let track = negotiated.published[0].track;
    let (viewer, _) = call.join(Member::viewer(0, 1), &[track]);
    for wanted in [0, 2] {
        let (now, peer) = (call.net.now, PeerId(viewer as u64));
        let playing = Playing {
            layer: wanted,
            ..Playing::FULL
        };
        call.net.engine.set_playing(&now, peer, track, playing);
        call.run(ms(3000));
        let frame = call.members[viewer].screen("0").frames.last().unwrap();
        assert_eq!(frame.content.source, SOURCES[usize::from(wanted)]);
    }
}

#[test]
fn a_track_that_is_disabled_is_not_sent_and_comes_back_at_once() {
    let (mut call, _, viewer, tracks) = watched();
    call.run(ms(1000));
    for track in tracks {
        let now = call.net.now;
        let peer = PeerId(viewer as u64);
        call.net.engine.set_playing(&now, peer, track, Playing::OFF);
    }
    call.run(ms(100));
    let heard = call.members[viewer].heard.len();
    assert_eq!(frames(&mut call, viewer, ms(1000)), 0);
    assert_eq!(call.members[viewer].heard.len(), heard);
    for track in tracks {
        let now = call.net.now;
        let peer = PeerId(viewer as u64);
        call.net
            .engine
            .set_playing(&now, peer, track, Playing::FULL);
    }
    assert!(frames(&mut call, viewer, ms(500)) > 8);
    let member = &call.members[viewer];
    assert!(member.faults().is_empty(), "{:?}", member.faults());
    for pair in member.heard_in("0").windows(2) {
        assert_eq!(pair[1].header.seq, pair[0].header.seq.wrapping_add(1));
    }
    assert!(paused(&call).is_empty());
}

#[test]
fn fewer_frames_are_sent_to_who_wants_fewer() {
    let (mut call, _, viewer, tracks) = watched();
    call.run(ms(1000));
    let playing = Playing {
        frames_per_second: Some(15),
        ..Playing::FULL
    };
    let now = call.net.now;
    let peer = PeerId(viewer as u64);
    call.net.engine.set_playing(&now, peer, tracks[1], playing);
    // The synthetic video has two temporal layers, of three that are reckoned with.
    let playing = Playing {
        frames_per_second: Some(7),
        ..playing
    };
    call.net.engine.set_playing(&now, peer, tracks[1], playing);
    call.run(ms(100));
    let seen = frames(&mut call, viewer, ms(2000));
    assert!((28..=32).contains(&seen), "{seen}");
    let screen = call.members[viewer].screen("1");
    assert!(screen.faults.is_empty(), "{:?}", screen.faults);
}

#[test]
fn video_follows_what_the_way_can_take_and_audio_never_gives_way() {
    let (mut call, _, viewer, _) = watched();
    call.run(ms(6000));
    assert_eq!(layer(&call, viewer), Some(2));
    let mut heard = call.members[viewer].heard.len();
    for (bps, layers, seconds) in [
        (700_000, &[1][..], 15),
        (250_000, &[0], 15),
        (5_000_000, &[2], 40),
    ] {
        call.net.links.get_mut(&viewer).unwrap()[1].bps = Some(bps);
        call.run(Duration::from_secs(seconds));
        let now = layer(&call, viewer).unwrap();
        assert!(layers.contains(&now), "layer {now} at {bps}");
        let recent = call.members[viewer].heard.len() - heard;
        let expected = 50 * seconds as usize;
        assert!(
            recent * 100 > expected * 85,
            "{recent} of {expected} at {bps}"
        );
        heard += recent;
    }
    let screen = call.members[viewer].screen("1");
    assert!(screen.faults.is_empty(), "{:?}", screen.faults);
    let stats = call.net.engine.stats(call.net.now.mono);
    assert!(stats.peers[viewer].estimate_bps.is_some());
}

#[test]
fn video_that_does_not_fit_at_all_is_paused_and_told_of() {
    let (mut call, _, viewer, tracks) = watched();
    call.run(ms(5000));
    call.net.links.get_mut(&viewer).unwrap()[1].bps = Some(60_000);
    call.run(Duration::from_secs(20));
    assert_eq!(paused(&call), [true]);
    assert_eq!(frames(&mut call, viewer, ms(1000)), 0);
    let heard = call.members[viewer].heard.len();
    call.run(ms(2000));
    assert!(call.members[viewer].heard.len() > heard + 90);
    call.net.links.get_mut(&viewer).unwrap()[1].bps = None;
    call.run(Duration::from_secs(30));
    assert_eq!(paused(&call), [true, false]);
    assert_eq!(layer(&call, viewer), Some(2));
    let tracks_told = call.events(|event| match event {
        MediaEvent::StreamPaused { track, peer, .. } => Some((*peer, *track)),
        _ => None,
    });
    assert_eq!(tracks_told[0], (PeerId(viewer as u64), tracks[1]));
}

#[test]
fn publishers_are_told_which_layer_is_wanted_at_most() {
    let (mut call, _, viewer, tracks) = watched();
    call.run(ms(3500));
    assert_eq!(wanted(&call), [Some(u8::MAX)]);
    let set = |call: &mut Call, playing| {
        let now = call.net.now;
        let peer = PeerId(viewer as u64);
        call.net.engine.set_playing(&now, peer, tracks[1], playing);
    };
    let low = Playing {
        layer: 0,
        ..Playing::FULL
    };
    set(&mut call, low);
    call.run(ms(2500));
    assert_eq!(wanted(&call).last(), Some(&Some(u8::MAX)));
    call.run(ms(1000));
    assert_eq!(wanted(&call).last(), Some(&Some(0)));
    set(&mut call, Playing::OFF);
    call.run(ms(4000));
    assert_eq!(wanted(&call).last(), Some(&None));
    set(&mut call, Playing::FULL);
    call.run(ms(300));
    assert_eq!(wanted(&call).last(), Some(&Some(u8::MAX)));
}

#[test]
fn a_track_that_nobody_was_sent_yet_is_wanted() {
    let mut call = Call::new();
    let epoch = call.net.epoch;
    let mut member = Member::new();
    member.film(0x1000, &RATES, epoch);
    member.cameras[0].muted = true;
    let (_, negotiated) = call.join(member, &[]);
    let track = negotiated.published[0].track;
    call.join(Member::viewer(0, 1), &[track]);
    call.run(ms(5000));
    assert_eq!(wanted(&call), [Some(u8::MAX)]);
}

#[test]
fn a_layer_that_is_not_sent_any_more_is_left() {
    let (mut call, publisher, viewer, _) = watched();
    call.run(ms(5000));
    assert_eq!(layer(&call, viewer), Some(2));
    call.members[publisher].cameras[0].layers[2].active = false;
    let from = call.net.now.mono;
    call.run(ms(3000));
    assert_eq!(layer(&call, viewer), Some(1));
    let screen = call.members[viewer].screen("1");
    assert!(screen.longest_gap(from, call.net.now.mono) < ms(700));
    let layer_2 = &mut call.members[publisher].cameras[0].layers[2];
    (layer_2.active, layer_2.wants_keyframe) = (true, true);
    call.run(ms(6000));
    assert_eq!(layer(&call, viewer), Some(2));
    assert!(call.members[viewer].faults().is_empty());
}

#[test]
fn a_screen_that_seldom_changes_keeps_its_highest_layer() {
    let (mut call, publisher, viewer, _) = watched();
    call.run(ms(5000));
    call.members[publisher].cameras[0].interval = ms(1000);
    call.run(ms(1000));
    let from = call.members[viewer].screen("1").frames.len();
    call.run(ms(20_000));
    let frames = &call.members[viewer].screen("1").frames[from..];
    assert!(frames.len() >= 19, "{}", frames.len());
    for frame in frames {
        assert_eq!(frame.content.source, SOURCES[2]);
    }
}

#[test]
fn fifty_subscribers_that_ask_at_once_are_one_request() {
    let mut call = Call::new();
    let (publisher, track) = film(&mut call, 0x1000, &[300_000]);
    let viewers: Vec<usize> = (0..50)
        .map(|_| call.join(Member::viewer(0, 1), &[track]).0)
        .collect();
    call.run(ms(1000));
    call.members[publisher].keyframes_asked.clear();
    let Call { net, members } = &mut call;
    for &viewer in &viewers {
        members[viewer].ask_for_keyframe("0", &mut net.clients[viewer]);
    }
    call.run(ms(20));
    for step in 0..100 {
        let Call { net, members } = &mut call;
        let viewer = viewers[step % viewers.len()];
        members[viewer].ask_for_keyframe("0", &mut net.clients[viewer]);
        call.run(ms(20));
    }
    let asked = &call.members[publisher].keyframes_asked;
    assert!((3..=6).contains(&asked.len()), "{}", asked.len());
    for pair in asked.windows(2) {
        assert!(pair[1].0 - pair[0].0 >= ms(499));
    }
}
