use super::*;

const TAG: u32 = 7;
const FIRST: u32 = u32::MAX - 1;

fn packet(tag: u32, chunks: &[(u8, u8, &[u8])]) -> Bytes {
    let mut ports = vec![0x13, 0x88, 0x13, 0x88, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 4];
    let checksum = super::super::packet::checksum(&ports).to_le_bytes();
    ports[8..12].copy_from_slice(&checksum);
    let mut rebuilt = Packet::parse(&ports).unwrap().reply(tag);
    for (kind, flags, value) in chunks {
        rebuilt.push(*kind, *flags, &[value]);
    }
    rebuilt.finish()
}

/// An INIT with the extensions that browsers have.
fn init() -> Bytes {
    let mut value = 9u32.to_be_bytes().to_vec();
    value.extend(100_000u32.to_be_bytes());
    value.extend([4, 0, 4, 0]);
    value.extend(FIRST.to_be_bytes());
    value.extend([0xC0, 0, 0, 4]);
    value.extend([0x80, 8, 0, 6, 130, 192, 0, 0]);
    packet(0, &[(chunk::INIT, 0, &value)])
}

fn open() -> Inspector {
    let init = init();
    let mut inspector = Inspector::accept(&Packet::parse(&init).unwrap(), TAG, 1000).unwrap();
    let passed = pass(&mut inspector, &[(chunk::COOKIE_ECHO, 0, b"cookie")]);
    assert_eq!(passed, [(chunk::COOKIE_ECHO, b"cookie".to_vec())]);
    inspector
}

/// Type and value of the chunks that pass.
fn pass(inspector: &mut Inspector, chunks: &[(u8, u8, &[u8])]) -> Vec<(u8, Vec<u8>)> {
    let packet = packet(TAG, chunks);
    let packet = Packet::parse(&packet).unwrap();
    match inspector.inspect(&packet, &mut VecDeque::new()).unwrap() {
        Verdict::Pass(passed) => Packet::parse(&passed)
            .unwrap()
            .chunks()
            .map(|chunk| (chunk.kind, chunk.value.to_vec()))
            .collect(),
        Verdict::Nothing => Vec::new(),
        Verdict::Ended => panic!("ended"),
    }
}

fn data(tsn: u32) -> Vec<u8> {
    let mut value = tsn.to_be_bytes().to_vec();
    value.extend([0, 0, 0, 0, 0, 0, 0, 53, 1]);
    value
}

fn reset(number: u32, last_tsn: u32) -> Vec<u8> {
    let mut value = vec![0, 13, 0, 18];
    value.extend(number.to_be_bytes());
    value.extend([0; 4]);
    value.extend(last_tsn.to_be_bytes());
    value.extend([0, 3]);
    value
}

#[test]
fn an_init_is_reduced_to_what_is_used_of_it() {
    let init = init();
    let plain = plain_init(&Packet::parse(&init).unwrap()).unwrap();
    let (init, plain) = (&init[16..], Packet::parse(&plain).unwrap());
    let chunk = plain.chunks().next().unwrap();
    assert_eq!(chunk.value[..16], init[..16]);
    assert_eq!(chunk.value[16..], [0x80, 8, 0, 6, 130, 192]);
    let short = packet(0, &[(chunk::INIT, 0, &init[..15])]);
    assert!(plain_init(&Packet::parse(&short).unwrap()).is_none());
    let none = packet(0, &[(chunk::INIT, 0, &init[..16])]);
    let plain = plain_init(&Packet::parse(&none).unwrap()).unwrap();
    assert_eq!(plain, none);
}

#[test]
fn data_waits_for_the_cookie_that_may_come_with_it() {
    let init = init();
    let init = Packet::parse(&init).unwrap();
    let mut inspector = Inspector::accept(&init, TAG, 1000).unwrap();
    let first = data(FIRST);
    assert!(pass(&mut inspector, &[(chunk::DATA, 3, &first)]).is_empty());
    let both: [(u8, u8, &[u8]); 2] = [(chunk::COOKIE_ECHO, 0, b"c"), (chunk::DATA, 3, &first)];
    assert_eq!(pass(&mut inspector, &both).len(), 2);
}

#[test]
fn what_the_library_would_close_over_is_left_out_and_the_rest_passes() {
    let mut inspector = open();
    let first = data(FIRST);
    let passed = pass(
        &mut inspector,
        &[
            (chunk::ERROR, 0, &[0, 6, 0, 4]),
            (chunk::INIT, 0, &[0; 16]),
            (chunk::HEARTBEAT_ACK, 0, &[0, 1, 0, 4]),
            (0xC9, 0, b"skipped"),
            (chunk::DATA, 3, &first),
            (0x49, 0, b"stop"),
            (chunk::COOKIE_ACK, 0, b""),
        ],
    );
    assert_eq!(passed, [(chunk::DATA, first)]);
}

