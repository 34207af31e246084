//! One padded run of the decoder's graph over sequences of any lengths.

use std::path::Path;
use std::sync::Arc;

use super::{CrossStates, KvCache};
use crate::backend::{Graph, LoadGraphError, Outputs, RunError, Tensor, expect_ports};

/// What is added to the scores of positions that attention must not see.
const MASKED: f32 = -1e9;

/// Sizes of a decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dimensions {
    /// Decoder layers.
    pub layers: usize,
    /// Attention heads of a layer.
    pub heads: usize,
    /// Values of a head.
    pub head_dim: usize,
    /// Tokens there are.
    pub vocab_size: usize,
    /// Tokens that fit in a sequence, the prompt included.
    pub max_positions: usize,
}

/// A decoder's graph and the names of its tensors.
#[derive(Debug)]
pub struct Decoder {
    graph: Arc<dyn Graph>,
    dimensions: Dimensions,
    past: Vec<String>,
    present: Vec<String>,
    cross: Vec<String>,
    /// Heads of the output `alignment`, where there is one.
    aligns: bool,
}

/// A sequence's part in a run.
#[derive(Debug)]
pub struct Row<'a> {
    /// Tokens to feed, at least one.
    pub ids: &'a [i64],
    /// Its past. The new rows are appended when the run succeeds.
    pub cache: &'a mut KvCache,
}

/// Cross-attention of a batch, assembled: `[B, heads, S, head_dim]` for keys and values of every layer
/// and the mask `[B, 1, 1, S]`.
#[derive(Debug)]
pub(super) struct CrossBatch {
    members: Vec<Arc<CrossStates>>,
    tensors: Vec<Tensor>,
    mask: Tensor,
}

/// What a run gave.
#[derive(Debug)]
pub struct RowsOutput {
    width: usize,
    vocab_size: usize,
    logits: Tensor,
    /// `[B, A, T, S]`.
    alignment: Option<Tensor>,
}

impl RowsOutput {
    /// The logits after token `token` of sequence `row`.
    pub fn logits(&self, row: usize, token: usize) -> Result<&[f32], RunError> {
        let values = self.logits.as_f32()?;
        Ok(&values[(row * self.width + token) * self.vocab_size..][..self.vocab_size])
    }

    /// Cross-attention of token `token` of sequence `row` over its first `frames` frames, for one
    /// alignment head after the other; `None` for a decoder without this output.
    pub fn alignment(
        &self,
        row: usize,
        token: usize,
        frames: usize,
    ) -> Result<Option<Vec<f32>>, RunError> {
        let Some(tensor) = &self.alignment else {
            return Ok(None);
        };
        let (heads, all) = (tensor.shape()[1], tensor.shape()[3]);
        let values = tensor.as_f32()?;
        let mut picked = Vec::with_capacity(heads * frames);
        for head in 0..heads {
            let from = ((row * heads + head) * self.width + token) * all;
            picked.extend_from_slice(&values[from..][..frames]);
        }
        Ok(Some(picked))
    }
}

impl Decoder {
    /// Checks that the graph is a decoder under the contract. `file` is named in errors.
    pub fn new(
        graph: Arc<dyn Graph>,
        dimensions: Dimensions,
        file: &Path,
    ) -> Result<Decoder, LoadGraphError> {
        let each = |prefix: &str| -> Vec<String> {
            (0..dimensions.layers)
                .flat_map(|layer| ["k", "v"].map(|kind| format!("{prefix}_{kind}.{layer}")))
                .collect()
        };
        let (past, present, cross) = (each("past"), each("present"), each("cross"));
        let mut inputs = vec![("ids", 2), ("positions", 2), ("mask", 4), ("cross_mask", 4)];
        inputs.extend(past.iter().chain(&cross).map(|name| (name.as_str(), 4)));
        let mut outputs = vec![("logits", 3)];
        outputs.extend(present.iter().map(|name| (name.as_str(), 4)));
        let aligns = graph.outputs().iter().any(|port| port.name == "alignment");
        if aligns {
            outputs.push(("alignment", 4));
        }
        expect_ports(file, &*graph, &inputs, &outputs)?;
        Ok(Decoder {
            graph,
            dimensions,
            past,
            present,
            cross,
            aligns,
        })
    }

    /// Its sizes.
    pub fn dimensions(&self) -> &Dimensions {
        &self.dimensions
    }

