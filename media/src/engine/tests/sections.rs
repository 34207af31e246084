//! What plays in which section, from one offer of a client to the next.

use crate::engine::{AcceptError, CloseReason, MediaKind};
use crate::ids::{PeerId, TrackId};
use crate::sdp::offer::OfferError;
use crate::testing::description::Kind;
use crate::testing::{Call, Member, ms, play};

/// A call with members that each publish a microphone and a camera of one stream.
fn publishers(count: u32) -> (Call, Vec<TrackId>, Vec<TrackId>) {
    let mut call = Call::new();
    let (mut audio, mut video) = (Vec::new(), Vec::new());
    for at in 0..count {
        let epoch = call.net.epoch;
        let mut member = Member::new();
        member.speak(0x100 * (at + 1), 30);
        member.film(0x1000 * (at + 1), &[400_000], epoch);
        let (_, negotiated) = call.join(member, &[]);
        let kinds: Vec<_> = negotiated.published.iter().map(|it| it.kind).collect();
        assert_eq!(kinds, [MediaKind::Audio, MediaKind::Video]);
        audio.push(negotiated.published[0].track);
        video.push(negotiated.published[1].track);
    }
    (call, audio, video)
}

fn mids(played: &[(String, TrackId)]) -> Vec<(&str, TrackId)> {
    let mut mids: Vec<_> = played.iter().map(|(mid, it)| (mid.as_str(), *it)).collect();
    mids.sort_unstable();
    mids
}

#[test]
fn a_client_publishes_and_receives_over_one_connection() {
    let (mut call, audio, video) = publishers(1);
    let epoch = call.net.epoch;
    let mut member = Member::viewer(2, 1);
    member
        .speak(0x2000, 30)
        .film(0x3000, &[300_000, 600_000], epoch);
    let (both, negotiated) = call.join(member, &[audio[0], video[0]]);
    assert_eq!(mids(&negotiated.played), [("0", audio[0]), ("2", video[0])]);
    assert_eq!(negotiated.missing, (0, 0));
    let published: Vec<_> = negotiated
        .published
        .iter()
        .map(|it| it.mid.as_str())
        .collect();
    assert_eq!(published, ["3", "4"]);
    let told = &call.members[both].told;
    let directions: Vec<_> = told.iter().map(|it| it.direction.as_str()).collect();
    assert_eq!(
        directions,
        ["sendonly", "inactive", "sendonly", "recvonly", "recvonly"]
    );
    let expected = play(video[0]).msid;
    assert_eq!(told[2].msid, Some(format!("{} {}", expected.0, expected.1)));
    assert_eq!(told[2].ssrcs.len(), 2);
    assert_eq!(told[4].rids, ["q", "h"]);
    let theirs = [negotiated.published[0].track, negotiated.published[1].track];
    let (other, _) = call.join(Member::viewer(1, 1), &theirs);
    call.run(ms(2000));
    for (who, video) in [(both, "2"), (other, "1")] {
        let member = &call.members[who];
        assert!(member.screen(video).frames.len() > 40);
        assert!(member.heard_in("0").len() > 80);
        assert!(member.faults().is_empty(), "{:?}", member.faults());
        assert_eq!(member.strays, 0);
    }
}

#[test]
fn a_section_rests_for_one_description_before_it_plays_another_track() {
    let (mut call, _, video) = publishers(2);
    let (viewer, _) = call.join(Member::viewer(0, 1), &video[..1]);
    call.run(ms(1000));
    let resting = call.negotiate(viewer, &video[1..]);
    assert_eq!((resting.played.len(), resting.missing), (0, (0, 1)));
    assert_eq!(call.members[viewer].told[0].direction, "inactive");
    let frames = call.members[viewer]
        .screens
        .values()
        .next()
        .unwrap()
        .frames
        .len();
    call.run(ms(500));
    assert_eq!(
        call.members[viewer]
            .screens
            .values()
            .next()
            .unwrap()
            .frames
            .len(),
        frames
    );
    let playing = call.negotiate(viewer, &video[1..]);
    assert_eq!(mids(&playing.played), [("0", video[1])]);
    call.run(ms(1000));
    let screen = call.members[viewer].screen("0");
    assert!(screen.frames.len() > 20);
    assert_eq!(screen.frames.last().unwrap().content.source, 0x2000);
    assert!(screen.faults.is_empty(), "{:?}", screen.faults);
}

