//! Keys and values that attention looks back at.

use std::sync::Arc;

use super::Dimensions;
use crate::backend::{Outputs, RunError, Tensor};

/// Rows by which a cache grows.
const GROWTH: usize = 32;

/// The decoder's own keys and values of one sequence: for every layer keys, then values, each
/// `[heads, rows, head_dim]` with room to grow.
#[derive(Debug, Clone)]
pub struct KvCache {
    rows: usize,
    capacity: usize,
    heads: usize,
    head_dim: usize,
    /// Keys of layer 0, values of layer 0, keys of layer 1…
    buffers: Vec<Vec<f32>>,
}

impl KvCache {
    /// Of a sequence of which nothing has been fed.
    pub fn new(dimensions: &Dimensions) -> KvCache {
        KvCache {
            rows: 0,
            capacity: 0,
            heads: dimensions.heads,
            head_dim: dimensions.head_dim,
            buffers: vec![Vec::new(); 2 * dimensions.layers],
        }
    }

    /// Tokens fed so far.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.buffers.len() * self.heads * self.capacity * self.head_dim * size_of::<f32>()
    }

    fn reserve(&mut self, rows: usize) {
        if rows <= self.capacity {
            return;
        }
        // Half as much again keeps the copies of a long sequence few.
        let capacity = rows.max(self.capacity * 3 / 2).next_multiple_of(GROWTH);
        let (old_stride, stride) = (self.capacity * self.head_dim, capacity * self.head_dim);
        let filled = self.rows * self.head_dim;
        for buffer in &mut self.buffers {
            let mut grown = vec![0.0; self.heads * stride];
            for head in 0..self.heads {
                grown[head * stride..][..filled]
                    .copy_from_slice(&buffer[head * old_stride..][..filled]);
            }
            *buffer = grown;
        }
        self.capacity = capacity;
    }

    /// Appends the first `count` of the `width` new rows that a run gave for sequence `index` of its
    /// batch. `present` are the run's tensors `[B, heads, width, head_dim]`, in the cache's order.
    pub(super) fn append(&mut self, present: &[&[f32]], index: usize, width: usize, count: usize) {
        self.reserve(self.rows + count);
        let stride = self.capacity * self.head_dim;
        let (from, length) = (self.rows * self.head_dim, count * self.head_dim);
        for (buffer, new) in self.buffers.iter_mut().zip(present) {
            for head in 0..self.heads {
                let source = (index * self.heads + head) * width * self.head_dim;
                buffer[head * stride + from..][..length].copy_from_slice(&new[source..][..length]);
            }
        }
        self.rows += count;
    }

    /// Copies buffer `buffer` into sequence `index` of `past`, `[B, heads, width, head_dim]`.
    pub(super) fn copy_to(&self, buffer: usize, past: &mut [f32], index: usize, width: usize) {
        let stride = self.capacity * self.head_dim;
        let length = self.rows * self.head_dim;
        for head in 0..self.heads {
            let target = (index * self.heads + head) * width * self.head_dim;
            past[target..][..length]
                .copy_from_slice(&self.buffers[buffer][head * stride..][..length]);
        }
    }
}

/// What the encoder gives of one sequence: for every decoder layer the keys and the values of its
/// cross-attention, each `[1, heads, frames, head_dim]`.
#[derive(Debug, Clone)]
pub struct CrossStates {
    frames: usize,
    /// Keys of layer 0, values of layer 0, keys of layer 1…
    tensors: Vec<Tensor>,
}

impl CrossStates {
    /// Encoder frames, or source tokens.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Its tensors, keys of layer 0 first.
    pub(super) fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }
}

