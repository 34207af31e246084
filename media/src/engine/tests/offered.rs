//! Clients to which the server offers what they receive.

use super::joining::film;
use crate::engine::{AcceptError, ServerChannel};
use crate::ids::{PeerId, TrackId};
use crate::sdp::offer::Offer;
use crate::testing::description::{H264, Kind, VP8};
use crate::testing::{Call, Member, ms};

/// Adds a subscriber and connects it.
fn subscriber(call: &mut Call, member: Member, plays: &[TrackId]) -> usize {
    let mut member = member;
    // The server's own numbers.
    member.codecs.transport = 5;
    let who = call.add(member);
    let offered = call.subscribe(who, plays, &[], false);
    assert_eq!(offered.played.len(), plays.len());
    call.connect(who);
    who
}

/// Pictures in the section `mid` within half a second, and of which source.
fn pictures(call: &mut Call, who: usize, mid: &str) -> (usize, Option<u32>) {
    let ssrc = call.members[who].told(mid).ssrcs[0];
    let count = |call: &Call| {
        let screen = call.members[who].screens.get(&ssrc);
        screen.map_or(0, |screen| screen.frames.len())
    };
    let before = count(call);
    call.run(ms(500));
    let source = |call: &Call| {
        let screen = call.members[who].screens.get(&ssrc)?;
        Some(screen.frames.last()?.content.source)
    };
    (count(call) - before, source(call))
}

#[test]
fn two_subscribers_get_what_they_are_offered() {
    let mut call = Call::new();
    let (_, camera) = film(&mut call, 0x1000, &[300_000, 600_000]);
    let mut member = Member::new();
    member.speak(0x100, 30);
    let (_, negotiated) = call.join(member, &[]);
    let microphone = negotiated.published[0].track;
    let viewers = [(); 2].map(|()| subscriber(&mut call, Member::new(), &[microphone, camera]));
    call.run(ms(1000));
    for viewer in viewers {
        let member = &call.members[viewer];
        let kinds: Vec<_> = member.sections.iter().map(|it| it.kind).collect();
        assert_eq!(kinds, [Kind::Data, Kind::Audio, Kind::Video]);
        assert!(member.screen("2").frames.len() > 20);
        assert!(member.heard_in("1").len() > 40);
        assert!(member.faults().is_empty(), "{:?}", member.faults());
        assert_eq!(member.strays, 0);
        let stats = call.net.engine.stats(call.net.now.mono);
        assert!(stats.peers[viewer].estimate_bps.is_some());
    }
}

#[test]
fn a_section_rests_for_one_offer_even_if_there_are_new_ones() {
    let mut call = Call::new();
    let (_, first) = film(&mut call, 0x1000, &[300_000]);
    let (_, second) = film(&mut call, 0x2000, &[300_000]);
    let viewer = subscriber(&mut call, Member::new(), &[first]);
    assert_eq!(pictures(&mut call, viewer, "1").1, Some(0x1000));
    let offered = call.subscribe(viewer, &[second], &[], false);
    assert_eq!(offered.played, [("2".to_owned(), second)]);
    assert_eq!(call.members[viewer].told("1").direction, "inactive");
    let (count, source) = pictures(&mut call, viewer, "2");
    assert!(count > 10);
    assert_eq!(source, Some(0x2000));
    // Now the first section may play something again.
    let offered = call.subscribe(viewer, &[second, first], &[], false);
    let mut played = offered.played;
    played.sort_unstable();
    assert_eq!(played, [("1".to_owned(), first), ("2".to_owned(), second)]);
    for (mid, expected) in [("1", 0x1000), ("2", 0x2000)] {
        let (count, source) = pictures(&mut call, viewer, mid);
        assert!(count > 10, "{mid}");
        assert_eq!(source, Some(expected));
    }
    assert!(call.members[viewer].faults().is_empty());
    assert_eq!(call.members[viewer].strays, 0);
}

#[test]
fn ice_restarts_by_an_offer_and_pictures_go_on() {
    let mut call = Call::new();
    let (_, track) = film(&mut call, 0x1000, &[300_000]);
    let viewer = subscriber(&mut call, Member::new(), &[track]);
    call.run(ms(500));
    let before = call.net.clients[viewer].server_ufrag.clone();
    let from = call.net.now.mono;
    call.subscribe(viewer, &[track], &[], true);
    assert_ne!(call.net.clients[viewer].server_ufrag, before);
    call.run(ms(300));
    call.net.clients[viewer].address = "203.0.113.9:9".parse().unwrap();
    let answers = call.net.clients[viewer].check_answers;
    call.net.clients[viewer].check(true);
    call.run(ms(1000));
    assert_eq!(call.net.clients[viewer].check_answers, answers + 1);
    let screen = call.members[viewer].screen("1");
    assert!(screen.longest_gap(from, call.net.now.mono) < ms(100));
    assert!(screen.faults.is_empty(), "{:?}", screen.faults);
}

