//! A client behind a firewall reaches the media workers through the TURN relay, over UDP and over TCP, and
//! reaches nothing else.

mod server;
mod turn;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
};

use rtc_crypto::default_provider;
use rtc_stun::{
    attributes::ATTR_USERNAME,
    fingerprint::FINGERPRINT,
    integrity::MessageIntegrity,
    message::{
        BINDING_REQUEST, BINDING_SUCCESS, Getter, METHOD_CHANNEL_BIND, METHOD_CREATE_PERMISSION,
        METHOD_REFRESH, Message, TransactionId,
    },
    textattrs::TextAttribute,
    xoraddr::XorMappedAddress,
};
use rtc_turn::proto::{channum::ChannelNumber, lifetime::Lifetime};
use server::{API_KEY, API_SECRET, Answer, Server, hive, run, token};
use turn::{Told, TurnClient, decoded, peer_attribute};

const TURN: &str = "turn: {enabled: true, bind: 127.0.0.1:0}\n";

/// A WHIP session and what its answer tells of TURN, UDP first.
fn join(server: &Server) -> (Answer, [Told; 2]) {
    let opened = server.publish("demo", &token("demo", "ann", &[]));
    let links = opened.all("link");
    let told = links
        .iter()
        .map(|link| Told::read(link))
        .collect::<Vec<_>>();
    let told: [Told; 2] = told.try_into().expect("one of UDP and one of TCP");
    assert_eq!(told.each_ref().map(|told| told.tcp), [false, true]);
    (opened, told)
}

/// A connectivity check for the session that was opened by this answer.
fn check(opened: &Answer) -> Message {
    let of = |name: &str| {
        let line = opened.body.lines().find_map(|line| line.strip_prefix(name));
        line.expect("ICE credentials").trim().to_owned()
    };
    let (ufrag, password) = (of("a=ice-ufrag:"), of("a=ice-pwd:"));
    let provider = default_provider().expect("a crypto provider");
    let integrity =
        MessageIntegrity::new_short_term_integrity_with_provider(password, provider.crypto());
    let mut check = Message::new();
    check
        .build(&[
            Box::new(TransactionId::new()),
            Box::new(BINDING_REQUEST),
            // The offer's fragment is the other half: tests/offers/publish.sdp.
            Box::new(TextAttribute::new(ATTR_USERNAME, format!("{ufrag}:Wq3y"))),
            Box::new(integrity),
            Box::new(FINGERPRINT),
        ])
        .expect("a check");
    check
}

/// Whether this is the success that answers a check.
fn is_answer(answer: Vec<u8>, check: &Message) -> bool {
    let answer = decoded(answer);
    let mut mapped = XorMappedAddress::default();
    answer.typ == BINDING_SUCCESS
        && answer.transaction_id == check.transaction_id
        && mapped.get_from(&answer).is_ok()
}

#[test]
fn connectivity_checks_reach_the_media_worker_over_both_transports() {
    let server = Server::start(TURN);
    let (opened, told) = join(&server);
    for told in told {
        let mut client = TurnClient::new(&told);
        let relayed = client.allocate().expect("good credentials");
        assert!(relayed.port() >= 49152, "{relayed}");
        let permit = vec![peer_attribute(server.media)];
        assert_eq!(client.request(METHOD_CREATE_PERMISSION, permit), 0);
        let check = check(&opened);
        client.send_to(server.media, &check.raw);
        let (peer, answer) = client.receive();
        assert_eq!(peer, server.media);
        assert!(is_answer(answer, &check), "{told:?}");

        let bind = || {
            let number = ChannelNumber(0x4001);
            let peer = peer_attribute(server.media);
            vec![Box::new(number) as Box<dyn rtc_stun::message::Setter>, peer]
        };
        assert_eq!(client.request(METHOD_CHANNEL_BIND, bind()), 0);
        let check = self::check(&opened);
        let mut frame = vec![0x40, 0x01];
        frame.extend((check.raw.len() as u16).to_be_bytes());
        frame.extend(&check.raw);
        client.write(&frame);
        let answer = client.read();
        assert_eq!(answer[..2], [0x40, 0x01]);
        assert!(is_answer(answer[4..].to_vec(), &check), "{told:?}");

        let goodbye = Lifetime(std::time::Duration::ZERO);
        assert_eq!(client.request(METHOD_REFRESH, vec![Box::new(goodbye)]), 0);
    }
    let metrics = server.request("GET", "/metrics").send().body;
    for line in [
        "hive_turn_bytes_total{direction=\"to_peer\"}",
        "hive_turn_bytes_total{direction=\"to_client\"}",
    ] {
        let line = metrics.lines().find(|found| found.starts_with(line));
        assert!(line.is_some_and(|line| !line.ends_with(" 0")), "{metrics}");
    }
}

