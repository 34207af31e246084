//! What a client chose for single tracks, which is bounded however much it chooses.

use std::collections::{HashMap, HashSet};

use super::proto;

/// Tracks for which choices of a kind are remembered, and that one message may name.
pub(crate) const MAX_REMEMBERED: usize = 2048;

/// The longest sid for which anything is remembered, in bytes; the server's own have 15.
const MAX_SID: usize = 64;

/// A message names more than [`MAX_REMEMBERED`] tracks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message names {MAX_REMEMBERED} tracks at most; send several")]
pub(crate) struct TooManyTracks;

/// Choices by the sids of tracks.
#[derive(Debug)]
pub(crate) struct Remembered<V>(HashMap<String, V>);

/// How a client wants to receive a track: what counts of [`proto::UpdateTrackSettings`], which lists all
/// the tracks that it is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TrackSettings {
    pub(crate) disabled: bool,
    pub(crate) quality: i32,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) fps: u32,
    pub(crate) priority: u32,
}

impl From<&proto::UpdateTrackSettings> for TrackSettings {
    fn from(settings: &proto::UpdateTrackSettings) -> Self {
        TrackSettings {
            disabled: settings.disabled,
            quality: settings.quality,
            width: settings.width,
            height: settings.height,
            fps: settings.fps,
            priority: settings.priority,
        }
    }
}

impl<V> Default for Remembered<V> {
    fn default() -> Self {
        Remembered(HashMap::new())
    }
}

impl<V: Default> Remembered<V> {
    pub(crate) fn get(&self, sid: &str) -> Option<&V> {
        self.0.get(sid)
    }

    /// Changes what is remembered for tracks. If there is no room for them all, tracks that are gone are
    /// forgotten first; what still does not fit is not remembered.
    pub(crate) fn change<'a>(
        &mut self,
        sids: &[&str],
        there: impl FnOnce() -> HashSet<&'a str>,
        change: impl Fn(&mut V),
    ) {
        if self.0.len() + sids.len() > MAX_REMEMBERED {
            let there = there();
            self.0.retain(|sid, _| there.contains(sid.as_str()));
        }
        for sid in sids.iter().filter(|sid| sid.len() <= MAX_SID) {
            if let Some(known) = self.0.get_mut(*sid) {
                change(known);
            } else if self.0.len() < MAX_REMEMBERED {
                let mut new = V::default();
                change(&mut new);
                self.0.insert((*sid).to_owned(), new);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sids(from: usize, count: usize) -> Vec<String> {
        (from..from + count).map(|at| format!("TR_{at}")).collect()
    }

    fn refs(sids: &[String]) -> Vec<&str> {
        sids.iter().map(String::as_str).collect()
    }

    #[test]
    fn however_much_is_named_the_memory_is_bounded() {
        let mut remembered = Remembered::<bool>::default();
        let there = sids(0, 10);
        for round in 0..20 {
            let named = sids(round * 1000, 1000);
            remembered.change(
                &refs(&named),
                || refs(&there).into_iter().collect(),
                |it| {
                    *it = true;
                },
            );
            assert!(remembered.0.len() <= MAX_REMEMBERED, "{round}");
        }
        // What exists is kept, and what was named last.
        assert_eq!(remembered.get("TR_9"), Some(&true));
        assert_eq!(remembered.get("TR_19999"), Some(&true));
        assert_eq!(remembered.get("TR_10"), None);
    }

    #[test]
    fn when_all_is_still_there_nothing_more_is_remembered() {
        let mut remembered = Remembered::<bool>::default();
        let all = sids(0, MAX_REMEMBERED + 100);
        for part in all.chunks(512) {
            let there: HashSet<&str> = refs(&all).into_iter().collect();
            remembered.change(&refs(part), || there, |it| *it = true);
        }
        assert_eq!(remembered.0.len(), MAX_REMEMBERED);
        let there: HashSet<&str> = refs(&all).into_iter().collect();
        remembered.change(&["TR_1"], || there, |it| *it = false);
        assert_eq!(remembered.get("TR_1"), Some(&false));
    }

    #[test]
    fn a_sid_that_is_too_long_is_not_kept() {
        let mut remembered = Remembered::<bool>::default();
        let long = "x".repeat(MAX_SID + 1);
        remembered.change(&[long.as_str()], HashSet::new, |it| *it = true);
        assert_eq!(remembered.get(&long), None);
    }
}