#[test]
fn heartbeats_are_answered_with_what_they_hold() {
    let mut inspector = open();
    let mut replies = VecDeque::new();
    let heartbeat = packet(TAG, &[(chunk::HEARTBEAT, 0, b"\x00\x01\x00\x08abcd")]);
    let verdict = inspector
        .inspect(&Packet::parse(&heartbeat).unwrap(), &mut replies)
        .unwrap();
    assert!(matches!(verdict, Verdict::Nothing));
    let reply = Packet::parse(&replies[0]).unwrap();
    assert_eq!(reply.verification_tag(), 9);
    let chunk = reply.chunks().next().unwrap();
    assert_eq!(chunk.kind, chunk::HEARTBEAT_ACK);
    assert_eq!(chunk.value, b"\x00\x01\x00\x08abcd");
}

#[test]
fn a_reset_is_performed_once_and_after_its_data() {
    let mut inspector = open();
    let (last, request) = (FIRST.wrapping_add(2), reset(FIRST, FIRST.wrapping_add(2)));
    for tsn in 0..3 {
        assert!(pass(&mut inspector, &[(chunk::RECONFIG, 0, &request)]).is_empty());
        let data = data(FIRST.wrapping_add(tsn));
        assert_eq!(pass(&mut inspector, &[(chunk::DATA, 3, &data)]).len(), 1);
    }
    assert_eq!(
        pass(&mut inspector, &[(chunk::RECONFIG, 0, &request)]),
        [(chunk::RECONFIG, request.clone())]
    );
    // A repetition is answered, not performed; one out of order is neither.
    let skipped = reset(FIRST.wrapping_add(2), last);
    assert!(pass(&mut inspector, &[(chunk::RECONFIG, 0, &skipped)]).is_empty());
    let again = packet(TAG, &[(chunk::RECONFIG, 0, &request)]);
    let mut replies = VecDeque::new();
    let verdict = inspector.inspect(&Packet::parse(&again).unwrap(), &mut replies);
    assert!(matches!(verdict, Ok(Verdict::Nothing)));
    let reply = Packet::parse(&replies[0]).unwrap().chunks().next().unwrap();
    let mut expected = vec![0, 16, 0, 12];
    expected.extend(FIRST.to_be_bytes());
    expected.extend(RESULT_PERFORMED.to_be_bytes());
    assert_eq!((reply.kind, reply.value), (chunk::RECONFIG, &expected[..]));
}

#[test]
fn a_reset_that_the_peer_has_not_finished_is_not_answered_yet() {
    let mut inspector = open();
    let response = |result: u8| vec![0, 16, 0, 12, 0, 0, 0, 5, 0, 0, 0, result];
    assert!(pass(&mut inspector, &[(chunk::RECONFIG, 0, &response(6))]).is_empty());
    assert_eq!(
        pass(&mut inspector, &[(chunk::RECONFIG, 0, &response(1))]),
        [(chunk::RECONFIG, response(1))]
    );
}

#[test]
fn acknowledgements_that_overlap_or_lie_about_their_length_are_dropped() {
    let sack = |blocks: &[[u16; 2]], count: u16| {
        let mut value = vec![0; 8];
        value.extend(count.to_be_bytes());
        value.extend([0; 2]);
        value.extend(blocks.as_flattened().iter().flat_map(|it| it.to_be_bytes()));
        value
    };
    for (blocks, count, sound) in [
        (&[][..], 0, true),
        (&[[2, 2], [4, 9]], 2, true),
        (&[[2, 4], [4, 9]], 2, false),
        (&[[5, 4]], 1, false),
        (&[[0, 4]], 1, false),
        (&[[2, 2]], 2, false),
        (&[[2, 2]], 0, false),
    ] {
        let value = sack(blocks, count);
        let passed = pass(&mut open(), &[(chunk::SACK, 0, &value)]);
        assert_eq!(!passed.is_empty(), sound, "{blocks:?} {count}");
    }
}

#[test]
fn other_tags_and_goodbyes() {
    let mut inspector = open();
    for (tag, ended) in [(TAG + 1, false), (TAG, true)] {
        let abort = packet(tag, &[(chunk::ABORT, 0, &[])]);
        let verdict = inspector.inspect(&Packet::parse(&abort).unwrap(), &mut VecDeque::new());
        assert_eq!(matches!(verdict, Ok(Verdict::Ended)), ended);
    }
}
