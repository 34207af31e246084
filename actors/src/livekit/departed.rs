//! Those who went, as they were last: clients are told so, with the reason.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use prost::Message;

use super::proto::{self, DisconnectReason, participant_info};
use super::roster::Visible;

/// Participants that are remembered: as many as may leave before every client is told of it.
const MAX: usize = 1024;

/// Bytes that they take together, as they have metadata.
const MAX_BYTES: usize = 1024 * 1024;

/// The last of everybody who went. Those who went longest ago are forgotten first.
#[derive(Debug, Default)]
pub(crate) struct Departed {
    by_sid: HashMap<Arc<str>, proto::ParticipantInfo>,
    order: VecDeque<Arc<str>>,
    bytes: usize,
}

impl Departed {
    /// Notes somebody who goes, and why.
    pub(crate) fn note(&mut self, who: &Visible<'_>, reason: DisconnectReason) {
        let sid = who.profile.sid.clone();
        let info = proto::ParticipantInfo {
            state: participant_info::State::Disconnected.into(),
            // What they published has gone before them.
            tracks: Vec::new(),
            is_publisher: false,
            version: who.profile.version + 1,
            disconnect_reason: reason.into(),
            ..who.view()
        };
        self.bytes += info.encoded_len();
        match self.by_sid.insert(sid.clone(), info) {
            Some(before) => self.bytes -= before.encoded_len(),
            None => self.order.push_back(sid),
        }
        while self.order.len() > MAX || self.bytes > MAX_BYTES {
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            if let Some(info) = self.by_sid.remove(&oldest) {
                self.bytes -= info.encoded_len();
            }
        }
    }

    /// What is told of somebody who is here no more: as they were last, or at least who they were.
    pub(crate) fn view(&self, sid: &str, identity: &str, version: u32) -> proto::ParticipantInfo {
        let known = self.by_sid.get(sid).cloned();
        known.unwrap_or_else(|| proto::ParticipantInfo {
            sid: sid.to_owned(),
            identity: identity.to_owned(),
            state: participant_info::State::Disconnected.into(),
            version,
            ..Default::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::roster::Profile;
    use super::*;

    fn note(departed: &mut Departed, sid: &str, metadata: usize) {
        let profile = Profile {
            sid: sid.into(),
            metadata: "m".repeat(metadata),
            version: 3,
            ..Profile::default()
        };
        let who = Visible {
            identity: &"ann".into(),
            name: Some("Ann"),
            profile: &profile,
            publications: &BTreeMap::new(),
        };
        departed.note(&who, DisconnectReason::ClientInitiated);
    }

    #[test]
    fn those_who_went_keep_their_name_and_have_a_reason() {
        let mut departed = Departed::default();
        note(&mut departed, "PA_1", 10);
        let info = departed.view("PA_1", "ann", 1);
        assert_eq!((&*info.name, info.version), ("Ann", 4));
        assert_eq!(info.metadata.len(), 10);
        assert_eq!(info.state(), participant_info::State::Disconnected);
        assert_eq!(info.disconnect_reason(), DisconnectReason::ClientInitiated);
        let unknown = departed.view("PA_2", "bob", 7);
        assert_eq!((&*unknown.identity, unknown.version), ("bob", 7));
    }

    #[test]
    fn no_more_is_remembered_than_there_is_room_for() {
        let mut departed = Departed::default();
        for at in 0..3 * MAX {
            note(&mut departed, &format!("PA_{at}"), 1);
        }
        assert_eq!(departed.by_sid.len(), MAX);
        for at in 0..100 {
            note(&mut departed, &format!("PA_large{at}"), 60_000);
            note(&mut departed, "PA_again", 60_000);
        }
        assert!(departed.bytes <= MAX_BYTES);
        assert_eq!(departed.order.len(), departed.by_sid.len());
        for at in 0..MAX {
            note(&mut departed, &format!("PA_small{at}"), 1);
        }
        let sum: usize = departed.by_sid.values().map(Message::encoded_len).sum();
        assert_eq!(departed.bytes, sum, "what is forgotten is not counted");
    }
}
