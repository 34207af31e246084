//! Peers that mean harm, and networks that seem to.

use super::*;
use crate::sctp::packet::checksum;

fn with_checksum(mut packet: Vec<u8>) -> Vec<u8> {
    if packet.len() >= 12 {
        let checksum = checksum(&packet).to_le_bytes();
        packet[8..12].copy_from_slice(&checksum);
    }
    packet
}

/// The client's packets of one association, and the server's state after some of them.
fn recorded() -> Vec<Bytes> {
    let (mut link, id) = Link::connected(20, lossy("_lossy"));
    let other = link.ends[SERVER].open(link.now, reliable("chat")).unwrap();
    link.loss = 0.1;
    link.run(Duration::from_secs(5));
    for number in 0..20 {
        let _ = link.ends[CLIENT].send(link.now, id, true, &message(number, 2000));
        let _ = link.ends[CLIENT].send(link.now, other, false, &message(number, 100));
        let _ = link.ends[SERVER].send(link.now, other, false, &message(number, 5000));
        link.run(Duration::from_millis(30));
    }
    link.settle();
    link.sent.into_iter().map(|(_, packet)| packet).collect()
}

/// Mutated packets with right checksums and, for those of an association, its tag.
fn mutate(random: &mut StdRng, packet: &[u8], tag: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    if random.random_bool(0.9) {
        packet[4..8].copy_from_slice(tag);
    }
    match random.random_range(0..4) {
        0 => packet.truncate(random.random_range(0..=packet.len())),
        1 => {
            let at = random.random_range(12..packet.len());
            packet[at] = random.random();
        }
        2 => {
            let from = random.random_range(12..packet.len());
            packet[from..]
                .iter_mut()
                .for_each(|it| *it = random.random());
        }
        _ => {
            for _ in 0..random.random_range(1..8) {
                let at = random.random_range(0..packet.len());
                packet[at] ^= 1 << random.random_range(0..8);
            }
        }
    }
    with_checksum(packet)
}

#[test]
fn mutated_packets_harm_their_own_association_at_most() {
    let packets = recorded();
    let mut random = StdRng::seed_from_u64(21);
    for round in 0..60 {
        let (mut link, id) = Link::connected(round, reliable("chat"));
        let (_, ours) = link.sent.iter().rfind(|(side, _)| *side == CLIENT).unwrap();
        let tag = ours[4..8].to_vec();
        for _ in 0..200 {
            let at = random.random_range(0..packets.len());
            let packet = mutate(&mut random, &packets[at], &tag);
            link.ends[SERVER].handle(link.now, &packet);
            while link.ends[SERVER].poll_transmit(link.now).is_some() {}
            if let Some(next) = link.ends[SERVER].next_at() {
                link.ends[SERVER].handle_timeout(next);
            }
            let _ = link.ends[SERVER].send(link.now, id, true, &Bytes::from_static(b"x"));
        }
    }
}

#[test]
fn noise_is_counted_and_nothing_else() {
    let (mut link, id) = Link::connected(22, reliable("chat"));
    let mut random = StdRng::seed_from_u64(23);
    for _ in 0..2000 {
        let len = random.random_range(0..1300);
        let mut noise = vec![0; len];
        random.fill(&mut noise[..]);
        link.ends[SERVER].handle(link.now, &noise);
        // A right checksum alone is of no use either: the tag is wrong.
        link.ends[SERVER].handle(link.now, &with_checksum(noise));
    }
    assert!(link.ends[SERVER].take_counters().malformed >= 2000);
    link.ends[CLIENT]
        .send(link.now, id, true, &Bytes::from_static(b"still here"))
        .unwrap();
    link.settle();
    assert_eq!(link.messages(SERVER, id).len(), 1);
}

#[test]
fn repeated_and_late_handshakes_change_nothing() {
    let mut link = Link::new(24);
    let id = link.ends[CLIENT].open(link.now, reliable("chat")).unwrap();
    link.flush();
    let init = link.sent[0].1.clone();
    // The INIT comes three times, and each is answered alike.
    for _ in 0..2 {
        link.ends[SERVER].handle(link.now, &init);
    }
    let answers: Vec<_> =
        std::iter::from_fn(|| link.ends[SERVER].poll_transmit(link.now)).collect();
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[0], answers[1]);
    link.run(Duration::from_secs(1));
    link.events[SERVER].clear();
    // Everything of the handshake comes again, and other INITs.
    let handshake: Vec<_> = link.sent.clone();
    let mut other = init.to_vec();
    other[16] ^= 1;
    link.ends[SERVER].handle(link.now, &with_checksum(other));
    for (side, packet) in handshake {
        link.ends[1 - side].handle(link.now, &packet);
    }
    link.ends[CLIENT]
        .send(link.now, id, true, &Bytes::from_static(b"x"))
        .unwrap();
    link.settle();
    assert_eq!(link.messages(SERVER, id).len(), 1);
    assert_eq!(link.events[SERVER].len(), 1);
}

