//! Tracks that were announced, and the media sections that carry them.

use hive_media::sdp::answer::Preference;
use hive_media::sdp::offer::{Offer, Section, SectionKind};
use hive_media::video::codec::VideoCodec;

use super::client::Client;
use super::member::{Member, MemberState, Pending};
use super::proto::{self, ParticipantPermission, TrackType, signal_response};

/// Whether tracks of a source may be published.
pub(super) fn permits(permission: &ParticipantPermission, source: i32) -> bool {
    let sources = &permission.can_publish_sources;
    permission.can_publish && (sources.is_empty() || sources.contains(&source))
}

impl Client {
    /// Which sections of an offer may be received, and how they should be encoded.
    pub(super) fn sections_to_receive(
        &self,
        offer: &Offer,
        described: &proto::SessionDescription,
    ) -> Vec<(String, Preference)> {
        let permission = {
            let room = self.room.state.lock();
            let participant = room.participants.get(&self.member.identity);
            participant.map(|it| it.profile.permission.clone())
        };
        self.member
            .forget_announced(&permission.unwrap_or_default());
        self.member
            .state
            .lock()
            .sections_to_receive(&offer.sections, described)
    }
}

impl Member {
    /// The client may not publish a track any more: its section is not received again, unless another
    /// track is announced for it.
    pub(super) fn withdraw(&self, sid: &str) {
        self.state.lock().withdraw(sid);
        self.tell(signal_response::Message::TrackUnpublished(
            proto::TrackUnpublishedResponse {
                track_sid: sid.to_owned(),
            },
        ));
    }

    /// Forgets announcements of what may not be published (any more).
    pub(super) fn forget_announced(&self, permission: &ParticipantPermission) {
        let gone: Vec<Pending> = {
            let pending = &mut self.state.lock().pending;
            let gone = pending.extract_if(.., |it| !permits(permission, it.request.source));
            gone.collect()
        };
        for pending in gone {
            self.withdraw(&pending.sid);
        }
    }
}

impl MemberState {
    fn withdraw(&mut self, sid: &str) {
        let sections = self.mids.extract_if(|_, of| **of == *sid);
        self.withdrawn.extend(sections.map(|(mid, _)| mid));
    }

    /// See [`Client::sections_to_receive`].
    fn sections_to_receive(
        &mut self,
        sections: &[Section],
        described: &proto::SessionDescription,
    ) -> Vec<(String, Preference)> {
        let sending: Vec<(&String, &Section)> = sections
            .iter()
            .filter(|section| section.direction.sends())
            .filter_map(|section| Some((section.mid.as_ref()?, section)))
            .collect();
        self.withdrawn
            .retain(|mid| sending.iter().any(|(sending, _)| *sending == mid));
        // Names first, for all sections: one without an announcement must not take another's.
        for by_name in [true, false] {
            for (mid, section) in &sending {
                if self.mids.contains_key(*mid) {
                    continue;
                }
                let found = if by_name {
                    self.named(section, described.mid_to_track_id.get(*mid))
                } else if self.withdrawn.contains(*mid) {
                    // The client has not taken out yet what it may not publish.
                    None
                } else {
                    self.oldest(section)
                };
                if let Some(at) = found {
                    self.mids
                        .insert((*mid).clone(), self.pending[at].sid.clone());
                    self.withdrawn.remove(*mid);
                }
            }
        }
        let mut receives = Vec::new();
        for (mid, section) in sending {
            let Some(sid) = self.mids.get(mid) else {
                continue;
            };
            let mut prefer = Preference::default();
            if let Some(pending) = self.pending.iter_mut().find(|it| it.sid == *sid) {
                prefer = preference(&pending.request);
                pending.codec = codec(section, prefer.codec);
            }
            receives.push((mid.clone(), prefer));
        }
        receives
    }

    /// The announcement whose cid a section names.
    fn named(&self, section: &Section, mapped: Option<&String>) -> Option<usize> {
        let names = |pending: &Pending, cid: &str| {
            let mut codecs = pending.request.simulcast_codecs.iter();
            pending.request.cid == cid || codecs.any(|codec| codec.cid == cid)
        };
        [mapped, section.msid_track.as_ref()]
            .into_iter()
            .flatten()
            .find_map(|cid| {
                let fits = |it: &Pending| self.fits(it, section) && names(it, cid);
                self.pending.iter().position(fits)
            })
    }

    /// The oldest announcement of a section's kind, as some browsers give tracks new ids.
    fn oldest(&self, section: &Section) -> Option<usize> {
        self.pending.iter().position(|it| self.fits(it, section))
    }

    /// Whether an announcement is of a section's kind, and has no section yet.
    fn fits(&self, pending: &Pending, section: &Section) -> bool {
        let kind = match section.kind {
            SectionKind::Audio(_) => TrackType::Audio,
            SectionKind::Video(_) => TrackType::Video,
            SectionKind::Data(_) | SectionKind::Refused => return false,
        };
        pending.request.r#type == i32::from(kind)
            && !self.mids.values().any(|sid| *sid == pending.sid)
    }
}

/// The codec that a client sends: the one preferred, if it offers it, or else its first.
fn codec(section: &Section, preferred: Option<VideoCodec>) -> Option<VideoCodec> {
    let SectionKind::Video(formats) = &section.kind else {
        return None;
    };
    let mut codecs = formats.iter().map(|format| format.codec);
    let first = codecs.clone().next();
    codecs.find(|codec| Some(*codec) == preferred).or(first)
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
        always: request.source == i32::from(proto::TrackSource::ScreenShareAudio),
    }
}

#[cfg(test)]
mod tests;
