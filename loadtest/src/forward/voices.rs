//! Speakers and listeners of the benchmark over LiveKit's protocol.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::client::ClientError;
use super::measure::Measure;
use super::turns::Turns;
use crate::link::LinkSettings;
use crate::livekit::publish::{AddTrack, Sending};
use crate::livekit::{Happening, JoinOptions, Participant};
use crate::peer::{Role, Signalling};

/// Longest time between looks at whether the run is over.
const LOOK: Duration = Duration::from_millis(200);

/// RTP time between packets, as of 20 ms.
const STEP: u32 = 960;

/// Longest wait of a speaker for ICE and DTLS.
const CONNECT: Duration = Duration::from_secs(20);

fn options(room: String, identity: String, role: Role) -> JoinOptions {
    JoinOptions {
        room,
        identity,
        role,
        subscribe: role == Role::Listener,
        link: LinkSettings::ideal(),
    }
}

/// One who publishes a microphone: packets of so many bytes, so many a second, whenever it is their turn.
pub(super) async fn speak(
    signalling: Signalling,
    (room, identity): (String, String),
    (bytes, pps): (usize, u16),
    mut turns: Turns,
    measure: Arc<Measure>,
) -> Result<(), ClientError> {
    let options = options(room, identity, Role::Speaker);
    let mut participant = Participant::join(&signalling, &options).await?;
    let [mid] = participant.publish(&[AddTrack::Microphone])?;
    participant.connected(CONNECT).await?;
    measure.connected.fetch_add(1, Ordering::Relaxed);
    let period = Duration::from_secs_f64(1.0 / f64::from(pps));
    let start = Instant::now();
    let (mut due, mut seq) = (0, 0);
    while !measure.stopping.load(Ordering::Relaxed) {
        let at = start + period * due;
        participant.next(at).await?;
        if Instant::now() < at {
            continue;
        }
        due += 1;
        let stamp = measure.now_us();
        if !turns.sends(Duration::from_micros(stamp)) {
            continue;
        }
        let mut payload = stamp.to_be_bytes().to_vec();
        payload.resize(bytes, 0x55);
        let sent = participant.send(Sending {
            mid,
            rid: None,
            seq,
            timestamp: due.wrapping_mul(STEP),
            marker: false,
            nackable: false,
            payload,
        })?;
        if sent {
            seq += 1;
            measure.sent(stamp);
        }
    }
    Ok(())
}

/// One who hears everybody.
pub(super) async fn listen(
    signalling: Signalling,
    (room, identity): (String, String),
    measure: Arc<Measure>,
) -> Result<(), ClientError> {
    let asked = Instant::now();
    let options = options(room, identity, Role::Listener);
    let mut participant = Participant::join(&signalling, &options).await?;
    let mut heard = false;
    while !measure.stopping.load(Ordering::Relaxed) {
        let Happening::Packet { packet, .. } = participant.next(Instant::now() + LOOK).await?
        else {
            continue;
        };
        if !heard {
            heard = true;
            measure.joined(asked);
            measure.connected.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(stamp) = packet.payload.first_chunk() {
            measure.received(u64::from_be_bytes(*stamp), measure.now_us());
        }
    }
    Ok(())
}
