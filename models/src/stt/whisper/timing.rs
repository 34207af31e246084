//! When each token was said, by dynamic time warping over the cross-attention: openai's `timing.py`
//! (`find_alignment`), with the attention kept from decoding instead of a second pass.

use std::sync::Arc;

/// Width of the median filter over frames.
const MEDIAN_WIDTH: usize = 7;

/// For each of `rows` the frame at which the token *after* it begins.
///
/// `attention` has, for each token fed, its cross-attention over `frames` frames, one head after the
/// other. It is normalised over all of `attention`; the path goes through `rows`, ascending.
pub(super) fn onsets(attention: &[Arc<[f32]>], rows: &[usize], frames: usize) -> Vec<usize> {
    if rows.is_empty() || frames == 0 {
        return vec![0; rows.len()];
    }
    let heads = attention[0].len() / frames;
    let mut matrix = vec![0.0_f64; rows.len() * frames];
    for head in 0..heads {
        let normal = Normal::of(attention, head * frames, frames);
        for (line, &row) in matrix.chunks_exact_mut(frames).zip(rows) {
            let weights = &attention[row][head * frames..][..frames];
            let normalised = normal.apply(weights);
            for (sum, value) in line.iter_mut().zip(median_filter(&normalised)) {
                *sum += f64::from(value) / heads as f64;
            }
        }
    }
    path_onsets(&matrix, rows.len(), frames)
}

/// Mean and deviation of each frame over the tokens.
struct Normal {
    mean: Vec<f32>,
    deviation: Vec<f32>,
}

impl Normal {
    fn of(attention: &[Arc<[f32]>], from: usize, frames: usize) -> Normal {
        let count = attention.len() as f32;
        let mut mean = vec![0.0_f32; frames];
        let mut deviation = vec![0.0_f32; frames];
        for weights in attention {
            for (sum, weight) in mean.iter_mut().zip(&weights[from..]) {
                *sum += weight / count;
            }
        }
        for weights in attention {
            for ((sum, mean), weight) in deviation.iter_mut().zip(&mean).zip(&weights[from..]) {
                *sum += (weight - mean).powi(2) / count;
            }
        }
        for value in &mut deviation {
            *value = value.sqrt();
        }
        Normal { mean, deviation }
    }

    fn apply(&self, weights: &[f32]) -> Vec<f32> {
        let value = |((weight, mean), deviation): ((&f32, &f32), &f32)| {
            // All tokens see the frame alike: the reference divides by zero here.
            if *deviation > 0.0 {
                (weight - mean) / deviation
            } else {
                0.0
            }
        };
        weights
            .iter()
            .zip(&self.mean)
            .zip(&self.deviation)
            .map(value)
            .collect()
    }
}

/// Median over [`MEDIAN_WIDTH`] neighbours, reflected at the ends. Too few values are left as they are.
fn median_filter(values: &[f32]) -> Vec<f32> {
    let pad = MEDIAN_WIDTH / 2;
    let length = values.len();
    if length <= pad {
        return values.to_vec();
    }
    let at = |index: usize| {
        // `index` is shifted by `pad`.
        let reflected = match index.checked_sub(pad) {
            None => pad - index,
            Some(index) if index >= length => 2 * (length - 1) - index,
            Some(index) => index,
        };
        values[reflected]
    };
    (0..length)
        .map(|start| {
            let mut window: [f32; MEDIAN_WIDTH] = std::array::from_fn(|i| at(start + i));
            window.sort_by(f32::total_cmp);
            window[pad]
        })
        .collect()
}

/// How a cell of the path was reached.
#[derive(Clone, Copy)]
enum Step {
    Diagonal,
    Token,
    Frame,
}

/// The cheapest monotonic path through `tokens` × `frames`, where high values are cheap: the frame at
/// which it enters each token.
fn path_onsets(matrix: &[f64], tokens: usize, frames: usize) -> Vec<usize> {
    let width = frames + 1;
    let mut cost = vec![f32::INFINITY; (tokens + 1) * width];
    let mut steps = vec![Step::Frame; (tokens + 1) * width];
    cost[0] = 0.0;
    for frame in 1..=frames {
        for token in 1..=tokens {
            let diagonal = cost[(token - 1) * width + frame - 1];
            let from_token = cost[(token - 1) * width + frame];
            let from_frame = cost[token * width + frame - 1];
            let (least, step) = if diagonal < from_token && diagonal < from_frame {
                (diagonal, Step::Diagonal)
            } else if from_token < diagonal && from_token < from_frame {
                (from_token, Step::Token)
            } else {
                (from_frame, Step::Frame)
            };
            let here = -matrix[(token - 1) * frames + frame - 1];
            cost[token * width + frame] = (here + f64::from(least)) as f32;
            steps[token * width + frame] = step;
        }
    }
    let mut onsets = vec![0; tokens];
    let (mut token, mut frame) = (tokens, frames);
    while token > 0 {
        // Back along the path, the last frame noted of a token is its first.
        onsets[token - 1] = frame.saturating_sub(1);
        let step = if frame == 0 {
            Step::Token
        } else {
            steps[token * width + frame]
        };
        match step {
            Step::Diagonal => {
                token -= 1;
                frame -= 1;
            }
            Step::Token => token -= 1,
            Step::Frame => frame -= 1,
        }
    }
    onsets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_filter_reflects() {
        let values = [9.0, 1.0, 2.0, 3.0, 4.0];
        // scipy.ndimage.median_filter(values, 7, mode="mirror").
        assert_eq!(median_filter(&values), [2.0, 2.0, 3.0, 3.0, 2.0]);
        assert_eq!(median_filter(&[5.0, 1.0, 3.0]), [5.0, 1.0, 3.0]);
    }

    #[test]
    fn the_path_follows_the_ridge() {
        // Three tokens over 9 frames, heard at frames 0–2, 3–6 and 7–8.
        let (tokens, frames) = (3, 9);
        let heard = [0..3, 3..7, 7..9];
        let mut matrix = vec![-1.0; tokens * frames];
        for (token, span) in heard.iter().enumerate() {
            for frame in span.clone() {
                matrix[token * frames + frame] = 1.0;
            }
        }
        assert_eq!(path_onsets(&matrix, tokens, frames), [0, 3, 7]);
    }

    #[test]
    fn tokens_begin_where_attention_moves() {
        // Two heads, four tokens (the first given), 40 frames; each token looks at ten of them.
        let frames = 40;
        let attention: Vec<Arc<[f32]>> = (0..4)
            .map(|token| {
                let line: Vec<f32> = (0..frames)
                    .map(|frame| if frame / 10 == token { 0.1 } else { 0.001 })
                    .collect();
                [line.clone(), line].concat().into()
            })
            .collect();
        assert_eq!(onsets(&attention, &[0, 1, 2, 3], frames), [0, 10, 20, 30]);
        assert_eq!(onsets(&attention, &[], frames), [] as [usize; 0]);
    }

    #[test]
    fn attention_that_says_nothing_is_borne() {
        let attention: Vec<Arc<[f32]>> = vec![vec![0.1_f32; 10].into(); 3];
        let onsets = onsets(&attention, &[0, 1, 2], 10);
        assert!(
            onsets.windows(2).all(|pair| pair[0] <= pair[1]),
            "{onsets:?}"
        );
    }
}
