//! Publishing: from the announcement of a track to its end.

use std::sync::Arc;

use hive_media::{Published, TrackId};

use super::announced::permits;
use super::bounds;
use super::client::{Client, ignored};
use super::lifecycle::LifecycleKind;
use super::member::Pending;
use super::proto::{self, TrackSource, TrackType, request_response, signal_response};
use super::roster::Publication;
use super::sid;
use crate::hall::Hall;
use crate::room::{Participant, Room};

/// Tracks that one participant may publish, announced ones included.
const MAX_TRACKS: usize = 32;

impl Client {
    /// A client announces a track; it is published once a media section carries it.
    pub(super) fn add_track(&self, mut request: proto::AddTrackRequest) {
        let refused = {
            let room = self.room.state.lock();
            let Some(participant) = room.stay(&self.member) else {
                return;
            };
            let state = self.member.state.lock();
            let count = participant.publications.len() + state.pending.len();
            refusal(&request, &participant.profile.permission, count)
        };
        if let Some((reason, message)) = refused {
            return self.refuse(
                0,
                reason,
                message,
                Some(request_response::Request::AddTrack(request)),
            );
        }
        let audio = bounds::features::<proto::AudioTrackFeature>(&request.audio_features);
        let trailers = &request.packet_trailer_features;
        let trailers = bounds::features::<proto::PacketTrailerFeature>(trailers);
        request.audio_features = audio.unwrap_or_default();
        request.packet_trailer_features = trailers.unwrap_or_default();
        let mut state = self.member.state.lock();
        // An announcement that is repeated is answered as the first was.
        let known = state
            .pending
            .iter()
            .find(|pending| pending.request.cid == request.cid);
        let pending = match known {
            Some(known) => known.clone(),
            None => {
                let pending = Pending {
                    sid: sid::track(),
                    request,
                    codec: None,
                };
                state.pending.push(pending.clone());
                pending
            }
        };
        drop(state);
        self.member.tell(signal_response::Message::TrackPublished(
            proto::TrackPublishedResponse {
                cid: pending.request.cid.clone(),
                track: Some(info(&pending, "")),
            },
        ));
    }

    /// A client mutes one of its tracks, or lets it be heard again.
    pub(super) fn mute(&self, track: &str, muted: bool) {
        for pending in &mut self.member.state.lock().pending {
            if *pending.sid == *track {
                pending.request.muted = muted;
                return;
            }
        }
        let of_room = {
            let state = self.room.state.lock();
            let own = state.participants.get(&self.member.identity);
            own.and_then(|own| Some(own.publications.get(track)?.track))
        };
        // What the room service has silenced is let through again when its owner wants to be heard.
        if let (Some(track), false) = (of_room, muted) {
            self.hall.worker(&self.room).mute(track, false);
        }
        self.update_track(track, |info| info.muted = muted);
    }

    /// Changes what is told of the features of one of the client's tracks.
    pub(super) fn update_audio(&self, update: proto::UpdateLocalAudioTrack) {
        match bounds::features::<proto::AudioTrackFeature>(&update.features) {
            Some(features) => self.update_track(&update.track_sid, |info| {
                info.audio_features = features;
            }),
            None => self.refuse(
                0,
                request_response::Reason::LimitExceeded,
                bounds::TOO_MANY_FEATURES,
                Some(request_response::Request::UpdateAudioTrack(update)),
            ),
        }
    }

    /// Changes what is told of one of the client's tracks.
    pub(super) fn update_track(&self, track: &str, change: impl FnOnce(&mut proto::TrackInfo)) {
        {
            let mut state = self.room.state.lock();
            let Some(participant) = state.stay_mut(&self.member) else {
                return;
            };
            let Some(publication) = participant.publications.get_mut(track) else {
                return ignored("track_change");
            };
            let before = publication.info.clone();
            change(&mut publication.info);
            if publication.info == before {
                // Nobody is to be told.
                return;
            }
            participant.profile.version += 1;
        }
        self.room.roster_changed();
    }

