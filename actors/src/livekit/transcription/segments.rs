//! The segments that clients are shown, and when they are told of them. Time is an argument.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::audience::Source;
use crate::events::schema::{Caption, CaptionKind};

/// Changes of a segment that is not over are told this far apart at least.
const INTERVAL: Duration = Duration::from_millis(250);

/// A segment of which nothing is heard for so long is over: what would end it does not come any more.
const OVER_AFTER: Duration = Duration::from_secs(20);

/// All segments that are not over. Whatever becomes of a segment that was told, its last text is told
/// as final: clients show what is not final as being said.
#[derive(Default)]
pub(super) struct Segments(HashMap<String, Segment>);

/// An utterance, or a clause of its translation.
struct Segment {
    /// Words that do not change any more.
    committed: Vec<String>,
    /// All words there are.
    words: Vec<String>,
    /// The text that was told last, and when.
    told: Option<(String, Instant)>,
    /// When the present text is to be told, unless it was.
    due: Option<Instant>,
    heard: Instant,
    /// The last caption of it, for what it says of the segment.
    caption: Caption,
    source: Option<Source>,
}

/// A segment's text, which clients are to be told.
#[derive(Clone, Debug)]
pub(super) struct Telling {
    pub(super) segment: String,
    pub(super) text: String,
    pub(super) over: bool,
    pub(super) caption: Caption,
    pub(super) source: Option<Source>,
}

impl Segments {
    /// Takes a caption, and gives what is to be told at once.
    pub(super) fn take(
        &mut self,
        caption: &Caption,
        source: Option<Source>,
        now: Instant,
    ) -> Vec<Telling> {
        let id = segment_id(caption);
        let mut tellings = self.end_where(|_, segment| precedes(&segment.caption, caption));
        let words = || caption.words.iter().map(|word| word.text.clone());
        if caption.kind == CaptionKind::Final {
            let text = match &caption.text {
                Some(text) => text.clone(),
                None => words().collect::<Vec<_>>().join(" "),
            };
            let told = self.0.remove(&id);
            // One that came to nothing ends with what was shown of it.
            let shown = told
                .as_ref()
                .and_then(|it| Some(it.told.as_ref()?.0.clone()));
            let text = Some(text).filter(|text| !text.is_empty()).or(shown);
            tellings.extend(text.map(|text| Telling {
                segment: id,
                text,
                over: true,
                caption: caption.clone(),
                source: source.or_else(|| told.and_then(|it| it.source)),
            }));
            return tellings;
        }
        let segment = self.0.entry(id.clone()).or_insert_with(|| Segment {
            committed: Vec::new(),
            words: Vec::new(),
            told: None,
            due: None,
            heard: now,
            caption: caption.clone(),
            source: None,
        });
        segment.heard = now;
        segment.caption = caption.clone();
        if source.is_some() {
            segment.source = source;
        }
        if caption.from > segment.committed.len() {
            // Its beginning was missed: it is told once it is over.
            return tellings;
        }
        segment.committed.truncate(caption.from);
        let before = std::mem::take(&mut segment.words);
        segment.words = segment.committed.clone();
        segment.words.extend(words());
        if caption.kind == CaptionKind::Committed {
            segment.committed.clone_from(&segment.words);
            // What is not certain yet follows in a caption of its own if it changed, and without it
            // words would vanish for a moment.
            let tail = before.into_iter().skip(segment.words.len());
            segment.words.extend(tail);
            segment.change(now + INTERVAL);
        } else {
            segment.change(now);
        }
        tellings.extend(segment.due(&id, now));
        tellings
    }

    /// What is to be told by now, though nothing new was heard.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Telling> {
        let mut tellings =
            self.end_where(|_, segment| now.saturating_duration_since(segment.heard) >= OVER_AFTER);
        let due = self.0.iter_mut().filter_map(|(id, it)| it.due(id, now));
        tellings.extend(due);
        tellings
    }

    /// When [`Segments::due`] has something to give.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let next = |segment: &Segment| {
            let over = segment.heard + OVER_AFTER;
            segment.due.map_or(over, |due| due.min(over))
        };
        self.0.values().map(next).min()
    }

    /// Ends the segments of speakers who are gone.
    pub(super) fn end_of_absent(&mut self, is_here: impl Fn(&str) -> bool) -> Vec<Telling> {
        self.end_where(|_, segment| !is_here(&segment.caption.speaker))
    }

    /// Ends all segments: what became of them was missed.
    pub(super) fn end_all(&mut self) -> Vec<Telling> {
        self.end_where(|_, _| true)
    }

    fn end_where(&mut self, mut ends: impl FnMut(&str, &Segment) -> bool) -> Vec<Telling> {
        let ended = self.0.extract_if(|id, segment| ends(id, segment));
        ended
            .filter_map(|(id, segment)| {
                let (told, _) = segment.told?;
                Some(Telling {
                    segment: id,
                    text: Some(segment.words.join(" "))
                        .filter(|text| !text.is_empty())
                        .unwrap_or(told),
                    over: true,
                    caption: segment.caption,
                    source: segment.source,
                })
            })
            .collect()
    }
}

