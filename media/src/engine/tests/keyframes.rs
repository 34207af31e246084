//! Keyframes of which something is missing.

use super::joining::film;
use crate::engine::Playing;
use crate::ids::PeerId;
use crate::testing::{Call, Member, ms};

#[test]
fn a_keyframe_whose_first_packet_comes_late_is_sent_whole() {
    let mut call = Call::new();
    let (publisher, track) = film(&mut call, 0x1000, &[150_000, 500_000, 1_500_000]);
    let (viewer, _) = call.join(Member::viewer(0, 1), &[track]);
    for wanted in [0u8, 2, 1] {
        let (now, peer) = (call.net.now, PeerId(viewer as u64));
        let playing = Playing {
            layer: wanted,
            ..Playing::FULL
        };
        let layer = &mut call.members[publisher].cameras[0].layers[usize::from(wanted)];
        layer.lose_start = true;
        let before = layer.keyframes;
        call.net.engine.set_playing(&now, peer, track, playing);
        call.run(ms(1500));
        let layer = &call.members[publisher].cameras[0].layers[usize::from(wanted)];
        // One keyframe does: all of it arrives.
        assert!(!layer.lose_start);
        assert_eq!(layer.keyframes, before + 1, "{wanted}");
        let screen = call.members[viewer].screen("0");
        assert_eq!(screen.frames.last().unwrap().content.source, layer.ssrc);
        assert!(screen.longest_gap(now.mono, call.net.now.mono) < ms(100));
        assert!(screen.faults.is_empty(), "{:?}", screen.faults);
    }
}

#[test]
fn what_cannot_be_repaired_has_a_keyframe_asked_for() {
    let mut call = Call::new();
    let (publisher, track) = film(&mut call, 0x1000, &[150_000, 500_000, 1_500_000]);
    call.join(Member::viewer(0, 1), &[track]);
    call.run(ms(2000));
    for (layer, watched) in [(2, true), (0, false)] {
        let member = &mut call.members[publisher];
        member.keyframes_asked.clear();
        let layer = &mut member.cameras[0].layers[layer];
        layer.forget = true;
        let ssrc = layer.ssrc;
        // Before the viewer itself is out of patience.
        call.run(ms(400));
        let asked = &call.members[publisher].keyframes_asked;
        assert_eq!(asked.iter().any(|(_, of)| *of == ssrc), watched);
        call.run(ms(1000));
    }
}
