//! Publishing: from the announcement of a track to its end.

use std::sync::Arc;
use std::time::Instant;

use hive_media::sdp::answer::Preference;
use hive_media::sdp::offer::{Offer, Section, SectionKind};
use hive_media::video::codec::VideoCodec;
use hive_media::{MediaKind, Published, TrackId};
use hive_models::Lang;

use super::client::Client;
use super::language;
use super::lifecycle::LifecycleKind;
use super::member::{Member, MemberState, Pending};
use super::proto::{self, TrackSource, TrackType, request_response, signal_response};
use super::roster::Publication;
use super::sid;
use crate::hall::Hall;
use crate::pipeline::journal::{Journal, Speaker};
use crate::room::{Participant, Publishing, Room};
use crate::service::SessionId;

/// Tracks that one participant may publish, announced ones included.
const MAX_TRACKS: usize = 32;

/// The longest name, id or the like of a track, in bytes.
const MAX_TEXT: usize = 256;

/// Layers that an announcement may list.
const MAX_LAYERS: usize = 8;

impl Client {
    /// A client announces a track; it is published once a media section carries it.
    pub(super) fn add_track(&self, request: proto::AddTrackRequest) {
        let refused = {
            let room = self.room.state.lock();
            let Some(participant) = room.participants.get(&self.member.identity) else {
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

    /// Changes what is told of one of the client's tracks.
    pub(super) fn update_track(&self, track: &str, change: impl FnOnce(&mut proto::TrackInfo)) {
        {
            let mut state = self.room.state.lock();
            let Some(participant) = state.participants.get_mut(&self.member.identity) else {
                return;
            };
            let Some(publication) = participant.publications.get_mut(track) else {
                return;
            };
            change(&mut publication.info);
            participant.profile.version += 1;
        }
        self.room.roster_changed();
    }

    /// Which sections of an offer may be received, and how they should be encoded.
    pub(super) fn sections_to_receive(
        &self,
        offer: &Offer,
        described: &proto::SessionDescription,
    ) -> Vec<(String, Preference)> {
        let mut state = self.member.state.lock();
        let mut receives = Vec::new();
        for section in &offer.sections {
            let Some(mid) = section.mid.clone() else {
                continue;
            };
            if !section.direction.sends() {
                continue;
            }
            if !state.mids.contains_key(&mid)
                && let Some(at) = announced(&state, section, described.mid_to_track_id.get(&mid))
            {
                let sid = state.pending[at].sid.clone();
                state.mids.insert(mid.clone(), sid);
            }
            if let Some(sid) = state.mids.get(&mid) {
                let pending = state.pending.iter().find(|pending| pending.sid == *sid);
                let prefer = pending.map_or_else(Preference::default, |it| preference(&it.request));
                receives.push((mid, prefer));
            }
        }
        receives
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
        let (gone, seen, announced) = {
            let mut state = self.room.state.lock();
            let Some(participant) = state.participants.get_mut(&self.member.identity) else {
                return;
            };
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
            if gone.is_empty() && new.is_empty() {
                return;
            }
            participant.profile.version += 1;
            let seen = participant.seen(&self.member.identity).view();
            (gone, seen, participant.announced)
        };
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
            member.state.lock().mids.retain(|_, of| **of != *sid);
            member.tell(signal_response::Message::TrackUnpublished(
                proto::TrackUnpublishedResponse {
                    track_sid: sid.to_owned(),
                },
            ));
        }
        if let Some(seen) = seen {
            let kind = LifecycleKind::TrackUnpublished;
            self.happened_to(room, kind, seen, Some(gone.info));
        }
    }

    /// Has a participant's microphone listened to, in the language that they speak now, or not any
    /// more.
    pub(crate) fn fit_microphone(&self, room: &Arc<Room>, identity: &Arc<str>) {
        let mut state = room.state.lock();
        let default = state.asks.speaks;
        let Some(participant) = state.participants.get(identity) else {
            return;
        };
        let Some(member) = participant.member.clone() else {
            return;
        };
        let lang = participant.speaks(default);
        let microphone = participant.microphone(&member);
        let current = participant
            .publishing
            .as_ref()
            .filter(|_| participant.hung_up.is_none());
        match (microphone, current) {
            (Some(track), Some(current))
                if current.track == track && current.journal.speaker().lang == lang => {}
            (Some(track), _) => {
                let speaker = Speaker {
                    identity: identity.clone(),
                    lang,
                };
                let numbering = state.numbering(identity);
                let settings = self.settings.pipeline.clone();
                let journal =
                    Arc::new(Journal::new(speaker, settings, room.bus.clone(), numbering));
                let tap = journal.clone();
                self.worker(room)
                    .tap(track, Some(Box::new(move |frame| tap.push_packet(frame))));
                if let Some(participant) = state.participants.get_mut(identity) {
                    participant.publishing = Some(Publishing {
                        session: SessionId::random(),
                        peer: member.publisher,
                        track,
                        journal,
                    });
                    participant.hung_up = None;
                }
            }
            (None, Some(current)) if current.peer == member.publisher => {
                if let Some(participant) = state.participants.get_mut(identity) {
                    participant.hung_up = Some(Instant::now());
                }
            }
            (None, _) => {}
        }
    }
}

impl Participant {
    /// The language that they speak.
    pub(crate) fn speaks(&self, of_room: Option<Lang>) -> Lang {
        language::speaks(&self.profile.attributes)
            .or(of_room)
            .unwrap_or(Lang::EN)
    }

    /// The track of audio that carries their voice.
    fn microphone(&self, member: &Member) -> Option<TrackId> {
        let own = || {
            let publications = self.publications.values();
            publications.filter(|it| it.peer == member.publisher && it.kind == MediaKind::Audio)
        };
        let of = |source: TrackSource| own().find(|it| it.info.source == i32::from(source));
        // Clients that say nothing of the source publish a voice, too.
        of(TrackSource::Microphone)
            .or_else(|| of(TrackSource::Unknown))
            .map(|it| it.track)
    }

    /// The sids of tracks that the participant may not publish (any more).
    pub(crate) fn no_longer_permitted(&self) -> Vec<String> {
        let permission = &self.profile.permission;
        let sources = &permission.can_publish_sources;
        self.publications
            .values()
            .filter(|it| {
                let fits = sources.is_empty() || sources.contains(&it.info.source);
                !permission.can_publish || !fits
            })
            .map(|it| it.info.sid.clone())
            .collect()
    }

    /// Changes name, metadata and attributes, as far as they are given; an attribute without a value
    /// goes.
    pub(crate) fn update(
        &mut self,
        name: &str,
        metadata: String,
        attributes: &std::collections::HashMap<String, String>,
    ) {
        if !name.is_empty() {
            self.name = Some(name.to_owned());
        }
        if !metadata.is_empty() {
            self.profile.metadata = metadata;
        }
        for (key, value) in attributes {
            if value.is_empty() {
                self.profile.attributes.remove(key);
            } else {
                self.profile.attributes.insert(key.clone(), value.clone());
            }
        }
        self.profile.version += 1;
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
    let texts = [&request.cid, &request.name, &request.stream, &request.sid];
    let long = texts.iter().any(|text| text.len() > MAX_TEXT);
    if request.cid.is_empty() || long || request.layers.len() > MAX_LAYERS {
        return Some((
            Reason::InvalidRequest,
            "a track needs a cid, and its texts hold 256 bytes at most",
        ));
    }
    if request.r#type == i32::from(TrackType::Data) {
        return Some((
            Reason::UnsupportedType,
            "only audio and video are published",
        ));
    }
    None
}

/// The announcement that a section carries out: the one whose cid it names, or else the oldest of its
/// kind, as some browsers give the track a new id.
fn announced(state: &MemberState, section: &Section, mapped: Option<&String>) -> Option<usize> {
    let kind = match section.kind {
        SectionKind::Audio(_) => TrackType::Audio,
        SectionKind::Video(_) => TrackType::Video,
        SectionKind::Data(_) | SectionKind::Refused => return None,
    };
    let taken = |pending: &Pending| state.mids.values().any(|sid| *sid == pending.sid);
    let fits = |pending: &Pending| pending.request.r#type == i32::from(kind) && !taken(pending);
    let names = |pending: &Pending, cid: &str| {
        pending.request.cid == cid
            || pending
                .request
                .simulcast_codecs
                .iter()
                .any(|codec| codec.cid == cid)
    };
    let by_name = [mapped, section.msid_track.as_ref()]
        .into_iter()
        .flatten()
        .find_map(|cid| {
            state
                .pending
                .iter()
                .position(|pending| fits(pending) && names(pending, cid))
        });
    by_name.or_else(|| state.pending.iter().position(fits))
}

fn preference(request: &proto::AddTrackRequest) -> Preference {
    let feature =
        |feature: proto::AudioTrackFeature| request.audio_features.contains(&i32::from(feature));
    #[allow(
        deprecated,
        reason = "clients that know no audio features still say it this way"
    )]
    let (no_dtx, stereo) = (request.disable_dtx, request.stereo);
    Preference {
        codec: request
            .simulcast_codecs
            .first()
            .and_then(|codec| VideoCodec::from_name(codec.codec.trim_start_matches("video/"))),
        dtx: !(no_dtx || feature(proto::AudioTrackFeature::TfNoDtx)),
        stereo: stereo || feature(proto::AudioTrackFeature::TfStereo),
        red: !request.disable_red,
    }
}

/// What is told of a track that was announced.
fn info(pending: &Pending, mid: &str) -> proto::TrackInfo {
    let request = &pending.request;
    let audio = request.r#type == i32::from(TrackType::Audio);
    let codec = request.simulcast_codecs.first();
    let mime_type = match codec.map(|codec| codec.codec.as_str()) {
        _ if audio => "audio/opus".to_owned(),
        Some(codec) if codec.contains('/') => codec.to_owned(),
        Some(codec) if !codec.is_empty() => format!("video/{}", codec.to_ascii_uppercase()),
        _ => "video/VP8".to_owned(),
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
