//! Who can be sent what.

use std::sync::Arc;

use parking_lot::Mutex;

use super::joining::film;
use crate::engine::{MediaEvent, Role, Subscription};
use crate::ids::TrackId;
use crate::sdp::answer::Preference;
use crate::testing::description::{Format, H264, VP8};
use crate::testing::{Call, Member, Microphone, Offering, ms};

fn viewer_of(formats: &[Format]) -> Member {
    let mut member = Member::viewer(0, 1);
    member.codecs.video = formats.to_vec();
    member
}

#[test]
fn who_cannot_decode_a_track_gets_nothing_and_harms_nobody() {
    let mut call = Call::new();
    let (publisher, track) = film(&mut call, 0x1000, &[400_000]);
    let (fine, _) = call.join(viewer_of(&[VP8]), &[track]);
    let (other, negotiated) = call.join(viewer_of(&[H264]), &[track]);
    assert_eq!(negotiated.played.len(), 1);
    call.run(ms(1000));
    call.members[publisher].keyframes_asked.clear();
    call.run(ms(5000));
    assert_eq!(call.members[publisher].keyframes_asked, []);
    assert!(call.members[other].screens.is_empty());
    assert_eq!(call.members[other].strays, 0);
    assert!(call.members[fine].screen("0").frames.len() > 170);
    let paused = call.events(|event| match event {
        MediaEvent::StreamPaused { track, .. } => Some(*track),
        _ => None,
    });
    assert_eq!(paused, []);
}

#[test]
fn a_section_that_played_a_track_does_not_pass_on_one_that_cannot_be_decoded() {
    let mut call = Call::new();
    let (_, vp8) = film(&mut call, 0x1000, &[400_000]);
    let (second, h264) = film(&mut call, 0x2000, &[400_000]);
    call.members[second].cameras[0].format = H264;
    let (viewer, _) = call.join(viewer_of(&[VP8]), &[vp8]);
    call.run(ms(500));
    call.negotiate(viewer, &[h264]);
    assert_eq!(call.negotiate(viewer, &[h264]).played.len(), 1);
    let packets = |call: &Call| -> usize {
        let screens = call.members[viewer].screens.values();
        screens.map(|screen| screen.packets).sum()
    };
    let before = packets(&call);
    call.run(ms(1000));
    assert_eq!(packets(&call), before);
    assert_eq!(call.members[viewer].strays, 0);
}

#[test]
fn h264_goes_to_its_profile_and_packetisation_under_the_subscribers_numbers() {
    let constrained = Format {
        payload_type: 125,
        rtx: 124,
        parameters: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e02a",
        ..H264
    };
    let high = Format {
        payload_type: 106,
        rtx: 107,
        parameters: "packetization-mode=1;profile-level-id=640032",
        ..H264
    };
    let single = Format {
        payload_type: 108,
        rtx: 109,
        parameters: "packetization-mode=0;profile-level-id=42e01f",
        ..H264
    };
    let mut call = Call::new();
    let (publisher, track) = film(&mut call, 0x1000, &[400_000]);
    call.members[publisher].cameras[0].format = H264;
    let (fits, _) = call.join(viewer_of(&[single, high, constrained]), &[track]);
    let (higher, _) = call.join(viewer_of(&[single, high]), &[track]);
    let (misfits, _) = call.join(viewer_of(&[single]), &[track]);
    let now = call.net.now;
    // A sequence parameter set: a decoder may start here.
    let packet = |seq: u16, payload: &[u8]| {
        let mut packet = vec![0x80, 0x80 | H264.payload_type];
        packet.extend(seq.to_be_bytes());
        packet.extend((u32::from(seq) * 3000).to_be_bytes());
        packet.extend(0x1000u32.to_be_bytes());
        packet.extend(payload);
        packet
    };
    assert_eq!(now.mono, call.net.now.mono);
    call.members[publisher].cameras[0].muted = true;
    call.run(ms(100));
    for seq in 0..20u16 {
        let payload: &[u8] = match seq % 5 {
            0 => &[0x67, 0x42, 0xe0, 0x1f, 1, 2, 3],
            _ => &[0x41, 9, 9, 9, 9, 9],
        };
        call.net.clients[publisher].send_rtp(&packet(5000 + seq, payload));
        call.net.exchange();
        let heard = std::mem::take(&mut call.net.clients[fits].heard);
        for heard in &heard {
            assert_eq!(heard.header.payload_type, 125);
            assert_eq!(heard.payload(), payload);
        }
        // Constrained baseline is part of every profile.
        let higher = std::mem::take(&mut call.net.clients[higher].heard);
        assert!(higher.iter().all(|heard| heard.header.payload_type == 106));
        call.run(ms(30));
        if seq >= 10 {
            assert_eq!((heard.len(), higher.len()), (1, 1), "{seq}");
        }
    }
    assert!(call.members[misfits].screens.is_empty());
}