#[test]
fn a_track_that_is_unsubscribed_may_come_back() {
    let (mut call, audio, video) = publishers(1);
    let plays = [audio[0], video[0]];
    let (viewer, _) = call.join(Member::viewer(1, 1), &plays);
    call.run(ms(500));
    let sources = |call: &Call| -> Vec<u32> {
        let told = call.members[viewer].told.iter();
        told.flat_map(|section| section.ssrcs.clone()).collect()
    };
    let mut seen = sources(&call);
    for _ in 0..3 {
        assert_eq!(call.negotiate(viewer, &[]).played, []);
        call.run(ms(200));
        let again = call.negotiate(viewer, &plays);
        assert_eq!(mids(&again.played), [("0", audio[0]), ("1", video[0])]);
        // Of the sources before, libwebrtc would decode the packets and show nothing.
        let now = sources(&call);
        assert_eq!(now.len(), 3);
        assert!(
            now.iter().all(|ssrc| !seen.contains(ssrc)),
            "{now:?} {seen:?}"
        );
        seen.extend(now);
        call.run(ms(1000));
        let member = &call.members[viewer];
        assert!(member.screen("1").frames.len() > 20);
        assert!(member.faults().is_empty(), "{:?}", member.faults());
        let heard = member.heard_in("0");
        assert!(heard.len() > 40);
        for pair in heard.windows(2) {
            assert_eq!(pair[1].header.seq, pair[0].header.seq.wrapping_add(1));
        }
    }
}

#[test]
fn tracks_of_a_publisher_that_leaves_are_passed_over() {
    let (mut call, audio, video) = publishers(2);
    let plays = [audio[0], video[0], audio[1], video[1]];
    let (viewer, _) = call.join(Member::viewer(2, 2), &plays);
    call.run(ms(300));
    let now = call.net.now;
    let reason = CloseReason::Requested;
    call.net
        .engine
        .close(&now, PeerId(0), reason, &mut call.net.wire);
    call.run(ms(300));
    let negotiated = call.negotiate(viewer, &plays);
    assert_eq!(mids(&negotiated.played), [("1", audio[1]), ("3", video[1])]);
    assert_eq!(negotiated.missing, (0, 0));
    assert_eq!(call.members[viewer].told("0").direction, "inactive");
    call.members[viewer].screens.clear();
    call.run(ms(500));
    assert_eq!(call.members[viewer].screens.len(), 1);
    assert!(call.members[viewer].faults().is_empty());
}

#[test]
fn what_finds_no_section_is_counted_and_the_first_comes_first() {
    let (mut call, audio, video) = publishers(3);
    let plays: Vec<TrackId> = audio.iter().chain(&video).copied().collect();
    let (viewer, negotiated) = call.join(Member::viewer(2, 1), &plays);
    assert_eq!(negotiated.missing, (1, 2));
    assert_eq!(
        mids(&negotiated.played),
        [("0", audio[0]), ("1", audio[1]), ("2", video[0])]
    );
    // Another order takes nothing from those that play.
    let turned: Vec<TrackId> = plays.iter().rev().copied().collect();
    assert_eq!(
        mids(&call.negotiate(viewer, &turned).played),
        mids(&negotiated.played)
    );
    call.members[viewer].section(Kind::Video, "recvonly");
    call.members[viewer].section(Kind::Audio, "recvonly");
    let more = call.negotiate(viewer, &plays);
    assert_eq!(more.missing, (0, 1));
    assert_eq!(more.played.len(), 5);
}

#[test]
fn an_offer_has_128_sections_at_most() {
    let (mut call, _, video) = publishers(1);
    let (viewer, negotiated) = call.join(Member::viewer(64, 64), &video);
    assert_eq!(mids(&negotiated.played), [("64", video[0])]);
    call.members[viewer].section(Kind::Audio, "recvonly");
    assert_eq!(
        call.try_negotiate(viewer, &video),
        Err(AcceptError::Offer(OfferError::TooLarge))
    );
    let large = call.add(Member::viewer(100, 100));
    assert_eq!(
        call.try_negotiate(large, &video),
        Err(AcceptError::Offer(OfferError::TooLarge))
    );
    call.run(ms(500));
    assert!(!call.members[viewer].screen("64").frames.is_empty());
}