impl Segment {
    /// Notes that the words changed, which is told at `at`, but not too soon after what was told last.
    fn change(&mut self, at: Instant) {
        let told = self.told.as_ref();
        if told.is_some_and(|(text, _)| *text == self.words.join(" ")) || self.words.is_empty() {
            self.due = None;
            return;
        }
        let soonest = told.map_or(at, |(_, when)| at.max(*when + INTERVAL));
        self.due = Some(self.due.map_or(soonest, |due| due.min(soonest)));
    }

    fn due(&mut self, id: &str, now: Instant) -> Option<Telling> {
        self.due.filter(|due| *due <= now)?;
        self.due = None;
        let text = self.words.join(" ");
        self.told = Some((text.clone(), now));
        Some(Telling {
            segment: id.to_owned(),
            text,
            over: false,
            caption: self.caption.clone(),
            source: self.source.clone(),
        })
    }
}

fn segment_id(caption: &Caption) -> String {
    match &caption.clause {
        Some(clause) => format!("{clause}:{}", caption.lang),
        None => caption.utterance.to_string(),
    }
}

/// Whether a segment comes before another one of the same speaker in the same language, and so is
/// over once that one has begun.
fn precedes(segment: &Caption, other: &Caption) -> bool {
    let same = segment.speaker == other.speaker
        && segment.translated == other.translated
        && segment.lang == other.lang;
    same && place(segment) < place(other)
}

