//! Data packets between participants.

use std::sync::Arc;

use bytes::Bytes;
use hive_media::PeerId;
use prost::Message;

use super::member::Member;
use super::proto::{self, DataPacket, data_packet::Value};
use crate::hall::Hall;
use crate::room::Room;

/// The label of the ordered, reliable data channel.
pub(crate) const RELIABLE: &str = "_reliable";
/// The label of the unordered data channel without retransmission.
pub(crate) const LOSSY: &str = "_lossy";

/// The largest packet that is passed on, in bytes: LiveKit's own limit for what its clients send.
const MAX_PACKET: usize = 64 * 1024;

/// The most recipients that a packet may name.
const MAX_DESTINATIONS: usize = 1000;

impl Hall {
    /// Passes on what a member's peer sent over a data channel.
    pub(crate) fn relay(&self, peer: PeerId, label: &str, payload: &[u8]) {
        let Some((room, member)) = self.member_of(peer) else {
            return;
        };
        if let Err(reason) = self.try_relay(&room, &member, label, payload) {
            metrics::counter!("hive_data_packets_refused_total", "reason" => reason).increment(1);
            tracing::debug!(identity = %member.identity, reason, "a data packet was refused");
        }
    }

    fn try_relay(
        &self,
        room: &Arc<Room>,
        member: &Arc<Member>,
        label: &str,
        payload: &[u8],
    ) -> Result<(), &'static str> {
        let label = match label {
            RELIABLE => RELIABLE,
            LOSSY => LOSSY,
            _ => return Err("unknown_channel"),
        };
        if payload.len() > MAX_PACKET {
            return Err("too_long");
        }
        let mut packet = DataPacket::decode(payload).map_err(|_| "malformed")?;
        let state = room.state.lock();
        let sender = state
            .participants
            .get(&member.identity)
            .ok_or("no_participant")?;
        if !sender.profile.permission.can_publish_data {
            return Err("not_permitted");
        }
        drop(state);
        #[allow(deprecated, reason = "clients that still send it are refused")]
        match &packet.value {
            // What only the server says.
            Some(Value::Speaker(_)) | None => return Err("not_permitted"),
            Some(_) => {}
        }
        if label == RELIABLE && packet.sequence > 0 {
            let mut state = member.state.lock();
            // One that was sent again after a cut and had arrived before it.
            if packet.sequence <= state.last_data {
                return Err("repeated");
            }
            state.last_data = packet.sequence;
        }
        // Whoever says who they are is believed only by the server.
        packet.participant_identity = member.identity.to_string();
        packet.participant_sid = member.sid.to_string();
        #[allow(deprecated, reason = "older clients name sender and recipients here")]
        if let Some(Value::User(user)) = &mut packet.value {
            user.participant_identity = member.identity.to_string();
            user.participant_sid = member.sid.to_string();
        }
        self.deliver(room, label, &packet, Some(member));
        Ok(())
    }

    /// Sends a packet to whom it is for: the recipients that it names, or everybody but `sender`.
    pub(crate) fn deliver(
        &self,
        room: &Arc<Room>,
        label: &'static str,
        packet: &DataPacket,
        sender: Option<&Arc<Member>>,
    ) {
        let (identities, sids) = destinations(packet);
        if identities.len() + sids.len() > MAX_DESTINATIONS {
            metrics::counter!("hive_data_packets_refused_total", "reason" => "too_many_recipients")
                .increment(1);
            return;
        }
        let everybody = identities.is_empty() && sids.is_empty();
        let peers: Vec<PeerId> = {
            let state = room.state.lock();
            state
                .members()
                .filter(|member| sender.is_none_or(|sender| !Arc::ptr_eq(sender, member)))
                .filter(|member| {
                    everybody
                        || identities.iter().any(|it| **it == *member.identity)
                        || sids.iter().any(|it| **it == *member.sid)
                })
                .map(|member| member.subscriber)
                .collect()
        };
        if !peers.is_empty() {
            let payload = Bytes::from(packet.encode_to_vec());
            metrics::counter!("hive_data_packets_total", "channel" => label)
                .increment(peers.len() as u64);
            self.worker(room).send_data(peers, label, payload);
        }
    }
}

/// The identities and the sids that a packet names.
fn destinations(packet: &DataPacket) -> (&[String], &[String]) {
    #[allow(deprecated, reason = "older clients name recipients here")]
    match &packet.value {
        Some(Value::User(user)) => {
            let identities = match packet.destination_identities.is_empty() {
                true => &user.destination_identities,
                false => &packet.destination_identities,
            };
            (identities, &user.destination_sids)
        }
        _ => (&packet.destination_identities, &[]),
    }
}

/// A packet of the room's, with the sender's name on it.
pub(crate) fn packet(identity: &str, sid: &str, value: Value) -> DataPacket {
    DataPacket {
        participant_identity: identity.to_owned(),
        participant_sid: sid.to_owned(),
        value: Some(value),
        ..proto::DataPacket::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_for_the_identities_and_for_the_sids_that_it_names() {
        #[allow(deprecated, reason = "older requests name recipients by sid")]
        let user = proto::UserPacket {
            destination_sids: vec!["PA_1".to_owned()],
            destination_identities: vec!["bob".to_owned()],
            ..Default::default()
        };
        let mut packet = packet("", "", Value::User(user));
        let named = |packet: &DataPacket| {
            let (identities, sids) = destinations(packet);
            (identities.join(" "), sids.join(" "))
        };
        assert_eq!(named(&packet), ("bob".to_owned(), "PA_1".to_owned()));
        packet.destination_identities = vec!["ann".to_owned()];
        assert_eq!(named(&packet), ("ann".to_owned(), "PA_1".to_owned()));
    }
}