#[test]
fn payload_types_and_extension_ids_are_the_subscribers_own() {
    let mut call = Call::new();
    let (_, track) = film(&mut call, 0x1000, &[400_000]);
    let mut member = viewer_of(&[Format {
        payload_type: 120,
        rtx: 121,
        ..VP8
    }]);
    member.codecs.transport = 9;
    let viewer = call.add(member);
    call.link(viewer, ms(40), 0.05, 3);
    call.negotiate(viewer, &[track]);
    call.connect(viewer);
    call.run(ms(4000));
    let member = &call.members[viewer];
    assert!(member.payload_types.iter().eq(&[120, 121]));
    // The server understands the feedback on what came with numbers under that id.
    let stats = call.net.engine.stats(call.net.now.mono);
    assert!(stats.peers[viewer].estimate_bps.is_some());
    assert!(call.members[viewer].screen("0").repaired > 0);
    assert!(call.members[viewer].faults().is_empty());
}

/// A publisher of redundant audio.
fn redundant(call: &mut Call) -> TrackId {
    let mut member = Member::new();
    member.preference = Preference {
        red: true,
        ..Preference::default()
    };
    member.speak(0x100, 30);
    member.microphones[0].red = true;
    let (publisher, negotiated) = call.join(member, &[]);
    let text = &call.members[publisher].told[0].text;
    assert!(
        text.starts_with("audio 9 UDP/TLS/RTP/SAVPF 63 111"),
        "{text}"
    );
    negotiated.published[0].track
}

#[test]
fn redundant_audio_goes_to_who_takes_it_and_plain_opus_to_all_others() {
    let mut call = Call::new();
    let track = redundant(&mut call);
    let (takes, _) = call.join(Member::viewer(1, 0), &[track]);
    let mut member = Member::viewer(1, 0);
    member.codecs.red = None;
    member.codecs.opus = 109;
    let (plain, _) = call.join(member, &[track]);
    let (listener, _) = call
        .net
        .connect(Offering::listen(1), Role::Listen(Subscription::Floor));
    let tapped = Arc::new(Mutex::new(Vec::new()));
    let frames = tapped.clone();
    call.net.engine.tap(
        track,
        Some(Box::new(move |frame| frames.lock().push(frame.payload))),
    );
    call.run(ms(1000));
    let heard = call.members[takes].heard_in("0");
    assert!(heard.len() > 45);
    for heard in &heard {
        assert_eq!(heard.header.payload_type, 63);
        assert!(heard.payload().len() > 40);
    }
    let plain = call.members[plain].heard_in("0");
    for heard in &plain {
        assert_eq!(heard.header.payload_type, 109);
    }
    let listened = &call.net.clients[listener].heard;
    assert!(listened.len() > 45);
    for heard in plain.into_iter().chain(listened) {
        assert_eq!(heard.payload().len(), 40);
        assert_eq!(heard.payload()[..2], Microphone::MARK);
    }
    let tapped = tapped.lock();
    assert!(tapped.len() > 45);
    for payload in tapped.iter() {
        assert_eq!((payload.len(), &payload[..2]), (40, &Microphone::MARK[..]));
    }
}

#[test]
fn redundancy_that_was_not_asked_for_is_not_answered() {
    let mut call = Call::new();
    let mut member = Member::new();
    member.speak(0x100, 30);
    let (publisher, _) = call.join(member, &[]);
    let text = &call.members[publisher].told[0].text;
    assert!(
        text.starts_with("audio 9 UDP/TLS/RTP/SAVPF 111\r\n"),
        "{text}"
    );
}
