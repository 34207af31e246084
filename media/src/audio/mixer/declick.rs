//! Joins two stretches of audio that do not fit without a click.

/// Length of a repair: 5 ms at 48 kHz.
const LENGTH: u32 = 240;

/// At a join the difference between what was last heard and what comes is added to the new
/// stretch and faded out linearly, so no step is larger than the signal's own plus 1/240 of it.
#[derive(Debug, Default)]
pub(super) struct Declick {
    last: f32,
    offset: f32,
    left: u32,
    joined: bool,
}

impl Declick {
    /// The next sample does not belong to the one before.
    pub(super) fn join(&mut self) {
        self.joined = true;
    }

    /// Passes one sample through.
    pub(super) fn next(&mut self, sample: f32) -> f32 {
        if std::mem::take(&mut self.joined) {
            self.offset = self.last - sample;
            self.left = LENGTH;
        }
        let out = if self.left > 0 {
            self.left -= 1;
            sample + self.offset * self.left as f32 / LENGTH as f32
        } else {
            sample
        };
        self.last = out;
        out
    }

    /// What was last heard.
    pub(super) fn last(&self) -> f32 {
        self.last
    }

    /// Whether silence passed through would come out as silence.
    pub(super) fn settled(&self) -> bool {
        self.left == 0 && !self.joined && self.last == 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_join_has_no_step_and_the_repair_ends() {
        let mut declick = Declick::default();
        for _ in 0..10 {
            assert_eq!(declick.next(0.8), 0.8);
        }
        declick.join();
        let mut last = 0.8;
        for n in 0..300 {
            let out = declick.next(-0.8);
            assert!((out - last).abs() < 1.61 / 240.0 + 1e-6, "{n}");
            last = out;
        }
        assert_eq!(last, -0.8);
    }
}
