//! Rooms with more microphones than clients are sent.

use std::collections::BTreeSet;

use crate::engine::{MediaEvent, Role, Subscription};
use crate::ids::{PeerId, TrackId};
use crate::testing::{Call, Member, Offering, ms};

/// Microphones in the room.
const COUNT: usize = 15;

/// Fifteen who are silent, one who hears them all, and a listener to the floor.
fn room() -> (Call, usize, usize) {
    let mut call = Call::new();
    let mut plays: Vec<TrackId> = Vec::new();
    for at in 0..COUNT {
        let mut member = Member::new();
        member.speak(ssrc(at), 127);
        plays.push(call.join(member, &[]).1.published[0].track);
    }
    let (client, negotiated) = call.join(Member::viewer(COUNT, 0), &plays);
    assert_eq!(negotiated.played.len(), COUNT);
    let listen = Role::Listen(Subscription::Floor);
    let (floor, _) = call.net.connect(Offering::listen(COUNT), listen);
    (call, client, floor)
}

fn ssrc(at: usize) -> u32 {
    0x100 * (at as u32 + 1)
}

/// Who is heard, by what the payloads say.
fn speakers<'a>(payloads: impl Iterator<Item = &'a [u8]>) -> BTreeSet<usize> {
    payloads
        .map(|payload| u32::from_be_bytes(payload[4..8].try_into().unwrap()))
        .map(|ssrc| ssrc as usize / 0x100 - 1)
        .collect()
}

fn heard(call: &mut Call, client: usize, floor: usize) -> [BTreeSet<usize>; 2] {
    call.members[client].heard.clear();
    call.net.clients[floor].heard.clear();
    call.run(ms(1000));
    let client = call.members[client].heard.iter().map(|it| it.payload());
    let floor = call.net.clients[floor].heard.iter().map(|it| it.payload());
    [speakers(client), speakers(floor)]
}

#[test]
fn clients_are_sent_the_ten_loudest_and_listeners_to_the_floor_all() {
    let (mut call, client, floor) = room();
    for group in [5..15, 0..10, 3..13] {
        for at in 0..COUNT {
            let level = if group.contains(&at) { 30 } else { 127 };
            call.members[at].microphones[0].level = level;
        }
        call.run(ms(3000));
        let [client, floor] = heard(&mut call, client, floor);
        assert_eq!(client, group.collect());
        assert_eq!(floor.len(), COUNT);
    }
    assert_eq!(call.members[client].strays, 0);
}

#[test]
fn who_begins_to_speak_is_heard_at_once_and_goes_on_without_a_gap() {
    let (mut call, client, _) = room();
    for at in [0, 14, 12, 14, 0] {
        for member in &mut call.members[..COUNT] {
            member.microphones[0].level = 127;
        }
        call.run(ms(3000));
        call.members[at].microphones[0].level = 25;
        call.members[client].heard.clear();
        call.run(ms(400));
        let payloads = call.members[client].heard.iter().map(|it| it.payload());
        assert!(speakers(payloads).contains(&at), "{at}");
        let mid = at.to_string();
        let heard = call.members[client].heard_in(&mid);
        for pair in heard.windows(2) {
            assert_eq!(pair[1].header.seq, pair[0].header.seq.wrapping_add(1));
        }
    }
}

#[test]
fn the_quietest_is_heard_among_the_silent_and_what_is_no_microphone_among_the_loud() {
    let mut call = Call::new();
    let mut plays: Vec<TrackId> = Vec::new();
    for at in 0..COUNT {
        let mut member = Member::new();
        member.speak(ssrc(at), 127);
        member.preference.always = at == 14;
        plays.push(call.join(member, &[]).1.published[0].track);
    }
    let (client, _) = call.join(Member::viewer(COUNT, 0), &plays);
    call.run(ms(1000));
    call.members[12].microphones[0].level = 60;
    call.run(ms(150));
    call.members[client].heard.clear();
    call.run(ms(300));
    let payloads = call.members[client].heard.iter().map(|it| it.payload());
    let heard = speakers(payloads);
    assert!(heard.contains(&12) && heard.contains(&14), "{heard:?}");
    for member in &mut call.members[..14] {
        member.microphones[0].level = 20;
    }
    call.net.events.clear();
    call.members[14].microphones[0].level = 10;
    call.run(ms(1500));
    call.members[client].heard.clear();
    call.members[client].sender_reports.clear();
    call.run(ms(1500));
    let payloads = call.members[client].heard.iter().map(|it| it.payload());
    let heard = speakers(payloads);
    assert_eq!(heard.len(), 11);
    assert!(heard.contains(&14));
    // Nor is there a report on what is not sent.
    let reports = call.members[client].sender_reports.iter();
    assert_eq!(reports.map(|it| it.0).collect::<BTreeSet<_>>().len(), 11);
    // A screen does not speak.
    let spoke = call.events(|event| match event {
        MediaEvent::Levels { speakers, .. } => Some(speakers.clone()),
        _ => None,
    });
    let spoke: Vec<PeerId> = spoke.into_iter().flatten().map(|it| it.0).collect();
    assert!(spoke.contains(&PeerId(0)) && !spoke.contains(&PeerId(14)));
}

#[test]
fn what_was_left_out_leaves_no_gap() {
    let (mut call, client, _) = room();
    call.run(ms(1000));
    let mut sections = vec![Vec::new(); COUNT];
    for round in 0..6 {
        for at in 0..COUNT {
            let level = if (at + 5 * round) % COUNT < 10 {
                30
            } else {
                127
            };
            call.members[at].microphones[0].level = level;
        }
        call.run(ms(2500));
    }
    for (at, section) in sections.iter_mut().enumerate() {
        let heard = call.members[client].heard_in(&at.to_string());
        section.extend(heard.iter().map(|it| (it.header.seq, it.header.timestamp)));
        assert!(section.len() > 100, "{at}: {}", section.len());
        assert!(section.len() < 900, "{at}: {}", section.len());
        for pair in section.windows(2) {
            assert_eq!(pair[1].0, pair[0].0.wrapping_add(1));
            let step = pair[1].1.wrapping_sub(pair[0].1);
            assert!((960..48_000 * 16).contains(&step), "{step}");
        }
    }
}
