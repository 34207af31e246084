//! A session whose link is a channel.

use std::net::Ipv4Addr;

use tokio::sync::mpsc;
use turn_server_proto::types::{
    attribute::ChannelNumber,
    stun::{attribute::Nonce, prelude::AttributeWrite},
};

use super::*;
use crate::{
    config::{RelayPorts, Secret},
    turn::{
        Credentials, MediaAddress, SharedSecret,
        door::Door,
        peers::Peers,
        quota::Quota,
        reception::Reaction,
        test_client::{Asking, ask, code},
    },
};

/// A client whose frames are channels.
struct TestLink {
    frames: mpsc::Receiver<Vec<u8>>,
    answers: mpsc::Sender<Vec<u8>>,
}

impl Link for TestLink {
    async fn receive(&mut self) -> Option<Vec<u8>> {
        self.frames.recv().await
    }

    fn send(&mut self, frame: &[u8]) {
        self.answers.try_send(frame.to_vec()).expect("room");
    }
}

struct Client {
    frames: mpsc::Sender<Vec<u8>>,
    answers: mpsc::Receiver<Vec<u8>>,
    nonce: String,
    ann: Credentials,
}

fn client() -> SocketAddr {
    "192.0.2.1:5000".parse().expect("an address")
}

fn secret() -> SharedSecret {
    SharedSecret::new(&Secret::new("north"))
}

/// A client that has an allocation, how it was told so, and the request that made it.
async fn session() -> (Client, Vec<u8>, Vec<u8>) {
    let media = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    let media = MediaAddress {
        bound: media,
        candidates: vec![media],
    };
    let peers = Peers::new(&[media], &["198.51.100.0/24".parse().expect("a network")]);
    let door = Door::new("hive".to_owned(), secret());
    let reception = Reception::new(door, peers, Quota::new(1, 1), RelayPorts::default());
    let ann = secret().credentials("ann", unix_seconds() + 60);
    let Reaction::Answer(challenge) =
        reception.receive(&ask(&Asking::default()), client(), unix_seconds())
    else {
        panic!("a stranger is challenged");
    };
    let challenge = Message::from_bytes(&challenge).expect("STUN");
    let nonce = challenge.attribute::<Nonce>().expect("a nonce");
    let nonce = nonce.nonce().to_owned();
    let request = ask(&Asking {
        nonce: Some(&nonce),
        credentials: Some(&ann),
        ..Asking::default()
    });
    let Reaction::Open(opening) = reception.receive(&request, client(), unix_seconds()) else {
        panic!("good credentials open");
    };
    let (frames, received) = mpsc::channel(1);
    let (answers, sent) = mpsc::channel(8);
    let mut link = TestLink {
        frames: received,
        answers,
    };
    tokio::spawn(async move {
        let server = "0.0.0.0:3479".parse().expect("an address");
        run(&mut link, &reception, *opening, client(), server).await;
    });
    let mut client = Client {
        frames,
        answers: sent,
        nonce,
        ann,
    };
    let made = client.answers.recv().await.expect("an answer");
    assert_eq!(code(&made), 0);
    (client, made, request)
}

impl Client {
    async fn say(&mut self, frame: Vec<u8>) -> Vec<u8> {
        self.frames.send(frame).await.expect("the session lives");
        self.answers.recv().await.expect("an answer")
    }

    async fn ask(
        &mut self,
        method: Method,
        peers: &[SocketAddr],
        more: &[&(dyn AttributeWrite + Sync)],
    ) -> u16 {
        let more: Vec<&dyn AttributeWrite> = more.iter().map(|&one| one as _).collect();
        let request = ask(&Asking {
            method,
            peers,
            more: &more,
            nonce: Some(&self.nonce),
            credentials: Some(&self.ann),
            ..Asking::default()
        });
        code(&self.say(request).await)
    }
}

#[tokio::test]
async fn a_request_that_comes_again_is_answered_as_before() {
    let (mut client, made, request) = session().await;
    assert_eq!(client.say(request).await, made);
    assert_eq!(client.ask(ALLOCATE, &[], &[]).await, 437, "a second one");
}

#[tokio::test]
async fn an_allocation_belongs_to_who_made_it() {
    let (mut client, ..) = session().await;
    client.ann = secret().credentials("bob", unix_seconds() + 60);
    assert_eq!(client.ask(REFRESH, &[], &[]).await, 441);
    client.ann = SharedSecret::random().credentials("ann", unix_seconds() + 60);
    assert_eq!(client.ask(REFRESH, &[], &[]).await, 401);
    client.nonce = "0.AAAA".to_owned();
    assert_eq!(client.ask(REFRESH, &[], &[]).await, 438);
}

#[tokio::test]
async fn peers_are_checked_one_by_one_and_bounded() {
    let (mut client, ..) = session().await;
    let peer = |last| SocketAddr::from(([198, 51, 100, last], 7882));
    let stranger = SocketAddr::from(([198, 51, 101, 1], 7882));
    let listed = [peer(0), stranger];
    assert_eq!(client.ask(CREATE_PERMISSION, &listed, &[]).await, 403);
    for last in 0..=u8::MAX {
        let expected = if usize::from(last) < MAX_PEERS {
            0
        } else {
            508
        };
        let peers = [peer(last)];
        assert_eq!(
            client.ask(CREATE_PERMISSION, &peers, &[]).await,
            expected,
            "{last}"
        );
    }
    let again = [peer(1)];
    assert_eq!(client.ask(CREATE_PERMISSION, &again, &[]).await, 0);
    let number = ChannelNumber::new(0x4000);
    let bound = [peer(1)];
    assert_eq!(client.ask(CHANNEL_BIND, &bound, &[&number]).await, 508);
}

#[tokio::test]
async fn paths_over_tcp_are_not_taken() {
    let (mut client, ..) = session().await;
    let peer = [SocketAddr::from(([198, 51, 100, 1], 80))];
    // CONNECT of RFC 6062.
    assert_eq!(client.ask(Method::new(0x000a), &peer, &[]).await, 400);
}
