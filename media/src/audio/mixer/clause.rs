//! What one speaker's interpreter says: clauses in order, cancellable.

use std::collections::VecDeque;

use super::declick::Declick;
use super::{ClauseEvent, ClauseId, clean};
use crate::audio::FRAME;

/// Most clauses of one speaker that may wait; the sound itself is bounded by the mixer.
const MAX_CLAUSES: usize = 256;

#[derive(Debug)]
struct Clause {
    id: ClauseId,
    pcm: VecDeque<f32>,
    complete: bool,
    heard: bool,
}

/// A speaker's queue of clauses, and what still fades after a cancellation.
#[derive(Debug)]
pub(super) struct Voice {
    clauses: VecDeque<Clause>,
    backlog: usize,
    declick: Declick,
    /// Whether the last sample came from a clause.
    flowing: bool,
    /// The next frame of what was cancelled, faded already.
    fading: VecDeque<f32>,
    /// Clauses cancelled since the last frame, and whether they had been heard.
    cancelled: Vec<(ClauseId, bool)>,
}

impl Voice {
    pub(super) fn new() -> Voice {
        Voice {
            clauses: VecDeque::new(),
            backlog: 0,
            declick: Declick::default(),
            flowing: false,
            fading: VecDeque::new(),
            cancelled: Vec::new(),
        }
    }

    pub(super) fn begin(&mut self, id: ClauseId) {
        if self.clauses.iter().any(|clause| clause.id == id) {
            return;
        }
        if self.clauses.len() >= MAX_CLAUSES {
            // Only a caller that never ends its clauses gets here: the newest waiting one yields.
            if let Some(dropped) = self.clauses.pop_back() {
                self.backlog -= dropped.pcm.len();
                self.cancelled.push((dropped.id, dropped.heard));
            }
        }
        self.clauses.push_back(Clause {
            id,
            pcm: VecDeque::new(),
            complete: false,
            heard: false,
        });
    }

    /// Whether the clause is open.
    pub(super) fn push(&mut self, id: ClauseId, pcm: &[f32]) -> bool {
        let Some(clause) = self.open(id) else {
            return false;
        };
        clause.pcm.extend(pcm.iter().map(|&sample| clean(sample)));
        self.backlog += pcm.len();
        true
    }

    /// Whether the clause was open.
    pub(super) fn end(&mut self, id: ClauseId) -> bool {
        self.open(id).map(|clause| clause.complete = true).is_some()
    }

    fn open(&mut self, id: ClauseId) -> Option<&mut Clause> {
        self.clauses
            .iter_mut()
            .find(|clause| clause.id == id && !clause.complete)
    }

    /// Cancels one clause, or all.
    pub(super) fn cancel(&mut self, only: Option<ClauseId>) {
        let mut kept = VecDeque::new();
        for mut clause in std::mem::take(&mut self.clauses) {
            if only.is_some_and(|id| id != clause.id) {
                kept.push_back(clause);
                continue;
            }
            self.backlog -= clause.pcm.len();
            self.cancelled.push((clause.id, clause.heard));
            if clause.heard && self.fading.is_empty() {
                self.fade(&mut clause.pcm);
            }
        }
        self.clauses = kept;
    }

    /// Takes one frame of `pcm`, through the join it belongs to, and fades it to silence.
    fn fade(&mut self, pcm: &mut VecDeque<f32>) {
        for n in 0..FRAME {
            if pcm.is_empty() && self.flowing {
                self.flowing = false;
                self.declick.join();
            }
            let sample = self.declick.next(pcm.pop_front().unwrap_or(0.0));
            // The very last sample is silence, so that nothing follows it with a step.
            let gain = (FRAME - 1 - n) as f32 / (FRAME - 1) as f32;
            self.fading.push_back(sample * gain);
        }
        self.declick = Declick::default();
        self.flowing = false;
    }

    /// Samples waiting to be heard.
    pub(super) fn backlog(&self) -> usize {
        self.backlog
    }

    /// What was last heard of this voice.
    pub(super) fn last(&self) -> f32 {
        let fading = self.fading.front().copied().unwrap_or(0.0);
        fading + self.declick.last()
    }

    /// Adds the next frame to `out`; says whether the interpreter was heard in it, fades apart.
    pub(super) fn mix(
        &mut self,
        out: &mut [f32; FRAME],
        mark: &mut dyn FnMut(ClauseId, ClauseEvent),
    ) -> bool {
        for sum in out.iter_mut() {
            match self.fading.pop_front() {
                Some(sample) => *sum += sample,
                None => break,
            }
        }
        for (clause, heard) in self.cancelled.drain(..) {
            mark(clause, ClauseEvent::Cancelled { heard });
        }
        let mut spoken = false;
        for (offset, sum) in out.iter_mut().enumerate() {
            self.retire_empty(mark);
            match self.clauses.front_mut() {
                Some(clause) if !clause.pcm.is_empty() => {
                    let sample = clause.pcm.pop_front().unwrap_or(0.0);
                    self.backlog -= 1;
                    spoken = true;
                    if !clause.heard {
                        clause.heard = true;
                        self.declick.join();
                        mark(clause.id, ClauseEvent::First { offset });
                    } else if !self.flowing {
                        self.declick.join();
                    }
                    self.flowing = true;
                    *sum += self.declick.next(sample);
                    if clause.pcm.is_empty() && clause.complete {
                        mark(clause.id, ClauseEvent::Last { offset });
                        self.clauses.pop_front();
                    }
                }
                // Nothing to say, or the engine is behind: silence, softly.
                _ => {
                    if std::mem::take(&mut self.flowing) {
                        self.declick.join();
                    } else if self.declick.settled() {
                        break;
                    }
                    *sum += self.declick.next(0.0);
                }
            }
        }
        spoken
    }

    /// Removes complete clauses that have nothing (left) to say from the front.
    fn retire_empty(&mut self, mark: &mut dyn FnMut(ClauseId, ClauseEvent)) {
        while let Some(clause) = self.clauses.front()
            && clause.complete
            && clause.pcm.is_empty()
        {
            let event = if clause.heard {
                // Ended after its last sample had been played.
                ClauseEvent::Last { offset: 0 }
            } else {
                ClauseEvent::Empty
            };
            mark(clause.id, event);
            self.clauses.pop_front();
        }
    }
}