#[test]
fn a_handshake_survives_loss() {
    for seed in 30..40 {
        let mut link = Link::new(seed);
        link.loss = 0.4;
        link.jitter = Duration::from_millis(40);
        link.ends[SERVER].open(link.now, reliable("a")).unwrap();
        link.ends[CLIENT].open(link.now, reliable("b")).unwrap();
        link.run(Duration::from_secs(600));
        for events in &link.events {
            assert_eq!(events.len(), 2, "{seed}: {events:?}");
        }
    }
}

/// Puts a chunk of a hostile client's into a packet.
pub(super) fn craft(link: &Link, kind: u8, flags: u8, value: &[u8]) -> Bytes {
    let (_, last) = link.sent.iter().rfind(|(side, _)| *side == CLIENT).unwrap();
    let mut rebuilt = Packet::parse(last).unwrap().rebuild();
    rebuilt.push(kind, flags, &[value]);
    rebuilt.finish()
}

/// The number of the client's next chunk.
pub(super) fn next_tsn(link: &Link) -> u32 {
    let chunks = link
        .sent
        .iter()
        .filter(|(side, _)| *side == CLIENT)
        .flat_map(|(_, packet)| Packet::parse(packet).unwrap().chunks());
    let last = chunks.filter(|it| it.kind == chunk::DATA).last().unwrap();
    packet::u32_at(last.value, 0).unwrap().wrapping_add(1)
}

fn data(tsn: u32, stream: u16, ssn: u16, payload: &[u8]) -> Vec<u8> {
    let mut value = tsn.to_be_bytes().to_vec();
    value.extend(stream.to_be_bytes());
    value.extend(ssn.to_be_bytes());
    value.extend(53u32.to_be_bytes());
    value.extend(payload);
    value
}

fn ended(link: &mut Link) -> Option<AssociationEnd> {
    link.flush();
    link.events[SERVER].iter().find_map(|event| match event {
        DataEvent::Ended { reason } => Some(*reason),
        _ => None,
    })
}

#[test]
fn a_message_longer_than_announced_ends_the_association() {
    let (mut link, _) = Link::connected(40, reliable("chat"));
    let first = next_tsn(&link);
    for step in 0..1000 {
        let flags = if step == 0 { 2 } else { 0 };
        let value = data(first.wrapping_add(step), 0, 1, &[1; 1100]);
        let packet = craft(&link, chunk::DATA, flags, &value);
        link.ends[SERVER].handle(link.now, &packet);
        if let Some(end) = ended(&mut link) {
            assert_eq!(
                end,
                AssociationEnd::Violation(incoming::Violation::MessageTooLong)
            );
            assert_eq!(step as usize, MAX_MESSAGE / 1100);
            return;
        }
    }
    panic!("the message went on");
}

#[test]
fn messages_that_nothing_will_complete_end_the_association() {
    let (mut link, _) = Link::connected(41, reliable("chat"));
    let first = next_tsn(&link);
    let end = (0..10_000u32).find_map(|step| {
        // The one before them in the stream never comes.
        let value = data(first.wrapping_add(step), 0, 2 + step as u16, &[1]);
        let packet = craft(&link, chunk::DATA, 3, &value);
        link.ends[SERVER].handle(link.now, &packet);
        ended(&mut link)
    });
    let violation = incoming::Violation::Undeliverable;
    assert_eq!(end, Some(AssociationEnd::Violation(violation)));
}

#[test]
fn streams_without_channels_end_the_association() {
    let (mut link, _) = Link::connected(42, reliable("chat"));
    let first = next_tsn(&link);
    let end = (0..1000u32).find_map(|step| {
        let value = data(first.wrapping_add(step), 100 + step as u16, 0, b"x");
        let packet = craft(&link, chunk::DATA, 3, &value);
        link.ends[SERVER].handle(link.now, &packet);
        ended(&mut link).map(|end| (step, end))
    });
    let violation = AssociationEnd::Violation(incoming::Violation::TooManyStreams);
    assert_eq!(end, Some((2 * MAX_CHANNELS as u32 - 1, violation)));
}

#[test]
fn numbers_far_ahead_and_errors_change_nothing() {
    let (mut link, id) = Link::connected(43, reliable("chat"));
    let first = next_tsn(&link);
    let mut crafted = Vec::new();
    for ahead in [1 << 16, 1 << 24, (1 << 31) - 2] {
        let tsn = first.wrapping_add(ahead);
        crafted.push((chunk::FORWARD_TSN, 0, tsn.to_be_bytes().to_vec()));
        crafted.push((chunk::DATA, 3, data(tsn, 0, 1, b"x")));
    }
    crafted.push((chunk::DATA, 3, data(first, 0, 1, b"")));
    crafted.push((chunk::ERROR, 0, vec![0, 6, 0, 4]));
    crafted.push((chunk::HEARTBEAT_ACK, 0, vec![0, 1, 0, 4]));
    crafted.push((chunk::HEARTBEAT, 0, vec![0, 77, 0, 9]));
    crafted.push((chunk::RECONFIG, 0, vec![0, 14, 0, 8, 0, 0, 0, 1]));
    crafted.push((0xC5, 0, vec![1, 2, 3, 4]));
    crafted.push((0x45, 0, vec![1, 2, 3, 4]));
    for (kind, flags, value) in crafted {
        let packet = craft(&link, kind, flags, &value);
        link.ends[SERVER].handle(link.now, &packet);
    }
    link.ends[CLIENT]
        .send(link.now, id, true, &Bytes::from_static(b"x"))
        .unwrap();
    link.settle();
    assert_eq!(link.messages(SERVER, id).len(), 1);
    assert_eq!(ended(&mut link), None);
}

