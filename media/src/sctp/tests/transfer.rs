//! What channels are for.

use super::*;

#[test]
fn both_sides_open_channels_before_and_after_there_is_an_association() {
    let mut link = Link::new(1);
    let early = [
        link.ends[CLIENT].open(link.now, reliable("chat")).unwrap(),
        link.ends[SERVER].open(link.now, lossy("_lossy")).unwrap(),
    ];
    assert_eq!(early, [ChannelId(0), ChannelId(1)]);
    let payload = Bytes::from_static(b"x");
    let refused = link.ends[SERVER].send(link.now, early[1], true, &payload);
    assert_eq!(refused, Err(SendDataError::NotOpen));
    link.run(Duration::from_secs(1));
    let late = [
        link.ends[CLIENT].open(link.now, lossy("")).unwrap(),
        link.ends[SERVER]
            .open(
                link.now,
                parameters("größe", true, Reliability::Lifetime(100)),
            )
            .unwrap(),
    ];
    assert_eq!(late, [ChannelId(2), ChannelId(3)]);
    link.run(Duration::from_secs(1));
    for side in [CLIENT, SERVER] {
        let mut opened: Vec<_> = link.events[side]
            .drain(..)
            .map(|event| match event {
                DataEvent::Opened { id, parameters } => (id.0, parameters),
                other => panic!("{other:?}"),
            })
            .collect();
        opened.sort_by_key(|(id, _)| *id);
        let expected = [
            (0, reliable("chat")),
            (1, lossy("_lossy")),
            (2, lossy("")),
            (3, parameters("größe", true, Reliability::Lifetime(100))),
        ];
        assert_eq!(opened, expected);
        for id in 0..4 {
            link.ends[side]
                .send(link.now, ChannelId(id), id % 2 == 0, &payload)
                .unwrap();
        }
    }
    link.settle();
    for side in [CLIENT, SERVER] {
        for id in 0..4 {
            let expected = [(id % 2 == 0, payload.clone())];
            assert_eq!(link.messages(side, ChannelId(id)), expected);
        }
        assert_eq!(link.ends[side].take_counters(), DataCounters::default());
    }
}

#[test]
fn a_thousand_messages_arrive_in_order_and_intact_over_a_bad_network() {
    let (mut link, id) = Link::connected(2, reliable("files"));
    link.loss = 0.1;
    link.jitter = Duration::from_millis(15);
    let mut random = StdRng::seed_from_u64(3);
    let messages: Vec<(bool, Bytes)> = (0..1000)
        .map(|number| {
            let len = match number % 100 {
                0 => 0,
                1 => 200_000,
                2..10 => random.random_range(1000..5000),
                _ => random.random_range(1..300),
            };
            (random.random(), message(number, len))
        })
        .collect();
    let mut backwards = 0;
    for (binary, payload) in &messages {
        while let Err(error) = link.ends[CLIENT].send(link.now, id, *binary, payload) {
            assert_eq!(error, SendDataError::TooMuchUnsent);
            assert!(link.step(link.now + Duration::from_secs(600)));
        }
        if link.ends[SERVER].send(link.now, id, false, payload).is_ok() {
            backwards += 1;
        }
    }
    let took = link.settle();
    assert_eq!(link.messages(SERVER, id).len(), messages.len());
    assert_eq!(link.messages(SERVER, id), messages);
    assert_eq!(link.messages(CLIENT, id).len(), backwards);
    assert_eq!(link.ends[CLIENT].buffered(id), 0);
    assert_eq!(link.ends[CLIENT].next_at(), None);
    assert!(took < Duration::from_secs(3600), "{took:?}");
}