    /// Brings the client's publications in line with what was negotiated.
    pub(super) fn published(&self, published: &[Published]) {
        let mut new = Vec::new();
        {
            let mut state = self.member.state.lock();
            state
                .mids
                .retain(|mid, _| published.iter().any(|it| it.mid == *mid));
            for it in published {
                let Some(sid) = state.mids.get(&it.mid).cloned() else {
                    continue;
                };
                if let Some(at) = state.pending.iter().position(|pending| pending.sid == sid) {
                    new.push((it.clone(), state.pending.remove(at)));
                }
            }
        }
        let (gone, seen, new, refused, announced) = {
            let mut state = self.room.state.lock();
            let Some(participant) = state.stay_mut(&self.member) else {
                return;
            };
            // The permission may have been taken away while the offer was answered.
            let permission = &participant.profile.permission;
            let permitted =
                |(_, pending): &(Published, Pending)| permits(permission, pending.request.source);
            let (new, refused): (Vec<_>, Vec<_>) = new.into_iter().partition(permitted);
            let tracks: Vec<TrackId> = published.iter().map(|it| it.track).collect();
            let own = self.member.publisher;
            let gone: Vec<Publication> = participant
                .publications
                .extract_if(.., |_, it| it.peer == own && !tracks.contains(&it.track))
                .map(|(_, publication)| publication)
                .collect();
            for (it, pending) in &new {
                let publication = Publication {
                    info: info(pending, &it.mid),
                    track: it.track,
                    peer: own,
                    kind: it.kind,
                    subscribed: false,
                };
                participant
                    .publications
                    .insert(pending.sid.clone(), publication);
            }
            if !gone.is_empty() || !new.is_empty() {
                participant.profile.version += 1;
            }
            let seen = participant.seen(&self.member.identity).view();
            (gone, seen, new, refused, participant.announced)
        };
        for (it, pending) in &refused {
            self.hall.worker(&self.room).mute(it.track, true);
            self.member.withdraw(&pending.sid);
        }
        if gone.is_empty() && new.is_empty() {
            return;
        }
        for (it, _) in &new {
            // It may have been withdrawn, and published again in the same section.
            self.hall.worker(&self.room).mute(it.track, false);
        }
        // Before anybody is told that the participant came, nothing is told of their tracks.
        if announced {
            let gone = gone.into_iter().map(|it| it.info);
            let new = new.iter().map(|(it, pending)| info(pending, &it.mid));
            for (kind, track) in gone
                .map(|track| (LifecycleKind::TrackUnpublished, track))
                .chain(new.map(|track| (LifecycleKind::TrackPublished, track)))
            {
                self.hall
                    .happened_to(&self.room, kind, seen.clone(), Some(track));
            }
        }
        self.hall.fit_microphone(&self.room, &self.member.identity);
        self.room.roster_changed();
    }
}

impl Hall {
    /// Takes a track away from its publisher, who may not publish it any more.
    pub(crate) fn withdraw(&self, room: &Arc<Room>, identity: &Arc<str>, sid: &str) {
        let (gone, seen, member) = {
            let mut state = room.state.lock();
            let Some(participant) = state.participants.get_mut(identity) else {
                return;
            };
            let Some(gone) = participant.publications.remove(sid) else {
                return;
            };
            participant.profile.version += 1;
            let seen = participant
                .announced
                .then(|| participant.seen(identity).view());
            (gone, seen, participant.member.clone())
        };
        self.worker(room).mute(gone.track, true);
        if let Some(member) = member {
            member.withdraw(sid);
        }
        if let Some(seen) = seen {
            let kind = LifecycleKind::TrackUnpublished;
            self.happened_to(room, kind, seen, Some(gone.info));
        }
    }
}

impl Participant {
    /// The sids of tracks that the participant may not publish (any more).
    pub(crate) fn no_longer_permitted(&self) -> Vec<String> {
        let permission = &self.profile.permission;
        self.publications
            .values()
            .filter(|it| !permits(permission, it.info.source))
            .map(|it| it.info.sid.clone())
            .collect()
    }