/// A client's request to reset the stream 0, after `last_tsn`.
fn reset(number: u32, last_tsn: u32) -> Vec<u8> {
    let mut value = vec![0, 13, 0, 18];
    for word in [number, 0, last_tsn] {
        value.extend(word.to_be_bytes());
    }
    value.extend([0, 0, 0, 0]);
    value
}

/// The client's first TSN, which is the number of its first reset as well.
fn first_tsn(link: &Link) -> u32 {
    let init = Packet::parse(&link.sent[0].1).unwrap();
    packet::u32_at(init.chunks().next().unwrap().value, 12).unwrap()
}

/// Lets a client open the stream 0 and reset it, again and again, without ever answering the server's
/// resets. Each time the server sends `payload` over the channel. How often until the association ended.
fn resets(link: &mut Link, payload: &Bytes, acknowledged: bool) -> (u32, AssociationEnd) {
    let mut tsn = next_tsn(link);
    let mut number = first_tsn(link);
    let open = Dcep::Open(reliable("chat")).write();
    for round in 0..1000 {
        let mut value = reset(number, tsn.wrapping_sub(1));
        number = number.wrapping_add(1);
        let packet = craft(link, chunk::RECONFIG, 0, &value);
        let now = link.now;
        link.ends[SERVER].handle(now, &packet);
        while let Some(packet) = link.ends[SERVER].poll_transmit(now) {
            if !acknowledged {
                continue;
            }
            let packet = Packet::parse(&packet).unwrap();
            let last = packet.chunks().filter(|it| it.kind == chunk::DATA).last();
            if let Some(tsn) = last.and_then(|it| packet::u32_at(it.value, 0)) {
                let mut sack = tsn.to_be_bytes().to_vec();
                sack.extend(100_000u32.to_be_bytes());
                sack.extend([0; 4]);
                let packet = craft(link, chunk::SACK, 0, &sack);
                link.ends[SERVER].handle(now, &packet);
            }
        }
        let end = std::iter::from_fn(|| link.ends[SERVER].poll_event()).find_map(|it| match it {
            DataEvent::Ended { reason } => Some(reason),
            _ => None,
        });
        if let Some(end) = end {
            return (round, end);
        }
        value = data(tsn, 0, 0, &open);
        value[8..12].copy_from_slice(&50u32.to_be_bytes());
        tsn = tsn.wrapping_add(1);
        let packet = craft(link, chunk::DATA, 3, &value);
        link.ends[SERVER].handle(now, &packet);
        while link.ends[SERVER]
            .send(now, ChannelId(0), true, payload)
            .is_ok()
        {
            if acknowledged {
                break;
            }
        }
    }
    panic!("it went on");
}

#[test]
fn resets_that_the_peer_never_answers_end_the_association() {
    let (mut link, _) = Link::connected(44, reliable("chat"));
    let (rounds, end) = resets(&mut link, &Bytes::from_static(b"x"), true);
    let violation = incoming::Violation::TooManyResets;
    assert_eq!(end, AssociationEnd::Violation(violation));
    assert!((60..70).contains(&rounds), "{rounds}");
}

#[test]
fn channels_reset_before_they_are_empty_end_the_association() {
    let (mut link, _) = Link::connected(45, reliable("chat"));
    let (rounds, end) = resets(&mut link, &Bytes::from(vec![1; 60_000]), false);
    let violation = incoming::Violation::TooMuchRetired;
    assert_eq!(end, AssociationEnd::Violation(violation));
    assert!((2..5).contains(&rounds), "{rounds}");
}

#[test]
fn messages_that_are_not_wanted_yet_wait_without_loss_and_within_bounds() {
    let (mut link, id) = Link::connected(46, reliable("chat"));
    let messages: Vec<Bytes> = (0..64).map(|at| message(at, 15_000)).collect();
    link.ends[SERVER].set_paused(link.now, true);
    for message in &messages {
        link.ends[CLIENT].send(link.now, id, true, message).unwrap();
    }
    link.run(Duration::from_secs(5));
    assert!(link.messages(SERVER, id).is_empty());
    // The client still has what the server did not take.
    let unsent = link.ends[CLIENT].buffered(id);
    assert!(unsent > 500_000, "{unsent}");
    link.ends[SERVER].set_paused(link.now, false);
    link.settle();
    let came: Vec<Bytes> = link
        .messages(SERVER, id)
        .into_iter()
        .map(|it| it.1)
        .collect();
    assert_eq!(came, messages);
    assert_eq!(ended(&mut link), None);
}
