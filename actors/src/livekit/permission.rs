//! Who may subscribe to a client's tracks, by its own word.

use std::collections::{HashMap, HashSet};

use super::member::Member;
use super::proto;

/// Participants that a client may name.
const MAX_PARTICIPANTS: usize = 2048;

/// Tracks that it may name for them, all together.
const MAX_TRACKS: usize = 16_384;

/// A [`proto::SubscriptionPermission`] that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a subscription permission names {MAX_PARTICIPANTS} participants and {MAX_TRACKS} tracks at most"
)]
pub(crate) struct TooManyPermissions;

/// A [`proto::SubscriptionPermission`], made for looking things up: it is asked for each subscriber and
/// track.
#[derive(Debug, Default)]
pub(crate) struct Allowed {
    everybody: bool,
    by_sid: HashMap<String, Tracks>,
    by_identity: HashMap<String, Tracks>,
}

/// What one participant may have.
#[derive(Debug, Default)]
struct Tracks {
    all: bool,
    sids: HashSet<String>,
}

impl Tracks {
    fn contains(&self, track: &str) -> bool {
        self.all || self.sids.contains(track)
    }
}

impl Allowed {
    pub(crate) fn new(
        permission: proto::SubscriptionPermission,
    ) -> Result<Allowed, TooManyPermissions> {
        let each = permission.track_permissions;
        let tracks: usize = each.iter().map(|it| it.track_sids.len()).sum();
        if each.len() > MAX_PARTICIPANTS || tracks > MAX_TRACKS {
            return Err(TooManyPermissions);
        }
        let mut allowed = Allowed {
            everybody: permission.all_participants,
            ..Allowed::default()
        };
        for it in each {
            // A client names a participant by either, as its SDK has it, and seldom by both.
            for (map, name) in [
                (&mut allowed.by_sid, it.participant_sid),
                (&mut allowed.by_identity, it.participant_identity),
            ] {
                if !name.is_empty() {
                    let tracks = map.entry(name).or_default();
                    tracks.all |= it.all_tracks;
                    tracks.sids.extend(it.track_sids.iter().cloned());
                }
            }
        }
        Ok(allowed)
    }

    fn contains(&self, sid: &str, identity: &str, track: &str) -> bool {
        let has = |tracks: Option<&Tracks>| tracks.is_some_and(|it| it.contains(track));
        self.everybody || has(self.by_sid.get(sid)) || has(self.by_identity.get(identity))
    }
}

impl Member {
    /// Whether the member lets another have one of its tracks.
    pub(super) fn allows(&self, other: &Member, track: &str) -> bool {
        let state = self.state.lock();
        let allows = state.allows.as_ref();
        allows.is_none_or(|allowed| allowed.contains(&other.sid, &other.identity, track))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permission(each: Vec<proto::TrackPermission>) -> proto::SubscriptionPermission {
        proto::SubscriptionPermission {
            all_participants: false,
            track_permissions: each,
        }
    }

    fn of(sid: &str, identity: &str, tracks: &[&str], all_tracks: bool) -> proto::TrackPermission {
        proto::TrackPermission {
            participant_sid: sid.to_owned(),
            participant_identity: identity.to_owned(),
            track_sids: tracks.iter().map(|&it| it.to_owned()).collect(),
            all_tracks,
        }
    }

    #[test]
    fn participants_are_named_by_sid_or_identity() {
        let allowed = Allowed::new(permission(vec![
            of("PA_1", "", &["TR_1"], false),
            of("", "bob", &["TR_2"], false),
            of("", "bob", &["TR_3"], false),
            of("", "eve", &[], true),
        ]))
        .unwrap();
        for (sid, identity, track, expected) in [
            ("PA_1", "ann", "TR_1", true),
            ("PA_1", "ann", "TR_2", false),
            ("PA_2", "bob", "TR_2", true),
            ("PA_2", "bob", "TR_3", true),
            ("PA_2", "bob", "TR_1", false),
            ("PA_3", "eve", "TR_9", true),
            ("PA_4", "", "TR_1", false),
        ] {
            assert_eq!(
                allowed.contains(sid, identity, track),
                expected,
                "{sid} {track}"
            );
        }
        let everybody = proto::SubscriptionPermission {
            all_participants: true,
            track_permissions: Vec::new(),
        };
        assert!(
            Allowed::new(everybody)
                .unwrap()
                .contains("PA_4", "zoe", "TR_1")
        );
    }

    #[test]
    fn long_lists_are_refused_whole() {
        let many = vec![of("", "bob", &[], true); MAX_PARTICIPANTS + 1];
        assert!(Allowed::new(permission(many)).is_err());
        let tracks = vec!["TR_1"; MAX_TRACKS / 2 + 1];
        let wide = vec![of("", "bob", &tracks, false); 2];
        assert!(Allowed::new(permission(wide)).is_err());
    }
}