#[test]
fn a_media_worker_behind_a_nat_is_reached_without_the_nat() {
    let server = Server::start(
        "media:\n  bind: 0.0.0.0:0\n  advertise: [203.0.113.7]\n\
         turn: {enabled: true, bind: 127.0.0.1:0, advertise: 127.0.0.1}\n",
    );
    let (opened, [udp, _]) = join(&server);
    let public = SocketAddr::from(([203, 0, 113, 7], server.media.port()));
    assert!(opened.body.contains("203.0.113.7"), "{opened:?}");
    let mut client = TurnClient::new(&udp);
    let relayed = client.allocate().expect("good credentials");
    assert_eq!(relayed.ip(), public.ip());
    let permit = vec![peer_attribute(public)];
    assert_eq!(client.request(METHOD_CREATE_PERMISSION, permit), 0);
    let local = SocketAddr::from(([127, 0, 0, 1], server.media.port()));
    let permit = vec![peer_attribute(local)];
    assert_eq!(client.request(METHOD_CREATE_PERMISSION, permit), 403);
    let check = check(&opened);
    client.send_to(public, &check.raw);
    let (peer, answer) = client.receive();
    assert_eq!(peer, public);
    assert!(is_answer(answer, &check));
}

#[test]
fn nothing_but_the_media_worker_is_reached() {
    let server = Server::start(TURN);
    let (_, told) = join(&server);
    // Somebody on this machine whom the client must not reach.
    let victim = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let victim_address = victim.local_addr().expect("bound");
    victim.set_nonblocking(true).expect("non-blocking");
    let elsewhere: SocketAddr = "192.0.2.1:9".parse().expect("an address");
    let metadata: SocketAddr = "169.254.169.254:80".parse().expect("an address");
    for told in told {
        let mut client = TurnClient::new(&told);
        client.allocate().expect("good credentials");
        for peer in [elsewhere, metadata] {
            let permit = vec![peer_attribute(peer)];
            assert_eq!(
                client.request(METHOD_CREATE_PERMISSION, permit),
                403,
                "{peer}"
            );
        }
        let both = vec![peer_attribute(server.media), peer_attribute(elsewhere)];
        assert_eq!(client.request(METHOD_CREATE_PERMISSION, both), 403);
        for peer in [elsewhere, victim_address, server.http] {
            let number = ChannelNumber(0x4002);
            let bind = vec![Box::new(number) as _, peer_attribute(peer)];
            assert_eq!(client.request(METHOD_CHANNEL_BIND, bind), 403, "{peer}");
        }
        // A permission knows no port: the media worker's address is the victim's too.
        let permit = vec![peer_attribute(server.media)];
        assert_eq!(client.request(METHOD_CREATE_PERMISSION, permit), 0);
        client.send_to(victim_address, b"attack");
        // The answer to a later request tells that the server is through with the indication.
        assert_eq!(client.request(METHOD_REFRESH, Vec::new()), 0);
    }
    let received = victim.recv(&mut [0; 16]);
    assert!(received.is_err(), "the victim was reached");
    let metrics = server.request("GET", "/metrics").send().body;
    assert!(
        metrics.contains("hive_turn_peers_refused_total 14"),
        "{metrics}"
    );
}

#[test]
fn wrong_and_expired_credentials_are_refused() {
    let server = Server::start(TURN);
    let (_, told) = join(&server);
    for told in told {
        let (expiry, name) = told.username.split_once(':').expect("an expiry");
        assert_eq!(name, "ann");
        let expired = format!(
            "{}:{name}",
            expiry.parse::<u64>().expect("seconds") - 86_400
        );
        for wrong in [
            Told {
                credential: "guessed".to_owned(),
                ..told.clone()
            },
            Told {
                username: expired,
                ..told.clone()
            },
            Told {
                username: told.username.replace("ann", "bob"),
                ..told.clone()
            },
            Told {
                username: "ann".to_owned(),
                ..told.clone()
            },
        ] {
            assert_eq!(TurnClient::new(&wrong).allocate(), Err(401), "{wrong:?}");
        }
    }
}

