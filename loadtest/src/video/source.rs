//! The pictures of one simulcast layer: sizes as an encoder's at a steady rate, from a seed.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::vp8::{Payload, SMALLEST, Stamp};

/// Pictures a second.
pub const FRAMES_PER_SECOND: u32 = 30;

/// Bytes of payload a packet, as libwebrtc's 1200 less headers.
const LARGEST: usize = 1100;

/// A keyframe is so many times as large as the mean picture: libwebrtc lets VP8 at 30 frames a second
/// have nine, and typical ones of a camera take less.
const KEYFRAME: f64 = 6.0;

/// What a layer costs of its debt a picture: an encoder makes up for a keyframe with smaller pictures.
const REPAYMENT: f64 = 0.25;

/// A simulcast layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// Its name in descriptions.
    pub rid: &'static str,
    /// Width in pixels.
    pub width: u16,
    /// Height in pixels.
    pub height: u16,
    /// Payload bits a second.
    pub bits_per_second: u32,
}

/// The layers that LiveKit's client publishes of a 720p camera, low to high.
pub const LAYERS: [Layer; 3] = [
    Layer {
        rid: "q",
        width: 320,
        height: 180,
        bits_per_second: 150_000,
    },
    Layer {
        rid: "h",
        width: 640,
        height: 360,
        bits_per_second: 500_000,
    },
    Layer {
        rid: "f",
        width: 1280,
        height: 720,
        bits_per_second: 1_700_000,
    },
];

/// Makes the pictures of a layer.
#[derive(Debug)]
pub struct Source {
    layer: Layer,
    index: u8,
    rng: SmallRng,
    picture: u16,
    /// Bytes more than the rate allowed so far.
    debt: f64,
}

impl Source {
    /// The `index`-th layer, low to high.
    pub fn new(layer: Layer, index: u8, seed: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed ^ u64::from(index) << 32);
        Self {
            layer,
            index,
            picture: rng.random_range(0..0x8000),
            rng,
            debt: 0.0,
        }
    }

    /// The payloads of the next picture.
    pub fn picture(&mut self, keyframe: bool, made_us: u64) -> Vec<Vec<u8>> {
        let mean = f64::from(self.layer.bits_per_second) / 8.0 / f64::from(FRAMES_PER_SECOND);
        let varied = mean * self.rng.random_range(0.7..1.3);
        let size = match keyframe {
            true => mean * KEYFRAME,
            false => (varied - (self.debt * REPAYMENT).min(mean * 0.5)).max(mean * 0.2),
        };
        self.debt = (self.debt + size - mean).clamp(-mean, mean * 10.0);
        self.picture = (self.picture + 1) & 0x7fff;
        let packets = (size / LARGEST as f64).ceil().max(1.0);
        let length = ((size / packets) as usize).max(SMALLEST);
        (0..packets as usize)
            .map(|at| {
                let payload = Payload {
                    start: at == 0,
                    picture: self.picture,
                    keyframe: (keyframe && at == 0)
                        .then_some((self.layer.width, self.layer.height)),
                    stamp: Stamp {
                        layer: self.index,
                        made_us,
                    },
                };
                payload.write(length)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_has_its_rate_and_its_keyframes_are_paid_back() {
        for (index, layer) in LAYERS.into_iter().enumerate() {
            let mut source = Source::new(layer, index as u8, 1);
            let seconds = 20;
            let bytes = (0..FRAMES_PER_SECOND * seconds)
                .flat_map(|n| source.picture(n % 150 == 0, 0))
                .map(|payload| payload.len())
                .sum::<usize>();
            let rate = bytes as f64 * 8.0 / f64::from(seconds);
            let ratio = rate / f64::from(layer.bits_per_second);
            assert!((0.93..1.07).contains(&ratio), "{}: {ratio}", layer.rid);
        }
    }

    #[test]
    fn pictures_are_numbered_and_begin_and_end_where_they_should() {
        let mut source = Source::new(LAYERS[2], 2, 1);
        let keyframe = source.picture(true, 7);
        let next = source.picture(false, 8);
        assert!(keyframe.len() > 30, "{}", keyframe.len());
        assert!(keyframe.iter().all(|payload| payload.len() <= LARGEST));
        let read = |payload: &Vec<u8>| Payload::read(payload).unwrap();
        assert_eq!(read(&keyframe[0]).keyframe, Some((1280, 720)));
        assert!(keyframe[1..].iter().all(|payload| !read(payload).start));
        let number = read(&keyframe[0]).picture;
        assert_eq!(read(&next[0]).picture, (number + 1) & 0x7fff);
    }
}
