//! What the way to a subscriber can take, and how that is found out.

use std::time::Duration;

use super::joining::film;
use crate::engine::{MediaEvent, Playing};
use crate::ids::{PeerId, TrackId};
use crate::testing::description::Kind;
use crate::testing::{Call, Member, ms};

const RATES: [u64; 3] = [150_000, 500_000, 2_500_000];

/// A viewer over a way that takes so many bits a second.
fn view(call: &mut Call, member: Member, bps: u64, track: TrackId) -> usize {
    let viewer = call.add(member);
    call.link(viewer, ms(40), 0.0, 5);
    call.net.links.get_mut(&viewer).unwrap()[1].bps = Some(bps);
    call.negotiate(viewer, &[track]);
    call.connect(viewer);
    viewer
}

fn paused(call: &Call) -> usize {
    let of = |event: &MediaEvent| matches!(event, MediaEvent::StreamPaused { .. }).then_some(());
    call.events(of).len()
}

/// The source that a viewer saw last.
fn source(call: &Call, viewer: usize, mid: &str) -> u32 {
    let screen = call.members[viewer].screen(mid);
    screen.frames.last().unwrap().content.source
}

#[test]
fn what_was_never_too_much_is_not_taken_away() {
    let mut call = Call::new();
    let (_, track) = film(&mut call, 0x1000, &[2_500_000]);
    let viewer = view(&mut call, Member::viewer(0, 1), 20_000_000, track);
    call.run(ms(500));
    let from = call.net.now.mono;
    call.run(ms(15_000));
    assert_eq!(paused(&call), 0);
    let screen = call.members[viewer].screen("0");
    assert!(screen.longest_gap(from, call.net.now.mono) < ms(100));
}

#[test]
fn a_wide_way_soon_carries_the_highest_layer_of_whatever_comes() {
    let mut call = Call::new();
    let (_, first) = film(&mut call, 0x1000, &[150_000]);
    let (_, second) = film(&mut call, 0x2000, &RATES);
    let viewer = view(&mut call, Member::viewer(0, 1), 20_000_000, first);
    call.run(ms(5000));
    call.members[viewer].section(Kind::Video, "recvonly");
    call.negotiate(viewer, &[first, second]);
    call.run(ms(3000));
    assert_eq!(source(&call, viewer, "1"), 0x2004);
    assert_eq!(paused(&call), 0);
    assert!(call.members[viewer].faults().is_empty());
}

#[test]
fn a_layer_with_few_frames_goes_on() {
    let mut call = Call::new();
    let (publisher, track) = film(&mut call, 0x1000, &RATES);
    call.members[publisher].cameras[0].layers[0].every = 10;
    let viewer = view(&mut call, Member::viewer(0, 1), 20_000_000, track);
    let (now, peer) = (call.net.now, PeerId(viewer as u64));
    let playing = Playing {
        layer: 0,
        ..Playing::FULL
    };
    call.net.engine.set_playing(&now, peer, track, playing);
    call.run(ms(3000));
    let before = call.members[viewer].screen("0").frames.len();
    call.members[publisher].keyframes_asked.clear();
    call.run(ms(10_000));
    let frames = call.members[viewer].screen("0").frames.len() - before;
    assert!(frames >= 29, "{frames}");
    assert_eq!(paused(&call), 0);
    assert!(call.members[publisher].keyframes_asked.is_empty());
}

/// Narrows and widens the way to a viewer; gives the layers that it is sent in the end of either.
fn narrowed(member: Member) -> [u32; 2] {
    let mut call = Call::new();
    let (_, track) = film(&mut call, 0x1000, &[150_000, 500_000, 1_500_000]);
    let viewer = view(&mut call, member, 20_000_000, track);
    call.run(ms(5000));
    assert_eq!(source(&call, viewer, "0"), 0x1004);
    [(350_000, 20), (20_000_000, 60)].map(|(bps, seconds)| {
        call.net.links.get_mut(&viewer).unwrap()[1].bps = Some(bps);
        call.run(Duration::from_secs(seconds));
        source(&call, viewer, "0")
    })
}

#[test]
fn who_has_no_retransmissions_gets_back_up() {
    let mut member = Member::viewer(0, 1);
    member.codecs.repair = false;
    assert_eq!(narrowed(member), [0x1000, 0x1004]);
}

#[test]
fn who_gives_no_feedback_on_the_way_is_judged_by_its_loss() {
    let mut member = Member::viewer(0, 1);
    member.codecs.transport = 0;
    let [narrow, wide] = narrowed(member);
    // Now and then it is sent more, to find out whether that is lost.
    assert!(narrow < 0x1004);
    assert_eq!(wide, 0x1004);
}
