//! Data packets between participants.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hive_media::PeerId;
use prost::Message;

use super::bucket::Rate;
use super::member::Member;
use super::proto::data_stream::header::ContentHeader;
use super::proto::{self, DataPacket, data_packet::Value, participant_info};
use crate::hall::Hall;
use crate::room::Room;

/// The label of the ordered, reliable data channel.
pub(crate) const RELIABLE: &str = "_reliable";
/// The label of the unordered data channel without retransmission.
pub(crate) const LOSSY: &str = "_lossy";

/// The largest packet that is passed on, in bytes: LiveKit's own limit for what its clients send.
const MAX_PACKET: usize = 64 * 1024;

/// Bytes that one member may have sent to others, all recipients together: the burst is a file of 10 MB to
/// three, and the rate that of one to each of eight in ten seconds.
const SENDING: Rate = Rate {
    per_second: 8 << 20,
    burst: 32 << 20,
};

/// What a packet costs each recipient at least, in bytes: one that is small is encrypted and sent as well.
const LEAST_COST: usize = 1024;

/// The most recipients that a packet may name.
const MAX_DESTINATIONS: usize = 1000;

impl Hall {
    /// Passes on what a member's peer sent over a data channel.
    pub(crate) fn relay(&self, peer: PeerId, label: &str, payload: &[u8], now: Instant) {
        let Some((room, member)) = self.member_of(peer) else {
            return;
        };
        if let Err(reason) = self.try_relay(&room, &member, label, payload, now) {
            refused(reason);
            tracing::debug!(identity = %member.identity, reason, "a data packet was refused");
        }
        let owed = member.state.lock().data.owed(now, SENDING);
        self.worker(&room).data_taken(peer, payload.len(), owed);
    }

    fn try_relay(
        &self,
        room: &Arc<Room>,
        member: &Arc<Member>,
        label: &str,
        payload: &[u8],
        now: Instant,
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
        let sender = state.stay(member).ok_or("no_participant")?;
        if !sender.profile.permission.can_publish_data {
            return Err("not_permitted");
        }
        let sender = Sender {
            identity: member.identity.to_string(),
            sid: member.sid.to_string(),
            hidden: sender.profile.permission.hidden,
            agent: sender.profile.kind == participant_info::Kind::Agent,
        };
        drop(state);
        // What has to arrive is slowed down instead, by whoever asks what is owed.
        if label == LOSSY && !member.state.lock().data.owed(now, SENDING).is_zero() {
            return Err("flood");
        }
        if label == RELIABLE && packet.sequence > 0 {
            let mut state = member.state.lock();
            // One that was sent again after a cut and had arrived before it.
            if packet.sequence <= state.last_data {
                return Err("repeated");
            }
            state.last_data = packet.sequence;
        }
        sender.sign(&mut packet)?;
        let cost = self.deliver(room, label, &packet, Some(member));
        member.state.lock().data.take(now, cost, SENDING);
        Ok(())
    }