    /// Runs the graph once: every sequence's past is padded at its end to the longest, its new tokens
    /// at their end to the most, and its encoder frames at their end to the longest; masks hide it.
    ///
    /// `cross[i]` belongs to `rows[i]`.
    pub fn run(
        &self,
        rows: &mut [Row<'_>],
        cross: &[Arc<CrossStates>],
    ) -> Result<RowsOutput, RunError> {
        self.run_assembled(rows, &self.assemble(cross)?)
    }

    /// Puts the sequences' cross-attention side by side. Worth keeping while the members stay.
    pub(super) fn assemble(&self, members: &[Arc<CrossStates>]) -> Result<CrossBatch, RunError> {
        let frames = members
            .iter()
            .map(|cross| cross.frames())
            .max()
            .unwrap_or(0);
        let mask = Tensor::f32_with(&[members.len(), 1, 1, frames], |mask| {
            for (row, cross) in mask.chunks_mut(frames.max(1)).zip(members) {
                row[cross.frames()..].fill(MASKED);
            }
        });
        let side_by_side = |index: usize| {
            if let [only] = members {
                return Ok(only.tensors()[index].clone());
            }
            let Dimensions {
                heads, head_dim, ..
            } = self.dimensions;
            let values = members
                .iter()
                .map(|cross| cross.tensors()[index].as_f32())
                .collect::<Result<Vec<_>, _>>()?;
            let shape = [members.len(), heads, frames, head_dim];
            Ok(Tensor::f32_with(&shape, |target| {
                for (member, values) in values.iter().enumerate() {
                    let length = members[member].frames() * head_dim;
                    for head in 0..heads {
                        let to = (member * heads + head) * frames * head_dim;
                        target[to..][..length].copy_from_slice(&values[head * length..][..length]);
                    }
                }
            }))
        };
        Ok(CrossBatch {
            members: members.to_vec(),
            tensors: (0..self.cross.len())
                .map(side_by_side)
                .collect::<Result<_, RunError>>()?,
            mask,
        })
    }

    /// [`Decoder::run`] with the cross-attention assembled before.
    pub(super) fn run_assembled(
        &self,
        rows: &mut [Row<'_>],
        cross: &CrossBatch,
    ) -> Result<RowsOutput, RunError> {
        let batch = rows.len();
        let width = rows.iter().map(|row| row.ids.len()).max().unwrap_or(0);
        let past = rows.iter().map(|row| row.cache.rows()).max().unwrap_or(0);
        let Dimensions {
            heads, head_dim, ..
        } = self.dimensions;

        let mut ids = vec![0_i64; batch * width];
        let mut positions = vec![0_i64; batch * width];
        for (index, row) in rows.iter().enumerate() {
            for (token, &id) in row.ids.iter().enumerate() {
                ids[index * width + token] = id;
                positions[index * width + token] = (row.cache.rows() + token) as i64;
            }
        }
        let mask = Tensor::f32_with(&[batch, 1, width, past + width], |mask| {
            let mut lines = mask.chunks_mut((past + width).max(1));
            for row in rows.iter() {
                for token in 0..width {
                    let Some(line) = lines.next() else { return };
                    line[row.cache.rows()..past].fill(MASKED);
                    line[past + token + 1..].fill(MASKED);
                }
            }
        });
        let shape = [batch, width];
        let mut inputs: Vec<(&str, Tensor)> = vec![
            ("ids", Tensor::i64(&shape, &ids)?),
            ("positions", Tensor::i64(&shape, &positions)?),
            ("mask", mask),
            ("cross_mask", cross.mask.clone()),
        ];
        for (buffer, name) in self.past.iter().enumerate() {
            let tensor = Tensor::f32_with(&[batch, heads, past, head_dim], |target| {
                for (index, row) in rows.iter().enumerate() {
                    row.cache.copy_to(buffer, target, index, past);
                }
            });
            inputs.push((name, tensor));
        }
        for (name, tensor) in self.cross.iter().zip(&cross.tensors) {
            inputs.push((name, tensor.clone()));
        }
        let outputs = self.graph.run(&inputs)?;
        let output = self.take(&outputs, batch, width)?;
        let present = self
            .present
            .iter()
            .map(|name| self.present(&outputs, name, batch, width))
            .collect::<Result<Vec<_>, RunError>>()?;
        for (index, row) in rows.iter_mut().enumerate() {
            row.cache.append(&present, index, width, row.ids.len());
        }
        Ok(output)
    }

    fn present<'o>(
        &self,
        outputs: &'o Outputs,
        name: &str,
        batch: usize,
        width: usize,
    ) -> Result<&'o [f32], RunError> {
        let Dimensions {
            heads, head_dim, ..
        } = self.dimensions;
        let tensor = outputs.get(name)?;
        expect_shape(name, tensor, &[batch, heads, width, head_dim])?;
        Ok(tensor.as_f32()?)
    }

    fn take(&self, outputs: &Outputs, batch: usize, width: usize) -> Result<RowsOutput, RunError> {
        let vocab_size = self.dimensions.vocab_size;
        let logits = outputs.get("logits")?;
        expect_shape("logits", logits, &[batch, width, vocab_size])?;
        let alignment = match self.aligns {
            true => Some(outputs.get("alignment")?.clone()),
            false => None,
        };
        if let Some(tensor) = &alignment
            && (tensor.shape().len() != 4
                || tensor.shape()[0] != batch
                || tensor.shape()[2] != width)
        {
            return Err(RunError::WrongOutput {
                name: "alignment".into(),
                found: tensor.shape().to_vec(),
                expected: format!("[{batch}, heads, {width}, frames]"),
            });
        }
        Ok(RowsOutput {
            width,
            vocab_size,
            logits: logits.clone(),
            alignment,
        })
    }
}

impl CrossBatch {
    /// Whether it was assembled of exactly these sequences.
    pub(super) fn is_of(&self, members: &[Arc<CrossStates>]) -> bool {
        self.members.len() == members.len()
            && self
                .members
                .iter()
                .zip(members)
                .all(|(a, b)| Arc::ptr_eq(a, b))
    }
}

fn expect_shape(name: &str, tensor: &Tensor, shape: &[usize]) -> Result<(), RunError> {
    if tensor.shape() == shape {
        return Ok(());
    }
    Err(RunError::WrongOutput {
        name: name.into(),
        found: tensor.shape().to_vec(),
        expected: format!("{shape:?}"),
    })
}
