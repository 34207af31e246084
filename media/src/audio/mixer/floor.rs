//! One speaker's floor: a small ring between a decoder that delivers in bursts and a steady mix.

use std::collections::VecDeque;

use super::clean;
use super::declick::Declick;
use crate::audio::FRAME;

/// Depth to gather before playing: at first, at least, at most (48 kHz samples).
const FIRST_DEPTH: usize = 2 * FRAME;
const MIN_DEPTH: usize = FRAME;
const MAX_DEPTH: usize = 10 * FRAME;

/// What is over this is dropped at once, from the oldest end: 400 ms.
const CAPACITY: usize = 20 * FRAME;

/// Frames without need after which the depth is reduced: 5 s.
const CALM: u32 = 250;

/// A ring that ran dry and is filled again within this many frames (300 ms) was too shallow; later
/// than that the speaker had stopped.
const HICCUP: u32 = 15;

/// A ring of PCM whose depth follows the burstiness of what fills it.
#[derive(Debug)]
pub(super) struct Floor {
    ring: VecDeque<f32>,
    depth: usize,
    playing: bool,
    /// Frames since it ran dry.
    dry: u32,
    /// Least that was left after a frame, and over how many frames.
    least: usize,
    calm: u32,
    declick: Declick,
}

impl Floor {
    pub(super) fn new() -> Floor {
        Floor {
            ring: VecDeque::new(),
            depth: FIRST_DEPTH,
            playing: false,
            dry: HICCUP,
            least: usize::MAX,
            calm: 0,
            declick: Declick::default(),
        }
    }

    pub(super) fn push(&mut self, pcm: &[f32]) {
        if self.ring.is_empty() && !self.playing && self.dry < HICCUP && !pcm.is_empty() {
            self.depth = (self.depth + FRAME).min(MAX_DEPTH);
            self.dry = HICCUP;
        }
        self.ring.extend(pcm.iter().map(|&sample| clean(sample)));
        let excess = self.ring.len().saturating_sub(CAPACITY);
        if excess > 0 {
            self.drop_oldest(excess + FRAME);
        }
    }

    /// Samples waiting.
    pub(super) fn depth(&self) -> usize {
        self.ring.len()
    }

    /// What was last heard of this floor.
    pub(super) fn last(&self) -> f32 {
        self.declick.last()
    }

    /// Takes the next frame.
    pub(super) fn take(&mut self, out: &mut [f32; FRAME]) {
        if !self.playing {
            self.dry = self.dry.saturating_add(1);
            if self.ring.len() >= self.depth {
                self.playing = true;
                self.least = usize::MAX;
                self.calm = 0;
                self.declick.join();
            }
        }
        if !self.playing {
            for sample in out.iter_mut() {
                *sample = self.declick.next(0.0);
            }
            return;
        }
        for sample in out.iter_mut() {
            let next = match self.ring.pop_front() {
                Some(next) => next,
                None => {
                    if std::mem::take(&mut self.playing) {
                        self.dry = 0;
                        self.declick.join();
                    }
                    0.0
                }
            };
            *sample = self.declick.next(next);
        }
        if self.playing {
            self.adapt();
        }
    }

    /// Gives up depth that has not been needed for a while, 10 ms at a time.
    fn adapt(&mut self) {
        self.least = self.least.min(self.ring.len());
        self.calm += 1;
        if self.calm < CALM {
            return;
        }
        if self.least > MIN_DEPTH {
            self.drop_oldest(FRAME / 2);
            self.depth = self.depth.saturating_sub(FRAME / 2).max(MIN_DEPTH);
        }
        self.least = usize::MAX;
        self.calm = 0;
    }

    fn drop_oldest(&mut self, samples: usize) {
        self.ring.drain(..samples.min(self.ring.len()));
        if self.playing {
            self.declick.join();
        }
    }
}