    /// Changes name, metadata and attributes, as far as they are given; an attribute without a value
    /// goes. Gives whether that changed anything.
    pub(crate) fn update(
        &mut self,
        name: &str,
        metadata: String,
        attributes: &std::collections::HashMap<String, String>,
    ) -> bool {
        let mut changed = false;
        if !name.is_empty() && self.name.as_deref() != Some(name) {
            self.name = Some(name.to_owned());
            changed = true;
        }
        if !metadata.is_empty() && self.profile.metadata != metadata {
            self.profile.metadata = metadata;
            changed = true;
        }
        for (key, value) in attributes {
            let before = if value.is_empty() {
                self.profile.attributes.remove(key)
            } else {
                let attributes = &mut self.profile.attributes;
                attributes.insert(key.clone(), value.clone())
            };
            changed |= before.as_deref().unwrap_or_default() != value;
        }
        self.heed_attributes();
        self.profile.version += u32::from(changed);
        changed
    }
}

/// Why a track may not be announced.
fn refusal(
    request: &proto::AddTrackRequest,
    permission: &proto::ParticipantPermission,
    count: usize,
) -> Option<(request_response::Reason, &'static str)> {
    use request_response::Reason;
    let sources = &permission.can_publish_sources;
    if !permission.can_publish {
        return Some((Reason::NotAllowed, "the token's grant lacks canPublish"));
    }
    if !sources.is_empty() && !sources.contains(&request.source) {
        return Some((
            Reason::NotAllowed,
            "the token's canPublishSources lacks the track's source",
        ));
    }
    if count >= MAX_TRACKS {
        return Some((
            Reason::LimitExceeded,
            "a participant publishes 32 tracks at most; unpublish one first",
        ));
    }
    if request.cid.is_empty() {
        return Some((Reason::InvalidRequest, "a track needs a cid"));
    }
    if let Some(excess) = bounds::excess(request) {
        return Some((Reason::InvalidRequest, excess));
    }
    if request.r#type == i32::from(TrackType::Data) {
        return Some((
            Reason::UnsupportedType,
            "only audio and video are published",
        ));
    }
    None
}

/// What is told of a track that was announced.
fn info(pending: &Pending, mid: &str) -> proto::TrackInfo {
    let request = &pending.request;
    let audio = request.r#type == i32::from(TrackType::Audio);
    let codec = request.simulcast_codecs.first();
    let said = codec.map_or("", |codec| codec.codec.as_str());
    let mime_type = match pending.codec {
        _ if audio => "audio/opus".to_owned(),
        Some(codec) => format!("video/{}", codec.name()),
        None if said.contains('/') => said.to_owned(),
        None if said.is_empty() => "video/VP8".to_owned(),
        None => format!("video/{}", said.to_ascii_uppercase()),
    };
    let layers = match codec {
        Some(codec) if !codec.layers.is_empty() => codec.layers.clone(),
        _ => request.layers.clone(),
    };
    #[allow(deprecated, reason = "older clients read these fields")]
    proto::TrackInfo {
        sid: pending.sid.to_string(),
        r#type: request.r#type,
        name: request.name.clone(),
        muted: request.muted,
        width: request.width,
        height: request.height,
        simulcast: layers.len() > 1,
        disable_dtx: request.disable_dtx,
        source: request.source,
        layers: layers.clone(),
        mime_type: mime_type.clone(),
        mid: mid.to_owned(),
        codecs: vec![proto::SimulcastCodecInfo {
            mime_type,
            mid: mid.to_owned(),
            cid: request.cid.clone(),
            layers,
            video_layer_mode: codec.map_or(0, |codec| codec.video_layer_mode),
            sdp_cid: String::new(),
        }],
        stereo: request.stereo,
        disable_red: request.disable_red,
        encryption: request.encryption,
        stream: if request.stream.is_empty() {
            stream(request.source).to_owned()
        } else {
            request.stream.clone()
        },
        version: None,
        audio_features: request.audio_features.clone(),
        backup_codec_policy: request.backup_codec_policy,
        packet_trailer_features: request.packet_trailer_features.clone(),
    }
}

/// The stream that tracks of a source belong to, so that what belongs together is in step.
fn stream(source: i32) -> &'static str {
    match TrackSource::try_from(source) {
        Ok(TrackSource::ScreenShare | TrackSource::ScreenShareAudio) => "screen_share",
        _ => "camera",
    }
}
