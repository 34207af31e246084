//! A decoder small enough to write down, under the same contract as the real ones. What it says
//! depends on every token before, through the cache, and on the encoder's frames, through their mask.

use std::sync::Arc;

use super::{CrossStates, Decoder, Dimensions, split_cross};
use crate::backend::{Axis, Element, Graph, Outputs, Port, RunError, Tensor};

pub(super) const DIMENSIONS: Dimensions = Dimensions {
    layers: 1,
    heads: 1,
    head_dim: 1,
    vocab_size: 12,
    max_positions: 64,
};

/// The token that ends a sequence.
pub(super) const END: i64 = 0;

/// A token that makes the graph fail.
pub(super) const POISON: i64 = 11;

#[derive(Debug)]
pub(super) struct Toy {
    inputs: Vec<Port>,
    outputs: Vec<Port>,
}

fn port(name: &str, rank: usize) -> Port {
    Port {
        name: name.into(),
        element: Some(Element::F32),
        axes: Some(vec![Axis::Any; rank]),
    }
}

/// What the toy remembers of a token.
pub(super) fn memory(id: i64, position: i64) -> f32 {
    (id as f32 * 1.7 + position as f32 * 0.31).sin()
}

/// The toy's logits of a token, given what it remembers.
pub(super) fn logits(memory: f32, frames: f32) -> Vec<f32> {
    let logit = |token: usize| 3.0 * (memory * (token as f32 + 1.3) + frames + token as f32).sin();
    let mut logits: Vec<f32> = (0..DIMENSIONS.vocab_size).map(logit).collect();
    // Only given, never chosen.
    logits[POISON as usize] = -30.0;
    logits
}

impl Toy {
    pub(super) fn decoder() -> Arc<Decoder> {
        let toy = Toy {
            inputs: [
                ("ids", 2),
                ("positions", 2),
                ("mask", 4),
                ("cross_mask", 4),
                ("past_k.0", 4),
                ("past_v.0", 4),
                ("cross_k.0", 4),
                ("cross_v.0", 4),
            ]
            .map(|(name, rank)| port(name, rank))
            .to_vec(),
            outputs: [
                ("logits", 3),
                ("present_k.0", 4),
                ("present_v.0", 4),
                ("alignment", 4),
            ]
            .map(|(name, rank)| port(name, rank))
            .to_vec(),
        };
        Arc::new(Decoder::new(Arc::new(toy), DIMENSIONS, "toy.onnx".as_ref()).unwrap())
    }

    /// A sequence's encoder frames.
    pub(super) fn cross(frames: &[f32]) -> Arc<CrossStates> {
        let tensor = Tensor::f32(&[1, 1, frames.len(), 1], frames).unwrap();
        let outputs = Outputs::new(vec![
            ("cross_k.0".into(), tensor.clone()),
            ("cross_v.0".into(), tensor),
        ]);
        split_cross(&outputs, &DIMENSIONS, &[frames.len()])
            .unwrap()
            .remove(0)
    }
}

impl Graph for Toy {
    fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    fn run(&self, inputs: &[(&str, Tensor)]) -> Result<Outputs, RunError> {
        let get = |name: &str| &inputs.iter().find(|(known, _)| *known == name).unwrap().1;
        let (ids, positions) = (get("ids").as_i64()?, get("positions").as_i64()?);
        let [batch, width] = *get("ids").shape() else {
            panic!()
        };
        let (mask, past) = (get("mask").as_f32()?, get("past_k.0").as_f32()?);
        let past_width = get("past_k.0").shape()[2];
        let (cross, cross_mask) = (get("cross_k.0").as_f32()?, get("cross_mask").as_f32()?);
        let frames = get("cross_k.0").shape()[2];
        if ids.contains(&POISON) {
            return Err(RunError::Panicked {
                backend: "toy",
                reason: "poison".into(),
            });
        }
        let new: Vec<f32> = ids
            .iter()
            .zip(positions)
            .map(|(&id, &position)| memory(id, position))
            .collect();
        let (mut all, mut alignment) = (Vec::new(), Vec::new());
        for row in 0..batch {
            let seen: Vec<f32> = (0..frames)
                .map(|frame| cross[row * frames + frame] * cross_mask[row * frames + frame].exp())
                .collect();
            for token in 0..width {
                let line = (row * width + token) * (past_width + width);
                let keys = past[row * past_width..][..past_width]
                    .iter()
                    .chain(&new[row * width..][..width]);
                let sum: f32 = keys
                    .zip(&mask[line..])
                    .map(|(key, mask)| key * mask.exp())
                    .sum();
                all.extend(logits(sum, seen.iter().sum()));
                alignment.extend(&seen);
            }
        }
        let present = Tensor::f32(&[batch, 1, width, 1], &new)?;
        Ok(Outputs::new(vec![
            (
                "logits".into(),
                Tensor::f32(&[batch, width, DIMENSIONS.vocab_size], &all)?,
            ),
            ("present_k.0".into(), present.clone()),
            ("present_v.0".into(), present),
            (
                "alignment".into(),
                Tensor::f32(&[batch, 1, width, frames], &alignment)?,
            ),
        ]))
    }
}