#[test]
fn a_lossy_channel_loses_messages_and_waits_for_none() {
    let (mut link, id) = Link::connected(4, lossy("_lossy"));
    link.loss = 0.1;
    link.jitter = Duration::from_millis(15);
    let mut taken = 0;
    for number in 0..2000u32 {
        let mut payload = number.to_be_bytes().to_vec();
        payload.resize(if number % 50 == 0 { 5000 } else { 100 }, 0);
        let sent = link.ends[CLIENT].send(link.now, id, true, &payload.into());
        taken += usize::from(sent.is_ok());
        link.run(Duration::from_millis(10));
    }
    link.settle();
    let got: Vec<u32> = link
        .messages(SERVER, id)
        .iter()
        .map(|(_, payload)| packet::u32_at(payload, 0).unwrap())
        .collect();
    assert!(taken > 1800, "{taken}");
    assert!(got.len() > 1600 && got.len() < taken, "{}", got.len());
    assert!(*got.iter().max().unwrap() > 1950);
    // Nothing is stuck on either side.
    assert_eq!(link.ends[CLIENT].buffered(id), 0);
    assert_eq!(link.ends[CLIENT].next_at(), None);
    assert_eq!(link.ends[SERVER].next_at(), None);
}

#[test]
fn a_lossy_channel_drops_what_a_dead_network_keeps_waiting() {
    let (mut link, id) = Link::connected(5, lossy("_lossy"));
    link.loss = 1.0;
    let payload = message(1, 1000);
    let dropped = (0..1000)
        .filter(|_| {
            link.run(Duration::from_millis(10));
            link.ends[CLIENT]
                .send(link.now, id, true, &payload)
                .is_err()
        })
        .count();
    assert!(dropped > 800, "{dropped}");
    assert!(link.ends[CLIENT].buffered(id) <= 64 << 10);
    assert_eq!(link.ends[CLIENT].take_counters().dropped, dropped as u64);
}

#[test]
fn the_association_outlives_an_outage() {
    let (mut link, id) = Link::connected(6, reliable("chat"));
    link.loss = 1.0;
    let messages: Vec<_> = (0..50).map(|n| (true, message(n, 3000))).collect();
    for (_, payload) in &messages {
        link.ends[CLIENT].send(link.now, id, true, payload).unwrap();
        link.run(Duration::from_secs(2));
    }
    assert!(link.messages(SERVER, id).is_empty());
    link.loss = 0.0;
    let took = link.settle();
    assert_eq!(link.messages(SERVER, id), messages);
    assert!(took < Duration::from_secs(70), "{took:?}");
    assert_eq!(link.events[CLIENT], []);
}

#[test]
fn channels_interleave_with_empty_messages_and_kinds_kept() {
    let (mut link, first) = Link::connected(7, reliable("a"));
    let second = link.ends[SERVER].open(link.now, reliable("b")).unwrap();
    link.run(Duration::from_secs(1));
    for round in 0..20 {
        for id in [first, second] {
            for (binary, len) in [(true, 0), (false, 0), (true, 1), (false, 1), (true, 4000)] {
                let payload = message(round, len);
                link.ends[SERVER]
                    .send(link.now, id, binary, &payload)
                    .unwrap();
            }
        }
    }
    link.settle();
    for id in [first, second] {
        let got = link.messages(CLIENT, id);
        assert_eq!(got.len(), 100);
        for (at, (binary, payload)) in got.iter().enumerate() {
            let (expected, len) =
                [(true, 0), (false, 0), (true, 1), (false, 1), (true, 4000)][at % 5];
            assert_eq!((*binary, payload.len()), (expected, len), "{at}");
        }
    }
}

#[test]
fn an_idle_transport_has_no_timer_and_a_busy_one_has() {
    let mut link = Link::new(8);
    assert_eq!(link.ends[SERVER].next_at(), None);
    link.flush();
    let init = link.ends[CLIENT].next_at().unwrap();
    assert!(init > link.now && init <= link.now + Duration::from_secs(1));
    link.settle();
    assert_eq!(link.ends.each_ref().map(DataTransport::next_at), [None; 2]);
    let id = link.ends[SERVER].open(link.now, reliable("x")).unwrap();
    link.flush();
    assert!(link.ends[SERVER].next_at().unwrap() > link.now);
    let took = link.settle();
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(link.ends.each_ref().map(DataTransport::next_at), [None; 2]);
    assert_eq!(link.ends[SERVER].buffered(id), 0);
}

