//! Which section plays which track.
//!
//! Whoever offers, the caller says what is to be played, and the engine finds a section for it. A
//! section that loses its track is inactive for one description before another track may have it,
//! because browsers fire `ontrack` only for sections that begin to receive (RFC 9429 §5.10 and the
//! WebRTC specification's "process the addition of a remote track").

use std::collections::HashSet;

use rand::Rng;

use super::negotiate::Play;
use super::peer::Listening;
use super::slot::Slot;
use super::track::Subscriber;
use super::{Engine, Subscription};
use crate::clock::Now;
use crate::ids::TrackId;
use crate::rtp::forward::Forwarder;
use crate::sdp::offer::{Section, SectionKind};
use crate::video::forward::{FirstNumbers, VideoForwarder};

/// What is to find sections in one description.
pub(super) struct Turn {
    /// Tracks that have none yet.
    wanted: HashSet<usize>,
    /// Sections that are inactive this time.
    resting: Vec<usize>,
}

impl Engine {
    /// Gives each wanted track a section in which the client receives. Gives what each mid plays, and
    /// how many sections of audio and video there are too few.
    pub(super) fn play_to(
        &mut self,
        now: &Now,
        key: usize,
        sections: &[Section],
        plays: &[Play],
    ) -> (Vec<(String, TrackId)>, (usize, usize)) {
        let mut turn = self.release(now, key, sections, plays);
        let missing = self.assign(key, sections, plays, &mut turn);
        (self.played(key, sections), missing)
    }

    /// Takes the tracks that are not wanted any more out of their sections.
    pub(super) fn release(
        &mut self,
        now: &Now,
        key: usize,
        sections: &[Section],
        plays: &[Play],
    ) -> Turn {
        let mut turn = Turn {
            wanted: plays
                .iter()
                .filter_map(|play| self.track_by_id.get(&play.track).copied())
                .collect(),
            resting: Vec::new(),
        };
        let listening = self.peers[key]
            .listening
            .get_or_insert_with(|| Box::new(Listening::new(now.mono, Subscription::Tracks)));
        let count = listening.slots.len();
        for slot in 0..count {
            let Some(listening) = self.peers[key].listening.as_deref() else {
                break;
            };
            let held = &listening.slots[slot];
            let kept = held.track.is_some_and(|track| {
                let section = sections.get(held.section);
                let goes_on = section.is_some_and(|section| {
                    section.direction.receives() && held.fits(&section.kind)
                });
                goes_on && turn.wanted.remove(&track)
            });
            if !kept && (held.track.is_some() || held.described) {
                turn.resting.push(held.section);
                self.detach(Subscriber { peer: key, slot });
            }
        }
        turn
    }

    /// Finds sections for the tracks that are wanted and have none. Gives how many of audio and video
    /// there are too few.
    pub(super) fn assign(
        &mut self,
        key: usize,
        sections: &[Section],
        plays: &[Play],
        turn: &mut Turn,
    ) -> (usize, usize) {
        let mut missing = (0, 0);
        // In the caller's order, so that what matters most gets a section first.
        for play in plays {
            let Some(&track) = self.track_by_id.get(&play.track) else {
                continue;
            };
            if !turn.wanted.contains(&track) {
                continue;
            }
            let audio = self.tracks[track].is_audio();
            let short = if audio {
                &mut missing.0
            } else {
                &mut missing.1
            };
            let slot = match *short {
                0 => self.free_slot(key, sections, audio, &turn.resting),
                _ => None,
            };
            let Some(slot) = slot else {
                *short += 1;
                continue;
            };
            turn.wanted.remove(&track);
            if let Some(listening) = self.peers[key].listening.as_deref_mut() {
                listening.slots[slot].msid = play.msid.clone();
            }
            self.attach(Subscriber { peer: key, slot }, track);
        }
        missing
    }

    /// Which track each mid plays, as is described now.
    pub(super) fn played(&mut self, key: usize, sections: &[Section]) -> Vec<(String, TrackId)> {
        let mut played = Vec::new();
        let listening = self.peers[key].listening.iter_mut();
        for slot in listening.flat_map(|listening| &mut listening.slots) {
            slot.described = slot.track.is_some();
            let mid = sections.get(slot.section).and_then(|it| it.mid.clone());
            if let (Some(track), Some(mid)) = (slot.track, mid) {
                played.push((mid, self.tracks[track].id));
            }
        }
        played
    }

    /// A new slot, in a section of the kind that the client receives in, that has no track and does not
    /// have to rest.
    fn free_slot(
        &mut self,
        key: usize,
        sections: &[Section],
        audio: bool,
        resting: &[usize],
    ) -> Option<usize> {
        for (at, section) in sections.iter().enumerate() {
            let fits = match section.kind {
                SectionKind::Audio(_) => audio,
                SectionKind::Video(_) => !audio,
                _ => false,
            };
            if !fits || !section.direction.receives() || resting.contains(&at) {
                continue;
            }
            let slots = &self.peers[key].listening.as_deref()?.slots;
            let found = slots.iter().position(|slot| slot.section == at);
            if found.is_some_and(|slot| slots[slot].track.is_some()) {
                continue;
            }
            // A section that is used again gets sources of its own. Browsers give a receiver that
            // begins anew with the SSRC that it had no frames: libwebrtc's `VideoRtpReceiver` takes it
            // for the stream that was removed when the section became inactive.
            let slot = self.new_slot(at, section)?;
            let listening = self.peers[key].listening.as_deref_mut()?;
            return Some(match found {
                Some(found) => {
                    listening.lost_before += listening.slots[found].lost;
                    listening.slots[found] = slot;
                    found
                }
                None => {
                    listening.slots.push(slot);
                    listening.slots.len() - 1
                }
            });
        }
        None
    }

    /// A slot for a section in which a client receives.
    fn new_slot(&mut self, at: usize, section: &Section) -> Option<Slot> {
        match &section.kind {
            SectionKind::Audio(opus) => {
                let mut forwarder = Forwarder::new(
                    self.random.random(),
                    opus.payload_type,
                    section.extensions,
                    self.random.random(),
                    self.random.random(),
                );
                forwarder.set_red(opus.red);
                Some(Slot::audio(at, forwarder, opus.nack))
            }
            SectionKind::Video(formats) => {
                let rtx = formats.iter().any(|format| format.rtx.is_some());
                let forwarder = VideoForwarder::new(
                    self.random.random(),
                    rtx.then(|| self.random.random()),
                    section.extensions,
                    FirstNumbers {
                        seq: self.random.random(),
                        timestamp: self.random.random(),
                        rtx_seq: self.random.random(),
                    },
                );
                Some(Slot::video(at, forwarder, formats))
            }
            _ => None,
        }
    }
}