/// The numbers of the utterance and of the clause: `<speaker>-<utterance>.<clause>`.
fn place(caption: &Caption) -> (u64, u64) {
    let after = |text: &str, mark: char| {
        let number = text.rsplit(mark).next()?;
        number.parse::<u64>().ok()
    };
    let clause = caption.clause.as_ref().and_then(|it| after(it, '.'));
    let utterance = after(&caption.utterance, '-');
    (utterance.unwrap_or(0), clause.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::schema::CaptionWord;

    fn caption(kind: CaptionKind, utterance: &str, from: usize, words: &[&str]) -> Caption {
        let words = words.iter().enumerate().map(|(at, text)| CaptionWord {
            i: from + at,
            text: (*text).to_owned(),
            start_ms: None,
            end_ms: None,
        });
        Caption {
            kind,
            speaker: "ann".into(),
            utterance: utterance.into(),
            lang: "en".into(),
            translated: false,
            clause: None,
            from,
            words: words.collect(),
            text: None,
            source_from: None,
            source_to: None,
            audio_start_ms: None,
            audio_end_ms: None,
            compute_ms: 0.0,
        }
    }

    /// Segments and a clock.
    struct Fixture {
        segments: Segments,
        start: Instant,
    }

    impl Fixture {
        fn new() -> Self {
            Fixture {
                segments: Segments::default(),
                start: Instant::now(),
            }
        }

        fn take(&mut self, at: u64, caption: &Caption) -> Vec<(String, bool)> {
            let now = self.start + Duration::from_millis(at);
            texts(self.segments.take(caption, None, now))
        }

        fn due(&mut self, at: u64) -> Vec<(String, bool)> {
            texts(self.segments.due(self.start + Duration::from_millis(at)))
        }

        fn next_due(&self) -> Option<u128> {
            let next = self.segments.next_due()?;
            Some(next.duration_since(self.start).as_millis())
        }
    }

    fn texts(tellings: Vec<Telling>) -> Vec<(String, bool)> {
        tellings.into_iter().map(|it| (it.text, it.over)).collect()
    }

    fn told(text: &str, over: bool) -> Vec<(String, bool)> {
        vec![(text.to_owned(), over)]
    }

    #[test]
    fn every_change_is_the_whole_text_and_the_last_is_final() {
        let mut it = Fixture::new();
        let mut all = Vec::new();
        for (at, caption) in [
            (0, caption(CaptionKind::Partial, "ann-1", 0, &["good"])),
            (
                300,
                caption(CaptionKind::Committed, "ann-1", 0, &["good", "morning"]),
            ),
            (350, caption(CaptionKind::Partial, "ann-1", 2, &["every"])),
            (
                700,
                caption(CaptionKind::Partial, "ann-1", 2, &["everybody"]),
            ),
            (
                710,
                caption(
                    CaptionKind::Final,
                    "ann-1",
                    0,
                    &["good", "morning", "everybody"],
                ),
            ),
        ] {
            all.extend(it.take(at, &caption));
        }
        let expected = [
            ("good", false),
            ("good morning every", false),
            ("good morning everybody", false),
            ("good morning everybody", true),
        ];
        assert_eq!(all, expected.map(|(text, over)| (text.to_owned(), over)));
        assert_eq!(it.next_due(), None);
    }

    #[test]
    fn a_change_that_comes_too_soon_is_told_a_little_later_though_nothing_follows_it() {
        let mut it = Fixture::new();
        let first = it.take(0, &caption(CaptionKind::Partial, "ann-1", 0, &["good"]));
        assert_eq!(first, told("good", false));
        let soon = it.take(
            100,
            &caption(CaptionKind::Partial, "ann-1", 0, &["good", "day"]),
        );
        assert!(soon.is_empty(), "{soon:?}");
        assert_eq!(it.next_due(), Some(250));
        assert!(it.due(249).is_empty());
        assert_eq!(it.due(250), told("good day", false));
        assert!(it.due(500).is_empty(), "once");
    }

    #[test]
    fn words_that_are_certain_at_once_are_told_without_a_partial_caption() {
        let mut it = Fixture::new();
        let certain = caption(CaptionKind::Committed, "ann-1", 0, &["good"]);
        assert!(it.take(0, &certain).is_empty());
        assert_eq!(it.due(250), told("good", false));
    }

    #[test]
    fn a_segment_whose_beginning_was_missed_waits_for_its_end() {
        let mut it = Fixture::new();
        let tail = caption(CaptionKind::Committed, "ann-1", 2, &["everybody"]);
        assert!(it.take(0, &tail).is_empty());
        let whole = caption(
            CaptionKind::Final,
            "ann-1",
            0,
            &["good", "morning", "everybody"],
        );
        assert_eq!(it.take(1, &whole), told("good morning everybody", true));
    }

    #[test]
    fn a_segment_that_comes_to_nothing_ends_with_what_was_shown() {
        let mut it = Fixture::new();
        let empty = caption(CaptionKind::Final, "ann-1", 0, &[]);
        assert!(it.take(0, &empty).is_empty(), "nothing was shown of it");
        it.take(10, &caption(CaptionKind::Partial, "ann-2", 0, &["hm"]));
        let empty = caption(CaptionKind::Final, "ann-2", 0, &[]);
        assert_eq!(it.take(20, &empty), told("hm", true));
    }

    #[test]
    fn a_segment_ends_when_a_later_one_of_the_speaker_begins() {
        let mut it = Fixture::new();
        it.take(0, &caption(CaptionKind::Partial, "ann-9", 0, &["good"]));
        let mut other = caption(CaptionKind::Partial, "bob-10", 0, &["yes"]);
        other.speaker = "bob".into();
        assert_eq!(it.take(10, &other), told("yes", false));
        let later = it.take(20, &caption(CaptionKind::Partial, "ann-10", 0, &["and"]));
        assert_eq!(later, [told("good", true), told("and", false)].concat());
    }

    #[test]
    fn a_segment_that_is_not_heard_of_any_more_ends() {
        let mut it = Fixture::new();
        it.take(0, &caption(CaptionKind::Partial, "ann-1", 0, &["good"]));
        let over = OVER_AFTER.as_millis() as u64;
        assert_eq!(it.next_due(), Some(u128::from(over)));
        assert!(it.due(over - 1).is_empty());
        assert_eq!(it.due(over), told("good", true));
        assert_eq!(it.next_due(), None);
    }

    #[test]
    fn all_that_was_told_ends_when_captions_were_missed_or_the_speaker_is_gone() {
        for speaker_gone in [false, true] {
            let mut it = Fixture::new();
            it.take(0, &caption(CaptionKind::Partial, "ann-1", 0, &["good"]));
            let ended = match speaker_gone {
                true => it.segments.end_of_absent(|speaker| speaker != "ann"),
                false => it.segments.end_all(),
            };
            assert_eq!(texts(ended), told("good", true));
            assert!(it.segments.end_all().is_empty());
        }
    }
}