    /// Sends a packet to whom it is for: the recipients that it names, or everybody but `sender`. Gives
    /// what that costs, in bytes.
    pub(crate) fn deliver(
        &self,
        room: &Arc<Room>,
        label: &'static str,
        packet: &DataPacket,
        sender: Option<&Arc<Member>>,
    ) -> u64 {
        let (identities, sids) = destinations(packet);
        if identities.len() + sids.len() > MAX_DESTINATIONS {
            refused("too_many_recipients");
            return 0;
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
        if peers.is_empty() {
            return 0;
        }
        let payload = Bytes::from(packet.encode_to_vec());
        metrics::counter!("hive_data_packets_total", "channel" => label)
            .increment(peers.len() as u64);
        let cost = payload.len().max(LEAST_COST) * peers.len();
        let from = sender.map(|sender| sender.publisher);
        self.worker(room).send_data(from, peers, label, payload);
        cost as u64
    }
}

fn refused(reason: &'static str) {
    metrics::counter!("hive_data_packets_refused_total", "reason" => reason).increment(1);
}

/// Who sends a packet.
struct Sender {
    identity: String,
    sid: String,
    hidden: bool,
    agent: bool,
}

impl Sender {
    /// Puts the sender's name on a packet, as LiveKit's server does: nobody's on that of somebody
    /// hidden, and that of whom it is said for on text that an agent sends in another's name.
    fn sign(&self, packet: &mut DataPacket) -> Result<(), &'static str> {
        let mut in_anothers_name =
            self.agent && !["", self.identity.as_str()].contains(&&*packet.participant_identity);
        let (identity, sid) = match self.hidden {
            true => Default::default(),
            false => (self.identity.clone(), self.sid.clone()),
        };
        #[allow(
            deprecated,
            reason = "older clients name the sender here, and send what is refused"
        )]
        match &mut packet.value {
            // What only the server says.
            Some(Value::Speaker(_)) | None => return Err("not_permitted"),
            // What only agents say.
            Some(Value::Transcription(_)) if !self.agent => return Err("not_permitted"),
            Some(Value::User(user)) => {
                user.participant_identity.clone_from(&identity);
                user.participant_sid.clone_from(&sid);
                in_anothers_name = false;
            }
            Some(Value::ChatMessage(chat)) if in_anothers_name => chat.generated = true,
            Some(Value::StreamHeader(header)) if in_anothers_name => {
                match &mut header.content_header {
                    Some(ContentHeader::TextHeader(text)) => text.generated = true,
                    _ => in_anothers_name = false,
                }
            }
            Some(_) => in_anothers_name = false,
        }
        if !in_anothers_name {
            packet.participant_identity = identity;
            packet.participant_sid = sid;
        }
        Ok(())
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
    use crate::livekit::proto::{ChatMessage, Transcription, UserPacket, data_stream};

    fn sender() -> Sender {
        Sender {
            identity: "ann".to_owned(),
            sid: "PA_ann".to_owned(),
            hidden: false,
            agent: false,
        }
    }

    fn agent() -> Sender {
        Sender {
            agent: true,
            ..sender()
        }
    }

    fn text_header() -> Value {
        let text = ContentHeader::TextHeader(data_stream::TextHeader::default());
        Value::StreamHeader(data_stream::Header {
            content_header: Some(text),
            ..Default::default()
        })
    }

    fn signed(sender: &Sender, value: Value) -> Result<DataPacket, &'static str> {
        let mut packet = packet("bob", "PA_bob", value);
        sender.sign(&mut packet).map(|()| packet)
    }

    #[test]
    fn nobody_but_an_agent_speaks_in_anothers_name() {
        for value in [text_header(), Value::ChatMessage(ChatMessage::default())] {
            let plain = signed(&sender(), value.clone()).expect("it may be sent");
            assert_eq!(plain.participant_identity, "ann");
            assert_eq!(plain.participant_sid, "PA_ann");
            let relayed = signed(&agent(), value).expect("it may be sent");
            assert_eq!(relayed.participant_identity, "bob");
            assert_eq!(relayed.participant_sid, "PA_bob");
        }
        let user = Value::User(UserPacket::default());
        let user = signed(&agent(), user).expect("it may be sent");
        assert_eq!(user.participant_identity, "ann", "only text is");
    }

    #[test]
    fn only_agents_send_transcriptions() {
        let value = Value::Transcription(Transcription::default());
        assert!(signed(&sender(), value.clone()).is_err());
        assert!(signed(&agent(), value).is_ok());
    }

    #[test]
    fn who_is_hidden_sends_without_a_name() {
        let hidden = Sender {
            hidden: true,
            ..sender()
        };
        let value = Value::User(UserPacket::default());
        let packet = signed(&hidden, value).expect("it may be sent");
        assert_eq!(packet.participant_identity, "");
        assert_eq!(packet.participant_sid, "");
    }

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
