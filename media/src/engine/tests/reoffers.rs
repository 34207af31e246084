//! Further offers that no browser would make mix nothing up.

use crate::engine::{AcceptError, MediaKind};
use crate::ids::TrackId;
use crate::sdp::offer::OfferError;
use crate::testing::description::Kind;
use crate::testing::{Call, Member, ms};

/// A member with a microphone (mid 0) and a camera (mid 1), and a viewer of both.
fn call() -> (Call, usize, usize, [TrackId; 2]) {
    let mut call = Call::new();
    let epoch = call.net.epoch;
    let mut member = Member::new();
    member.speak(0x100, 30).film(0x1000, &[400_000], epoch);
    let (publisher, negotiated) = call.join(member, &[]);
    let tracks = [negotiated.published[0].track, negotiated.published[1].track];
    let (viewer, _) = call.join(Member::viewer(1, 1), &tracks);
    call.run(ms(500));
    (call, publisher, viewer, tracks)
}

#[test]
fn one_mid_names_one_section() {
    let (mut call, publisher, ..) = call();
    call.members[publisher].sections[1].mid = "0".to_owned();
    let refused = call.try_negotiate(publisher, &[]);
    assert!(matches!(
        refused,
        Err(AcceptError::Offer(OfferError::Garbage(_)))
    ));
}

#[test]
fn a_section_that_changes_its_kind_is_another_track() {
    let (mut call, publisher, viewer, tracks) = call();
    let sections = &mut call.members[publisher].sections;
    sections[0].kind = Kind::Video;
    sections[1].kind = Kind::Audio;
    let negotiated = call.negotiate(publisher, &[]);
    let kinds: Vec<_> = negotiated.published.iter().map(|it| it.kind).collect();
    assert_eq!(kinds, [MediaKind::Video, MediaKind::Audio]);
    for published in &negotiated.published {
        assert!(!tracks.contains(&published.track));
    }
    call.run(ms(500));
    assert_eq!(call.negotiate(viewer, &tracks).played, []);
    assert_eq!(call.net.engine.stats(call.net.now.mono).tracks, 2);
    let plays: Vec<TrackId> = negotiated.published.iter().map(|it| it.track).collect();
    assert_eq!(call.negotiate(viewer, &plays).played.len(), 2);
    call.run(ms(500));
}

#[test]
fn a_section_to_receive_in_that_changes_its_kind_plays_what_it_can() {
    let (mut call, _, viewer, tracks) = call();
    let sections = &mut call.members[viewer].sections;
    sections[0].kind = Kind::Video;
    sections[1].kind = Kind::Audio;
    assert_eq!(call.negotiate(viewer, &tracks).played, []);
    let mut played = call.negotiate(viewer, &tracks).played;
    played.sort_unstable();
    assert_eq!(
        played,
        [("0".to_owned(), tracks[1]), ("1".to_owned(), tracks[0])]
    );
    call.members[viewer].screens.clear();
    call.members[viewer].heard.clear();
    call.run(ms(1000));
    assert!(call.members[viewer].screen("0").frames.len() > 20);
    assert!(call.members[viewer].heard_in("1").len() > 40);
}

#[test]
fn sections_that_change_places_take_their_tracks_along_or_lose_them() {
    let (mut call, publisher, viewer, tracks) = call();
    call.members[publisher].sections.swap(0, 1);
    let negotiated = call.negotiate(publisher, &[]);
    for published in &negotiated.published {
        let kind = match published.mid.as_str() {
            "0" => MediaKind::Audio,
            _ => MediaKind::Video,
        };
        assert_eq!(published.kind, kind);
        // A track goes by its mid.
        assert!(published.track != tracks[usize::from(published.mid == "0")]);
    }
    let plays: Vec<TrackId> = negotiated.published.iter().map(|it| it.track).collect();
    call.negotiate(viewer, &plays);
    call.negotiate(viewer, &plays);
    call.run(ms(500));
    // Two of a kind.
    call.members[publisher].speak(0x200, 30);
    let before = call.negotiate(publisher, &[]);
    let track = |mid: &str| {
        before
            .published
            .iter()
            .find(|it| it.mid == mid)
            .unwrap()
            .track
    };
    call.members[publisher].sections.swap(1, 2);
    let after = call.negotiate(publisher, &[]);
    for published in after.published.iter().filter(|it| it.mid != "1") {
        let other = if published.mid == "0" { "2" } else { "0" };
        assert_ne!(published.track, track(other));
    }
}

#[test]
fn sections_that_are_left_out_end_their_tracks() {
    let (mut call, publisher, viewer, tracks) = call();
    call.members[publisher].sections.truncate(1);
    let negotiated = call.negotiate(publisher, &[]);
    assert_eq!(negotiated.published.len(), 1);
    assert_eq!(call.net.engine.stats(call.net.now.mono).tracks, 1);
    call.members[viewer].sections.truncate(1);
    assert_eq!(
        call.negotiate(viewer, &tracks).played,
        [("0".to_owned(), tracks[0])]
    );
    call.run(ms(300));
    call.members[viewer].section(Kind::Video, "recvonly");
    call.negotiate(viewer, &tracks);
    call.run(ms(300));
    assert_eq!(call.members[viewer].strays, 0);
}

#[test]
fn sections_that_are_given_up_play_nothing() {
    let (mut call, publisher, viewer, tracks) = call();
    call.members[viewer].sections[1].stopped = true;
    let negotiated = call.negotiate(viewer, &tracks);
    assert_eq!(negotiated.played, [("0".to_owned(), tracks[0])]);
    assert!(call.members[viewer].told[1].refused);
    call.members[publisher].sections[1].stopped = true;
    assert_eq!(call.negotiate(publisher, &[]).published.len(), 1);
    assert_eq!(call.net.engine.stats(call.net.now.mono).tracks, 1);
    call.run(ms(300));
    assert_eq!(call.members[viewer].strays, 0);
}