/// Splits what an encoder gave for a batch (`cross_k.{i}`, `cross_v.{i}`, `[B, heads, S, head_dim]`)
/// into its sequences, of which sequence `i` fills the first `frames[i]` frames.
///
/// A batch of one that fills its frames is not copied.
pub fn split_cross(
    outputs: &Outputs,
    dimensions: &Dimensions,
    frames: &[usize],
) -> Result<Vec<Arc<CrossStates>>, RunError> {
    let (heads, head_dim) = (dimensions.heads, dimensions.head_dim);
    let mut tensors = Vec::with_capacity(2 * dimensions.layers);
    for layer in 0..dimensions.layers {
        for kind in ["k", "v"] {
            let name = format!("cross_{kind}.{layer}");
            let tensor = outputs.get(&name)?;
            let fits = |shape: &[usize]| match *shape {
                [batch, h, s, d] => {
                    batch == frames.len()
                        && h == heads
                        && d == head_dim
                        && frames.iter().all(|&frames| frames <= s)
                }
                _ => false,
            };
            if !fits(tensor.shape()) {
                return Err(RunError::WrongOutput {
                    name,
                    found: tensor.shape().to_vec(),
                    expected: format!("[{}, {heads}, {frames:?}, {head_dim}]", frames.len()),
                });
            }
            tensors.push(tensor);
        }
    }
    let sequence = |(index, &frames): (usize, &usize)| {
        let slice = |tensor: &&Tensor| {
            let width = tensor.shape()[2];
            if tensor.shape()[0] == 1 && width == frames {
                return Ok((*tensor).clone());
            }
            let values = tensor.as_f32()?;
            Ok(Tensor::f32_with(&[1, heads, frames, head_dim], |target| {
                for head in 0..heads {
                    let from = (index * heads + head) * width * head_dim;
                    let length = frames * head_dim;
                    target[head * length..][..length].copy_from_slice(&values[from..][..length]);
                }
            }))
        };
        Ok(Arc::new(CrossStates {
            frames,
            tensors: tensors.iter().map(slice).collect::<Result<_, RunError>>()?,
        }))
    };
    frames.iter().enumerate().map(sequence).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIMENSIONS: Dimensions = Dimensions {
        layers: 1,
        heads: 2,
        head_dim: 3,
        vocab_size: 10,
        max_positions: 100,
    };

    #[test]
    fn a_cache_keeps_its_rows_while_it_grows() {
        let mut cache = KvCache::new(&DIMENSIONS);
        // A batch of two with up to three new rows; ours is the second, with two.
        let value = |kind: usize, step: usize, at: usize| (kind * 10_000 + step * 100 + at) as f32;
        let present = |kind: usize, step: usize| -> Vec<f32> {
            (0..2 * 2 * 3 * 3).map(|at| value(kind, step, at)).collect()
        };
        for step in 0..40 {
            let (keys, values) = (present(0, step), present(1, step));
            cache.append(&[&keys, &values], 1, 3, 2);
        }
        assert_eq!(cache.rows(), 80);
        let width = 90;
        for kind in 0..2 {
            let mut past = vec![-1.0; 3 * 2 * width * 3];
            cache.copy_to(kind, &mut past, 2, width);
            for head in 0..2 {
                for row in 0..80 {
                    let (step, t) = (row / 2, row % 2);
                    let from = ((2 + head) * 3 + t) * 3;
                    let at = ((2 * 2 + head) * width + row) * 3;
                    assert_eq!(past[at], value(kind, step, from), "row {row}");
                }
                assert_eq!(past[((2 * 2 + head) * width + 80) * 3], -1.0);
            }
        }
    }

    #[test]
    fn splits_a_padded_batch() {
        let keys: Vec<f32> = (0..2 * 2 * 4 * 3).map(|value| value as f32).collect();
        let tensor = Tensor::f32(&[2, 2, 4, 3], &keys).unwrap();
        let outputs = Outputs::new(vec![
            ("cross_k.0".into(), tensor.clone()),
            ("cross_v.0".into(), tensor),
        ]);
        let split = split_cross(&outputs, &DIMENSIONS, &[4, 2]).unwrap();
        assert_eq!(split[0].frames(), 4);
        assert_eq!(split[1].tensors()[0].shape(), [1, 2, 2, 3]);
        let second = split[1].tensors()[0].as_f32().unwrap();
        assert_eq!(second[..3], [24.0, 25.0, 26.0]);
        assert_eq!(second[6..9], [36.0, 37.0, 38.0]);
        let error = split_cross(&outputs, &DIMENSIONS, &[4, 5]).unwrap_err();
        assert!(error.to_string().contains("cross_k.0"), "{error}");
    }
}
