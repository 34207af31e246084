//! Tracks that the server mutes for a while.

use crate::testing::{Call, Member, ms};

#[test]
fn what_was_dropped_is_neither_lost_nor_asked_for_and_pictures_begin_with_a_keyframe() {
    let mut call = Call::new();
    let epoch = call.net.epoch;
    let mut member = Member::new();
    let rates = [150_000, 500_000, 1_500_000];
    member.speak(0x100, 30).film(0x1000, &rates, epoch);
    let (publisher, negotiated) = call.join(member, &[]);
    let tracks = [negotiated.published[0].track, negotiated.published[1].track];
    let (viewer, _) = call.join(Member::viewer(1, 1), &tracks);
    for muted_for in [600, 4000] {
        call.run(ms(2000));
        for track in tracks {
            let now = call.net.now;
            call.net.engine.mute(&now, track, true);
        }
        call.run(ms(muted_for));
        let before = call.members[viewer].screen("1").frames.len();
        call.members[publisher].keyframes_asked.clear();
        for track in tracks {
            let now = call.net.now;
            call.net.engine.mute(&now, track, false);
        }
        let from = call.net.now.mono;
        call.run(ms(2000));
        let screen = call.members[viewer].screen("1");
        assert!(screen.frames[before].key);
        let gap = screen.longest_gap(from, call.net.now.mono);
        assert!(gap < ms(150), "{muted_for} ms: {gap:?}");
        assert!(!call.members[publisher].keyframes_asked.is_empty());
    }
    let stats = call.net.engine.stats(call.net.now.mono);
    assert_eq!(stats.peers[publisher].nacks_sent, 0);
    assert_eq!(stats.peers[publisher].lost_in, 0);
    assert_eq!(stats.peers[viewer].nacks_received, 0);
    let member = &call.members[viewer];
    assert!(member.faults().is_empty(), "{:?}", member.faults());
    for pair in member.heard_in("0").windows(2) {
        assert_eq!(pair[1].header.seq, pair[0].header.seq.wrapping_add(1));
    }
}
