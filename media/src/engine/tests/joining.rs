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

#[test]
fn a_subscriber_whose_way_ends_costs_no_time_until_it_has_another() {
    let mut call = Call::new();
    let (_, track) = film(&mut call, 0x1000, &[150_000, 500_000, 1_500_000]);
    let mut member = Member::viewer(0, 1);
    let epoch = call.net.epoch;
    member.film(0x2000, &[300_000], epoch);
    let viewer = call.add(member);
    call.link(viewer, ms(80), 0.0, 1);
    call.negotiate(viewer, &[track]);
    call.connect(viewer);
    call.run(ms(1000));
    let path = call.net.clients[viewer].path();
    call.net.engine.path_closed(path);
    // A timer that spins fails the test.
    call.run(ms(3000));
    let frames = call.members[viewer].screen("0").frames.len();
    call.net.clients[viewer].check(true);
    call.run(ms(2500));
    let again = call.members[viewer].screen("0").frames.len() - frames;
    assert!(again > 50, "{again}");
    assert!(call.members[viewer].faults().is_empty());
}
