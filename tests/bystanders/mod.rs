//! Two participants who mind their own business: one speaks, one listens, and what others do to the server must not
//! cost them a packet.

#![allow(
    dead_code,
    reason = "every test file is a program of its own and uses a part of this"
)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use hive_loadtest::http::HttpClient;
use hive_loadtest::link::LinkSettings;
use hive_loadtest::livekit::publish::{AddTrack, Sending};
use hive_loadtest::livekit::{Happening, JoinOptions, LivekitError, Participant};
use hive_loadtest::peer::{Role, Signalling};

use crate::server::{PATIENCE, SERVICE_KEY, Server};

/// Time between packets.
const INTERVAL: Duration = Duration::from_millis(20);

/// Packets that have to arrive once all is over: half a second of speech.
const AFTERWARDS: u64 = 25;

#[derive(Default)]
struct Shared {
    /// Packets that were sent.
    sent: AtomicU64,
    /// The speaker is to stop.
    stop: AtomicBool,
    /// Nothing more is sent.
    stopped: AtomicBool,
    /// The last packet that the listener heard, plus one.
    last: AtomicU64,
}

/// The pair.
pub(crate) struct Bystanders {
    shared: Arc<Shared>,
    missing: Receiver<Result<Vec<u64>, LivekitError>>,
}

impl Bystanders {
    /// Two who join a room; the listener hears the speaker from now on.
    pub(crate) fn join(server: &Server, room: &str) -> Bystanders {
        let http = HttpClient::new(server.http.to_string());
        let signalling = Signalling::new(http, SERVICE_KEY);
        let shared = Arc::new(Shared::default());
        let (to, missing) = sync_channel(1);
        let (room, of_thread) = (room.to_owned(), shared.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            let _ = to.send(runtime.block_on(talk(&signalling, &room, &of_thread)));
        });
        let bystanders = Bystanders { shared, missing };
        bystanders.wait_for(1);
        bystanders
    }

    /// Speech goes on, and of all of it, from the first word on, no packet is missing.
    pub(crate) fn are_unharmed(self) {
        self.wait_for(self.shared.sent.load(Ordering::Relaxed) + AFTERWARDS);
        self.shared.stop.store(true, Ordering::Relaxed);
        let missing = self.missing.recv_timeout(PATIENCE).expect("an end");
        assert_eq!(missing.expect("nobody is sent away"), Vec::<u64>::new());
    }

    /// Waits until the listener has heard so many packets of the speaker's.
    fn wait_for(&self, packets: u64) {
        let deadline = Instant::now() + PATIENCE;
        while self.shared.last.load(Ordering::Relaxed) < packets {
            if let Ok(ended) = self.missing.try_recv() {
                panic!("the bystanders ended early: {ended:?}");
            }
            assert!(
                Instant::now() < deadline,
                "the bystanders hear nothing any more"
            );
            std::thread::park_timeout(INTERVAL);
        }
    }
}

/// Both, from the first join to the last packet; gives the packets that the listener lacks.
async fn talk(
    signalling: &Signalling,
    room: &str,
    shared: &Shared,
) -> Result<Vec<u64>, LivekitError> {
    let join = |identity: &str, role| JoinOptions {
        room: room.to_owned(),
        identity: identity.to_owned(),
        role,
        subscribe: role == Role::Listener,
        link: LinkSettings::ideal(),
    };
    let speaker = Participant::join(signalling, &join("bystander-speaks", Role::Speaker)).await?;
    let listener =
        Participant::join(signalling, &join("bystander-listens", Role::Listener)).await?;
    let (_, missing) = tokio::try_join!(speak(speaker, shared), listen(listener, shared))?;
    Ok(missing)
}

async fn speak(mut participant: Participant, shared: &Shared) -> Result<(), LivekitError> {
    let [mid] = participant.publish(&[AddTrack::Microphone])?;
    participant.connected(PATIENCE).await?;
    let start = Instant::now();
    let mut number = 0_u32;
    while !shared.stop.load(Ordering::Relaxed) {
        let at = start + INTERVAL * number;
        participant.next(at).await?;
        if Instant::now() < at {
            continue;
        }
        let mut payload = u64::from(number).to_be_bytes().to_vec();
        payload.resize(80, 0x55);
        participant.send(Sending {
            mid,
            rid: None,
            seq: number.into(),
            timestamp: number.wrapping_mul(960),
            marker: false,
            nackable: false,
            payload,
        })?;
        number += 1;
        shared.sent.store(number.into(), Ordering::Relaxed);
    }
    shared.stopped.store(true, Ordering::Relaxed);
    // It stays until the listener has heard the last packet, or nobody would be there to hear.
    while shared.last.load(Ordering::Relaxed) < u64::from(number) {
        participant.next(Instant::now() + INTERVAL).await?;
    }
    Ok(())
}

async fn listen(mut participant: Participant, shared: &Shared) -> Result<Vec<u64>, LivekitError> {
    let mut heard = BTreeSet::new();
    loop {
        let everything = shared.last.load(Ordering::Relaxed) >= shared.sent.load(Ordering::Relaxed);
        if shared.stopped.load(Ordering::Relaxed) && everything {
            break;
        }
        let until = Instant::now() + INTERVAL;
        let Happening::Packet { packet, .. } = participant.next(until).await? else {
            continue;
        };
        if let Some(number) = packet.payload.first_chunk() {
            let number = u64::from_be_bytes(*number);
            heard.insert(number);
            shared.last.fetch_max(number + 1, Ordering::Relaxed);
        }
    }
    let first = heard.first().copied().unwrap_or(0);
    let sent = shared.sent.load(Ordering::Relaxed);
    Ok((first..sent).filter(|it| !heard.contains(it)).collect())
}