#[test]
fn an_identity_has_so_many_allocations_and_no_more() {
    let server =
        Server::start("turn: {enabled: true, bind: 127.0.0.1:0, max_allocations_per_user: 2}\n");
    let (_, [udp, tcp]) = join(&server);
    let mut first = TurnClient::new(&udp);
    first.allocate().expect("the first");
    let mut second = TurnClient::new(&tcp);
    second.allocate().expect("the second");
    assert_eq!(TurnClient::new(&udp).allocate(), Err(486));
    // A connection that ends takes its allocation along.
    drop(second);
    let mut third = TurnClient::new(&udp);
    while third.allocate() == Err(486) {
        third = TurnClient::new(&udp);
    }
}

#[test]
fn floods_harm_nobody() {
    let server = Server::start(
        "turn: {enabled: true, bind: 127.0.0.1:0, max_connections: 16, idle_timeout: 1s}\n",
    );
    let (opened, [udp, tcp]) = join(&server);
    let mut client = TurnClient::new(&udp);
    client.allocate().expect("good credentials");
    let flood = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let heads: [&[u8]; 5] = [
        // ALLOCATE without credentials, and with more attributes than there are.
        &[
            0, 3, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
        ],
        &[0, 3, 0xff, 0xfc, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0],
        &[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42],
        &[0x40, 0, 0xff, 0xff, 1, 2, 3],
        &[0xff; 40],
    ];
    let mut random: u32 = 1;
    for round in 0..20_000_usize {
        let mut datagram = heads[round % heads.len()].to_vec();
        for _ in 0..round % 89 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            datagram.push((random >> 24) as u8);
        }
        let _ = flood.send_to(&datagram, udp.server);
    }
    // Connections that say nothing, half a message, or no TURN.
    let mut lingering: Vec<TcpStream> = (0..64)
        .map(|_| TcpStream::connect(tcp.server).expect("the kernel accepts"))
        .collect();
    for (number, stream) in lingering.iter_mut().enumerate() {
        let said: [&[u8]; 3] = [b"", &heads[0][..10], b"GET / HTTP/1.1\r\n\r\n"];
        let _ = stream.write_all(said[number % 3]);
    }
    let permit = vec![peer_attribute(server.media)];
    assert_eq!(client.request(METHOD_CREATE_PERMISSION, permit), 0);
    let check = check(&opened);
    client.send_to(server.media, &check.raw);
    assert!(is_answer(client.receive().1, &check));
    let mut late = TurnClient::new(&tcp);
    late.allocate()
        .expect("the others are closed after a while");
    for mut stream in lingering {
        let _ = stream.set_read_timeout(Some(server::PATIENCE));
        let mut end = [0; 64];
        // End or reset, but no timeout.
        match stream.read(&mut end) {
            Ok(0) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
            other => panic!("it is still open: {other:?}"),
        }
    }
    assert_eq!(server.request("GET", "/live").send().status, 200);
}

#[test]
fn clients_are_told_of_another_turn_server_with_its_credentials() {
    let server = Server::start(
        "turn:\n  ttl: 1h\n  external:\n    urls: ['turn:192.0.2.5:3478?transport=udp']\n    shared_secret: north\n",
    );
    let opened = server.publish("demo", &token("demo", "ann", &[]));
    let links = opened.all("link");
    assert_eq!(links.len(), 1, "{opened:?}");
    let told = Told::read(links[0]);
    assert_eq!(told.server.port(), 3478);
    assert!(told.username.ends_with(":ann"), "{told:?}");
    let plain = Server::start("");
    let opened = plain.publish("demo", &token("demo", "ann", &[]));
    assert!(opened.all("link").is_empty(), "{opened:?}");
}

#[test]
fn a_port_that_is_taken_is_told_before_anything_starts() {
    // An address of its own: on 127.0.0.1 somebody may have the same port on UDP.
    let taken = std::net::TcpListener::bind("127.0.0.6:0").expect("a port");
    let address = taken.local_addr().expect("bound");
    for subcommand in ["serve", "check"] {
        let ended = run(hive()
            .arg(subcommand)
            .env("HIVE__AUTH__KEYS", format!("{{{API_KEY}: {API_SECRET}}}"))
            .env("HIVE__HTTP__BIND", "127.0.0.1:0")
            .env("HIVE__MEDIA__BIND", "127.0.0.1:0")
            .env("HIVE__TURN__ENABLED", "true")
            .env("HIVE__TURN__BIND", address.to_string()));
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        let said = ended.stdout + &ended.stderr;
        assert!(
            said.contains(&format!("TCP {address}")) && said.contains("`turn.bind`"),
            "{said}"
        );
    }
}
