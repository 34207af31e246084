//! Clients that take their time.

use crate::ids::TrackId;
use crate::testing::{Call, Member, ms};

pub(super) fn film(call: &mut Call, first: u32, rates: &[u64]) -> (usize, TrackId) {
    let epoch = call.net.epoch;
    let mut member = Member::new();
    member.film(first, rates, epoch);
    let (publisher, negotiated) = call.join(member, &[]);
    (publisher, negotiated.published[0].track)
}

#[test]
fn a_subscriber_that_is_slow_to_connect_holds_nobody_up() {
    let mut call = Call::new();
    let (_, track) = film(&mut call, 0x1000, &[150_000, 500_000, 2_500_000]);
    let slow = call.add(Member::viewer(0, 1));
    call.link(slow, ms(80), 0.0, 1);
    call.negotiate(slow, &[track]);
    // Bandwidth is allocated before there is a way, or keys.
    call.run(ms(1500));
    call.net.clients[slow].check(true);
    call.run(ms(1500));
    call.connect(slow);
    call.run(ms(1000));
    let screen = call.members[slow].screen("0");
    assert!(screen.frames.len() > 20, "{}", screen.frames.len());
}
