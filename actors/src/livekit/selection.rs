//! Which tracks a client receives when it wants more than it may have.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Instant;

use super::subscribe::Wanted;

/// Tracks that one client receives at most; a description holds
/// [128 sections](hive_media::sdp::offer::MAX_SECTIONS), of which some are its own.
pub(super) const MAX_SUBSCRIPTIONS: usize = 100;

/// Why a client receives a track, the better reason first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    /// The client asked for it.
    Asked,
    /// It carries somebody's voice or sound, who was heard last at this time, if at all.
    Heard(Reverse<Option<Instant>>),
    /// It is the interpreter's.
    Voice,
    /// It is a picture.
    Picture,
}

/// The tracks that a client receives, oldest first, and those that it asked for and does not receive.
pub(super) fn select(mut wanted: Vec<(Reason, Wanted)>) -> (Vec<Wanted>, Vec<Arc<str>>) {
    wanted.sort_by_key(|(reason, it)| (*reason, it.track));
    let beyond = wanted.split_off(wanted.len().min(MAX_SUBSCRIPTIONS));
    let asked = beyond.iter().filter(|(why, _)| *why == Reason::Asked);
    let left_out = asked.map(|(_, it)| it.sid.clone()).collect();
    let mut selected: Vec<Wanted> = wanted.into_iter().map(|(_, it)| it).collect();
    selected.sort_by_key(|it| it.track);
    (selected, left_out)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hive_media::{MediaKind, TrackId};

    use super::*;

    fn track(number: u64) -> Wanted {
        Wanted {
            track: TrackId(number),
            kind: MediaKind::Audio,
            sid: format!("TR_{number}").into(),
            participant: "PA_ann".into(),
        }
    }

    fn numbers(selected: &[Wanted]) -> Vec<u64> {
        selected.iter().map(|it| it.track.0).collect()
    }

    #[test]
    fn who_spoke_last_comes_before_voices_and_pictures_and_after_what_was_asked_for() {
        let now = Instant::now();
        let heard = |seconds| Reason::Heard(Reverse(Some(now + Duration::from_secs(seconds))));
        let mut reasons = vec![
            Reason::Picture,
            Reason::Voice,
            Reason::Heard(Reverse(None)),
            heard(1),
            heard(2),
            Reason::Asked,
        ];
        reasons.sort();
        let expected = [
            Reason::Asked,
            heard(2),
            heard(1),
            Reason::Heard(Reverse(None)),
            Reason::Voice,
            Reason::Picture,
        ];
        assert_eq!(reasons, expected);
    }

    #[test]
    fn who_begins_to_speak_takes_the_place_of_one_who_never_did() {
        let most = MAX_SUBSCRIPTIONS as u64;
        let silent = (0..=most).map(|number| (Reason::Heard(Reverse(None)), track(number)));
        let mut wanted: Vec<_> = silent.collect();
        let (selected, _) = select(wanted.clone());
        assert_eq!(numbers(&selected), (0..most).collect::<Vec<_>>());
        wanted[most as usize].0 = Reason::Heard(Reverse(Some(Instant::now())));
        let (selected, left_out) = select(wanted);
        let expected: Vec<u64> = (0..most - 1).chain([most]).collect();
        assert_eq!(numbers(&selected), expected);
        assert!(left_out.is_empty(), "nobody asked");
    }

    #[test]
    fn what_was_asked_for_in_vain_is_told() {
        let most = MAX_SUBSCRIPTIONS as u64;
        let asked = (0..=most).map(|number| (Reason::Asked, track(number)));
        let (selected, left_out) = select(asked.collect());
        assert_eq!(selected.len(), MAX_SUBSCRIPTIONS);
        assert_eq!(left_out, [Arc::<str>::from(format!("TR_{most}"))]);
    }
}
