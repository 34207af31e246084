//! From probabilities to utterances: where speech starts and where it is over.

use super::WINDOW_SAMPLES;

const WINDOW: u64 = WINDOW_SAMPLES as u64;

/// When speech starts and ends. Lengths are samples at 16 kHz.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EndpointerSettings {
    /// Probability at or above which a window starts or continues speech.
    pub threshold: f32,
    /// Probability below which a window of speech counts as silence; at most `threshold`.
    pub release: f32,
    /// Silence that ends an utterance (default 160 ms, that is 5 windows).
    pub silence: u64,
    /// Speech in a row that starts one (default 32 ms, one window): longer ignores clicks.
    pub min_speech: u64,
    /// Audio before the first window of speech that belongs to the utterance (default 250 ms).
    pub pre_roll: u64,
    /// Speech after which an utterance is cut even without silence (default 30 s).
    pub max_speech: u64,
}

impl Default for EndpointerSettings {
    fn default() -> Self {
        EndpointerSettings {
            threshold: 0.5,
            release: 0.5,
            silence: 2_560,
            min_speech: 512,
            pre_roll: 4_000,
            max_speech: 480_000,
        }
    }
}

/// A change between silence and speech. Positions are samples at 16 kHz on the caller's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpeechEdge {
    /// An utterance has started.
    Start {
        /// Its first sample, pre-roll included; never before the end of the previous utterance.
        at: u64,
        /// The first sample of the first window of speech.
        voiced_at: u64,
        /// One past the last sample seen when this was decided.
        decided_at: u64,
    },
    /// The utterance is over.
    End {
        /// One past the last sample of its last window of speech.
        voiced_until: u64,
        /// One past the last sample seen when this was decided; the utterance's audio ends here.
        decided_at: u64,
    },
}

/// The state machine for one speaker.
#[derive(Debug, Clone)]
pub struct Endpointer {
    settings: EndpointerSettings,
    state: State,
    /// The first sample that no earlier utterance holds; none before the first window.
    free_from: Option<u64>,
    /// One past the last window.
    next: u64,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Silence { candidate: Option<u64> },
    Speech { voiced_at: u64, voiced_until: u64 },
}

impl Endpointer {
    /// Starts in silence.
    pub fn new(settings: EndpointerSettings) -> Self {
        Endpointer {
            settings,
            state: State::Silence { candidate: None },
            free_from: None,
            next: 0,
        }
    }

    /// Whether an utterance is open.
    pub fn is_speaking(&self) -> bool {
        matches!(self.state, State::Speech { .. })
    }

    /// Takes the probability of the window that starts at sample `at`. Windows come in order; a hole
    /// between two counts as silence.
    pub fn push(&mut self, at: u64, probability: f32) -> Option<SpeechEdge> {
        let free_from = *self.free_from.get_or_insert(at);
        let hole = at > self.next;
        let end = at + WINDOW;
        self.next = end;
        match self.state {
            State::Silence { candidate } => {
                if probability < self.settings.threshold || probability.is_nan() {
                    self.state = State::Silence { candidate: None };
                    return None;
                }
                let voiced_at = candidate.filter(|_| !hole).unwrap_or(at);
                if end - voiced_at < self.settings.min_speech {
                    self.state = State::Silence {
                        candidate: Some(voiced_at),
                    };
                    return None;
                }
                self.state = State::Speech {
                    voiced_at,
                    voiced_until: end,
                };
                let start = voiced_at
                    .saturating_sub(self.settings.pre_roll)
                    .max(free_from);
                Some(SpeechEdge::Start {
                    at: start,
                    voiced_at,
                    decided_at: end,
                })
            }
            State::Speech {
                voiced_at,
                mut voiced_until,
            } => {
                let resumed = at - voiced_until.min(at) < self.settings.silence;
                if probability >= self.settings.release && resumed {
                    voiced_until = end;
                }
                let over = end - voiced_until >= self.settings.silence
                    || end - voiced_at >= self.settings.max_speech;
                if over {
                    self.state = State::Silence { candidate: None };
                    self.free_from = Some(end);
                    return Some(SpeechEdge::End {
                        voiced_until,
                        decided_at: end,
                    });
                }
                self.state = State::Speech {
                    voiced_at,
                    voiced_until,
                };
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(settings: EndpointerSettings, probabilities: &[f32]) -> Vec<SpeechEdge> {
        let mut endpointer = Endpointer::new(settings);
        let push = |(i, p): (usize, &f32)| endpointer.push(i as u64 * WINDOW, *p);
        probabilities.iter().enumerate().filter_map(push).collect()
    }

    #[test]
    fn five_windows_of_silence_end_an_utterance() {
        let mut windows = vec![0.1; 10];
        windows.extend([0.9; 10]);
        windows.extend([0.1; 10]);
        let expected = [
            SpeechEdge::Start {
                at: 5_120 - 4_000,
                voiced_at: 5_120,
                decided_at: 5_632,
            },
            SpeechEdge::End {
                voiced_until: 10_240,
                decided_at: 12_800,
            },
        ];
        assert_eq!(edges(EndpointerSettings::default(), &windows), expected);
    }

    #[test]
    fn a_short_pause_does_not() {
        let windows = [&[0.9; 5][..], &[0.1; 4], &[0.9; 5]].concat();
        assert_eq!(edges(EndpointerSettings::default(), &windows).len(), 1);
    }

    #[test]
    fn utterances_do_not_overlap() {
        let windows = [&[0.9; 5][..], &[0.1; 6], &[0.9; 5]].concat();
        let edges = edges(EndpointerSettings::default(), &windows);
        let SpeechEdge::End { decided_at, .. } = edges[1] else {
            panic!("{edges:?}")
        };
        let SpeechEdge::Start { at, .. } = edges[2] else {
            panic!("{edges:?}")
        };
        assert_eq!(at, decided_at);
    }

    #[test]
    fn a_click_is_ignored_when_asked() {
        let settings = EndpointerSettings {
            min_speech: 2 * WINDOW,
            ..Default::default()
        };
        assert_eq!(edges(settings, &[0.9, 0.1, 0.9, 0.1]), []);
        assert_eq!(edges(settings, &[0.1, 0.9, 0.9]).len(), 1);
    }

    #[test]
    fn endless_speech_is_cut_and_goes_on() {
        let settings = EndpointerSettings {
            max_speech: 10 * WINDOW,
            ..Default::default()
        };
        let edges = edges(settings, &[0.9; 25]);
        assert_eq!(edges.len(), 5, "{edges:?}");
        let SpeechEdge::Start { at, .. } = edges[2] else {
            panic!("{edges:?}")
        };
        assert_eq!(at, 10 * WINDOW, "nothing is lost between the two");
    }

    #[test]
    fn a_hole_is_silence() {
        let mut endpointer = Endpointer::new(EndpointerSettings::default());
        endpointer.push(0, 0.9);
        let edge = endpointer.push(16_000, 0.9);
        assert_eq!(
            edge,
            Some(SpeechEdge::End {
                voiced_until: 512,
                decided_at: 16_512
            })
        );
        assert!(matches!(
            endpointer.push(16_512, 0.9),
            Some(SpeechEdge::Start { .. })
        ));
    }

    #[test]
    fn a_probability_that_is_no_number_is_silence() {
        assert_eq!(edges(EndpointerSettings::default(), &[f32::NAN; 20]), []);
    }
}
