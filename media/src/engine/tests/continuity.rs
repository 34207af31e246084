//! Pictures go on: over loss, further offers and ICE restarts.

use std::time::Duration;

use crate::engine::{MediaEvent, MediaKind};
use crate::ids::TrackId;
use crate::testing::description::Kind;
use crate::testing::{Call, Member, ms};

/// Bits a second of q, h and f.
const RATES: [u64; 3] = [150_000, 500_000, 1_500_000];
const ROUND_TRIP: Duration = ms(40);

/// A publisher of simulcast and a viewer of it, both over links that lose this part both ways.
fn lossy(loss: f64, seed: u64) -> (Call, usize, usize) {
    let mut call = Call::new();
    let epoch = call.net.epoch;
    let mut member = Member::new();
    member.film(0x1000, &RATES, epoch);
    call.link(0, ROUND_TRIP, 0.0, seed);
    call.link(1, ROUND_TRIP, 0.0, seed + 1);
    let (publisher, negotiated) = call.join(member, &[]);
    assert_eq!(negotiated.published[0].kind, MediaKind::Video);
    let track = negotiated.published[0].track;
    let (viewer, negotiated) = call.join(Member::viewer(1, 1), &[track]);
    assert_eq!(negotiated.played, [("1".to_owned(), track)]);
    call.run(ms(1000));
    for link in call.net.links.values_mut().flatten() {
        link.loss = loss;
    }
    call.run(ms(3000));
    (call, publisher, viewer)
}

/// Lets `time` pass; the longest time without a picture in it.
fn gap(call: &mut Call, viewer: usize, time: Duration) -> Duration {
    let from = call.net.now.mono;
    call.run(time);
    let until = call.net.now.mono;
    call.members[viewer].screen("1").longest_gap(from, until)
}

#[test]
fn without_loss_a_picture_has_no_gap_and_nothing_is_asked_for_again() {
    let (mut call, publisher, viewer) = lossy(0.0, 1);
    assert!(gap(&mut call, viewer, ms(5000)) < ms(50));
    let screen = call.members[viewer].screen("1");
    assert!(screen.faults.is_empty(), "{:?}", screen.faults);
    assert_eq!(call.members[viewer].strays, 0);
    let stats = call.net.engine.stats(call.net.now.mono);
    assert_eq!(stats.peers[publisher].nacks_sent, 0);
    assert_eq!(stats.peers[viewer].nacks_received, 0);
}

#[test]
fn loss_both_ways_is_repaired_before_a_picture_freezes() {
    for seed in 0..4 {
        let (mut call, publisher, viewer) = lossy(0.05, 100 * seed);
        let gap = gap(&mut call, viewer, ms(10_000));
        assert!(gap < ms(300), "seed {seed}: {gap:?}");
        let screen = call.members[viewer].screen("1");
        assert!(screen.faults.is_empty(), "{:?}", screen.faults);
        assert!(screen.repaired > 0);
        let stats = call.net.engine.stats(call.net.now.mono);
        assert!(stats.peers[publisher].recovered > 0);
        assert!(stats.peers[viewer].retransmitted > 0);
        // Each loss is repaired about once.
        let camera = &call.members[publisher].cameras[0];
        let resent: usize = camera.layers.iter().map(|layer| layer.resent).sum();
        let lost = call.net.engine.totals().rtp_in / 20;
        assert!((resent as u64) < 2 * lost, "{resent} for {lost}");
    }
}

#[test]
fn a_publisher_whose_way_becomes_long_is_not_asked_again_too_soon() {
    let (mut call, publisher, _) = lossy(0.0, 3);
    call.link(publisher, ms(300), 0.05, 11);
    // It takes some losses to find out.
    call.run(ms(2000));
    let resent = |call: &Call| -> usize {
        let camera = &call.members[publisher].cameras[0];
        camera.layers.iter().map(|layer| layer.resent).sum()
    };
    let (before, received) = (resent(&call), call.net.engine.totals().rtp_in);
    call.run(ms(10_000));
    let resent = resent(&call) - before;
    let lost = (call.net.engine.totals().rtp_in - received) as usize / 20;
    assert!(resent < 2 * lost, "{resent} for {lost}");
}

#[test]
fn further_offers_leave_pictures_alone() {
    let (mut call, publisher, viewer) = lossy(0.05, 7);
    let plays = started(&call);
    for round in 0..6 {
        let asked = call.members[publisher].keyframes_asked.len();
        match round {
            0 => drop(call.negotiate(publisher, &[])),
            1 => drop(call.negotiate(viewer, &plays)),
            2 => {
                call.members[publisher].speak(0x2000, 30);
                call.negotiate(publisher, &[]);
            }
            3 => {
                call.members[viewer].section(Kind::Video, "recvonly");
                call.members[viewer].section(Kind::Audio, "recvonly");
                call.negotiate(viewer, &plays);
            }
            4 => call.restart_ice(publisher, &[]),
            _ => call.restart_ice(viewer, &plays),
        }
        let gap = gap(&mut call, viewer, ms(2000));
        assert!(gap < ms(300), "round {round}: {gap:?}");
        let member = &call.members[viewer];
        assert!(member.faults().is_empty(), "{:?}", member.faults());
        assert_eq!(member.strays, 0);
        assert_eq!(call.members[publisher].keyframes_asked.len(), asked);
    }
}

/// The tracks of which anything came.
fn started(call: &Call) -> Vec<TrackId> {
    call.events(|event| match event {
        MediaEvent::TrackStarted { track, .. } => Some(*track),
        _ => None,
    })
}