#[test]
fn limits_of_what_is_sent() {
    let (mut link, id) = Link::connected(9, reliable("chat"));
    let now = link.now;
    let end = &mut link.ends[CLIENT];
    let long = message(1, MAX_MESSAGE + 1);
    let limit = MAX_MESSAGE;
    assert_eq!(
        end.send(now, id, true, &long),
        Err(SendDataError::TooLong { limit })
    );
    let unknown = ChannelId(77);
    assert_eq!(
        end.send(now, unknown, true, &long),
        Err(SendDataError::UnknownChannel)
    );
    let longest = long.slice(1..);
    let sent = (0..100)
        .take_while(|_| end.send(now, id, true, &longest).is_ok())
        .count();
    assert_eq!(sent, 15);
    assert_eq!(end.buffered(id), 15 * MAX_MESSAGE);
    let label = "x".repeat(MAX_LABEL + 1);
    assert_eq!(
        end.open(now, reliable(&label)),
        Err(OpenChannelError::LabelTooLong)
    );
    link.settle();
    assert_eq!(link.messages(SERVER, id).len(), 15);
}

#[test]
fn there_are_so_many_channels_and_no_more() {
    let (mut link, _) = Link::connected(10, reliable("0"));
    for at in 1..MAX_CHANNELS {
        let side = at % 2;
        link.ends[side]
            .open(link.now, reliable(&at.to_string()))
            .unwrap();
    }
    let now = link.now;
    // The server does not know yet that there is no room. Each side has one too many then.
    link.ends[SERVER].open(now, reliable("one more")).unwrap();
    link.settle();
    for side in [CLIENT, SERVER] {
        let opened = link.events[side]
            .iter()
            .filter(|it| matches!(it, DataEvent::Opened { .. }));
        assert_eq!(opened.count(), MAX_CHANNELS - 2);
        assert_eq!(link.ends[side].take_counters().refused_channels, 1);
        let full = Err(OpenChannelError::TooMany);
        assert_eq!(link.ends[side].open(link.now, reliable("x")), full);
    }
}

#[test]
fn a_channel_that_the_peer_resets_is_closed_and_its_id_used_again() {
    let (mut link, id) = Link::connected(12, reliable("chat"));
    let kept = link.ends[SERVER].open(link.now, reliable("kept")).unwrap();
    link.settle();
    link.events = Default::default();
    // What a browser sends for close(). The numbers of requests begin as those of chunks do.
    let init = Packet::parse(&link.sent[0].1).unwrap().chunks().next();
    let number = packet::u32_at(init.unwrap().value, 12).unwrap();
    let last_tsn = hostile::next_tsn(&link).wrapping_sub(1);
    let mut request = vec![0, 13, 0, 18];
    for word in [number, 0, last_tsn] {
        request.extend(word.to_be_bytes());
    }
    request.extend(id.0.to_be_bytes());
    let packet = hostile::craft(&link, chunk::RECONFIG, 0, &request);
    link.ends[SERVER].handle(link.now, &packet);
    link.settle();
    // The server resets its direction in turn, which the client takes for the server's wish.
    assert_eq!(link.events[SERVER], [DataEvent::Closed { id }]);
    assert_eq!(link.events[CLIENT], [DataEvent::Closed { id }]);
    assert_eq!(link.ends.each_ref().map(DataTransport::next_at), [None; 2]);
    assert_eq!(link.ends[CLIENT].open(link.now, lossy("again")), Ok(id));
    link.settle();
    for side in [CLIENT, SERVER] {
        let payload = Bytes::from_static(b"x");
        for id in [id, kept] {
            link.ends[side].send(link.now, id, true, &payload).unwrap();
        }
        link.settle();
        assert_eq!(link.messages(1 - side, id).len(), 1);
        assert_eq!(link.messages(1 - side, kept).len(), 1);
    }
}

#[test]
fn closing_tells_the_other_side() {
    let (mut link, id) = Link::connected(11, reliable("chat"));
    let now = link.now;
    link.ends[SERVER].close(now);
    link.settle();
    assert_eq!(link.events[SERVER], []);
    let reason = AssociationEnd::Peer;
    assert_eq!(
        link.events[CLIENT],
        [DataEvent::Closed { id }, DataEvent::Ended { reason }]
    );
    for end in &mut link.ends {
        assert_eq!(end.next_at(), None);
        let sent = end.send(now, id, true, &Bytes::new());
        assert_eq!(sent, Err(SendDataError::UnknownChannel));
        assert_eq!(end.open(now, reliable("x")), Err(OpenChannelError::Ended));
    }
}
