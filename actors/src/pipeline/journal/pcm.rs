//! The samples of one speaker since the last commit: what `ingest` appends and VAD and STT read.

/// The longest gap that is filled with silence, in samples: enough for an utterance to end in.
pub(crate) const GAP_FILL: u64 = 8_000;

/// Mono samples at 16 kHz by their *position*: a count that never has a hole. The media clock has
/// holes (a sender that falls silent, a network that stalls), so marks tie positions to it.
#[derive(Debug, Default)]
pub(crate) struct PcmLog {
    samples: Vec<f32>,
    /// Position of the first of `samples`.
    start: u64,
    /// From `position` on the media clock runs on from `media`; ascending by position.
    marks: Vec<Mark>,
    /// Where the next decoded sample is expected on the media clock.
    media_next: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    position: u64,
    media: u64,
}

impl PcmLog {
    /// One past the last position.
    pub(crate) fn end(&self) -> u64 {
        self.start + self.samples.len() as u64
    }

    /// The first position kept.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// Appends decoded samples whose first is at `media` on the media clock. What was appended
    /// before is left out (a restarted `ingest` decodes a little again); holes are filled with
    /// silence up to [`GAP_FILL`]. Gives how many of `samples` were new.
    pub(crate) fn append(&mut self, media: u64, samples: &[f32]) -> usize {
        let Some(expected) = self.media_next else {
            self.marks.push(Mark {
                position: self.end(),
                media,
            });
            self.samples.extend_from_slice(samples);
            self.media_next = Some(media + samples.len() as u64);
            return samples.len();
        };
        let known = expected.saturating_sub(media).min(samples.len() as u64) as usize;
        let (media, samples) = (media + known as u64, &samples[known..]);
        if samples.is_empty() {
            return 0;
        }
        let gap = media - expected;
        let fill = gap.min(GAP_FILL);
        self.samples.resize(self.samples.len() + fill as usize, 0.0);
        if gap != fill {
            self.marks.push(Mark {
                position: self.end(),
                media,
            });
        }
        self.samples.extend_from_slice(samples);
        self.media_next = Some(media + samples.len() as u64);
        samples.len()
    }

    /// The samples from `from` to `to`, which have to be kept still and appended already.
    pub(crate) fn range(&self, from: u64, to: u64) -> &[f32] {
        let at = |position: u64| (position.clamp(self.start, self.end()) - self.start) as usize;
        &self.samples[at(from)..at(to)]
    }

    /// Drops what is before `position`.
    pub(crate) fn trim(&mut self, position: u64) {
        let drop = position.clamp(self.start, self.end()) - self.start;
        // Moving the rest to the front costs; once a second is often enough.
        if drop < 16_000 {
            return;
        }
        self.samples.drain(..drop as usize);
        self.start += drop;
        let live = self
            .marks
            .iter()
            .rposition(|mark| mark.position <= self.start)
            .unwrap_or(0);
        self.marks.drain(..live);
    }

    /// Milliseconds on the speaker's media clock of a position.
    pub(crate) fn media_ms(&self, position: u64) -> f64 {
        let mark = self
            .marks
            .iter()
            .rev()
            .find(|mark| mark.position <= position)
            .or(self.marks.first());
        mark.map_or(0.0, |mark| {
            (mark.media as f64 + position as f64 - mark.position as f64) / 16.0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(from: u64, to: u64) -> Vec<f32> {
        (from..to).map(|i| i as f32).collect()
    }

    #[test]
    fn what_a_restart_decodes_again_is_left_out() {
        let mut log = PcmLog::default();
        log.append(100, &ramp(100, 420));
        assert_eq!(log.append(0, &ramp(0, 320)), 0);
        assert_eq!(log.append(320, &ramp(320, 640)), 220);
        assert_eq!(log.range(0, log.end()), ramp(100, 640));
        assert_eq!(log.media_ms(0), 100.0 / 16.0);
    }

    #[test]
    fn a_short_hole_becomes_silence_and_the_clocks_stay_together() {
        let mut log = PcmLog::default();
        log.append(0, &ramp(0, 320));
        log.append(640, &ramp(640, 960));
        assert_eq!(log.end(), 960);
        assert_eq!(log.range(320, 640), [0.0; 320]);
        assert_eq!(log.media_ms(960), 60.0);
    }

    #[test]
    fn a_long_hole_is_cut_short_and_marked() {
        let mut log = PcmLog::default();
        log.append(0, &ramp(0, 320));
        log.append(320 + 160_000, &ramp(0, 320));
        assert_eq!(log.end(), 320 + GAP_FILL + 320);
        assert_eq!(log.media_ms(320 + GAP_FILL), (320.0 + 160_000.0) / 16.0);
        assert_eq!(log.media_ms(160), 10.0);
    }

    #[test]
    fn trimming_keeps_positions_and_their_times() {
        let mut log = PcmLog::default();
        log.append(0, &ramp(0, 32_000));
        log.trim(20_000);
        assert_eq!(log.start(), 20_000);
        assert_eq!(log.range(20_000, 20_002), [20_000.0, 20_001.0]);
        assert_eq!(log.media_ms(24_000), 1_500.0);
    }
}