#[test]
fn an_answer_decides_which_formats_are_sent() {
    let mut call = Call::new();
    let (publisher, track) = film(&mut call, 0x1000, &[300_000]);
    let mut member = Member::new();
    member.codecs.video = vec![H264];
    let other = subscriber(&mut call, member, &[track]);
    let mut member = Member::new();
    member.codecs.video = vec![VP8];
    let fine = subscriber(&mut call, member, &[track]);
    call.members[publisher].keyframes_asked.clear();
    call.run(ms(3000));
    assert!(call.members[fine].screen("1").frames.len() > 60);
    assert!(call.members[other].screens.is_empty());
    assert_eq!(call.members[publisher].keyframes_asked, []);
}

#[test]
fn answers_that_fit_no_offer_are_harmless() {
    let mut call = Call::new();
    let (_, camera) = film(&mut call, 0x1000, &[300_000]);
    let mut member = Member::new();
    member.speak(0x100, 30);
    let (_, negotiated) = call.join(member, &[]);
    let plays = [negotiated.published[0].track, camera];
    let viewer = subscriber(&mut call, Member::new(), &plays);
    let peer = PeerId(viewer as u64);
    let honest = call.answer(viewer);
    type Spoil = fn(&mut Member);
    let spoilt: [Spoil; 6] = [
        |member| member.sections.truncate(1),
        |member| member.sections[2].stopped = true,
        |member| member.sections.swap(1, 2),
        |member| member.sections[2].kind = Kind::Audio,
        |member| {
            member.section(Kind::Video, "sendrecv");
        },
        |member| {
            member.codecs.video = vec![crate::testing::description::Format {
                payload_type: 120,
                ..VP8
            }]
        },
    ];
    for spoil in spoilt {
        let sections = call.members[viewer].sections.clone();
        let codecs = call.members[viewer].codecs.clone();
        spoil(&mut call.members[viewer]);
        let (member, client) = (&call.members[viewer], &call.net.clients[viewer]);
        let text = crate::testing::description::write(
            &member.sections,
            &member.codecs,
            (&client.ufrag, client.fingerprint()),
            "active",
        );
        let answer = Offer::parse(&text).unwrap();
        assert_eq!(call.net.engine.answered(peer, &answer), Ok(()));
        call.members[viewer].sections = sections;
        call.members[viewer].codecs = codecs;
        let offered = call.subscribe(viewer, &plays, &[], false);
        assert_eq!(offered.played.len(), 2);
        assert!(pictures(&mut call, viewer, "2").0 > 10);
    }
    let nobody = PeerId(77);
    let answer = Offer::parse(&honest).unwrap();
    assert_eq!(
        call.net.engine.answered(nobody, &answer),
        Err(AcceptError::UnknownPeer(nobody))
    );
}

#[test]
fn an_offer_of_ours_has_no_more_sections_than_an_answer_may_have() {
    let mut call = Call::new();
    let epoch = call.net.epoch;
    let mut plays = Vec::new();
    for at in 0..3 {
        let mut member = Member::new();
        for track in 0..50 {
            member.film(0x10_0000 * (at + 1) + 16 * track, &[30_000], epoch);
        }
        let who = call.add(member);
        let negotiated = call.negotiate(who, &[]);
        plays.extend(negotiated.published.iter().map(|it| it.track));
    }
    let viewer = call.add(Member::new());
    let offered = call.subscribe(viewer, &plays, &[], false);
    assert_eq!(offered.played.len(), 127);
    assert_eq!(offered.missing, (0, 23));
    assert_eq!(call.members[viewer].told.len(), 128);
}

#[test]
fn the_servers_channels_open_with_the_first_offer() {
    const CHANNELS: [ServerChannel; 2] = [
        ServerChannel {
            label: "_reliable",
            reliable: true,
        },
        ServerChannel {
            label: "_lossy",
            reliable: false,
        },
    ];
    let mut call = Call::new();
    let mut member = Member::new();
    member.connect_data(call.net.now.mono);
    let who = call.add(member);
    call.subscribe(who, &[], &CHANNELS, false);
    call.connect(who);
    let mut labels: Vec<_> = call.members[who].channels.values().cloned().collect();
    labels.sort_unstable();
    assert_eq!(labels, ["_lossy", "_reliable"]);
    let now = call.net.now;
    for label in ["_lossy", "_reliable"] {
        let payload = bytes::Bytes::from_static(b"hello");
        let to = [PeerId(who as u64)];
        call.net
            .engine
            .send_data(&now, None, &to, label, &payload, &mut call.net.wire);
    }
    call.run(ms(100));
    assert_eq!(call.members[who].messages.len(), 2);
}
