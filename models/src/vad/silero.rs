//! Silero VAD 6 as an ONNX graph on tract.
//!
//! The graph is the `ifless` export: the others branch on the sample rate and on ranks at run time,
//! which tract refuses or pays for. The sample rate becomes a constant, so that everything that hangs
//! on it is folded away when the graph is loaded.

use std::path::{Path, PathBuf};

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::konst::Const;

use super::{
    CONTEXT_SAMPLES, RECURRENT_VALUES, VadError, VadState, VadWindow, VoiceActivity, WINDOW_SAMPLES,
};

/// What the model sees of one window: the end of the previous one and itself.
const INPUT_SAMPLES: usize = CONTEXT_SAMPLES + WINDOW_SAMPLES;

/// Recurrent values of one layer.
const LAYER_VALUES: usize = RECURRENT_VALUES / 2;

/// Batch sizes that the graph is compiled for; others are padded to the next.
const BATCHES: [usize; 5] = [1, 2, 4, 8, 16];

/// Why there is no voice activity model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadVadError {
    /// The file is not there.
    #[error("the voice activity model {} is missing: run `scripts/setup build`, or set `engines.assets` to the directory that holds `silero/`", .file.display())]
    Missing {
        /// The file.
        file: PathBuf,
    },
    /// tract cannot run the graph.
    #[error("the voice activity model {} cannot be run ({reason}): it may be damaged; remove it and run `scripts/setup build`", .file.display())]
    Unusable {
        /// The file.
        file: PathBuf,
        /// tract's own words.
        reason: String,
    },
}

type Plan = Arc<TypedRunnableModel>;

/// The model, compiled for several batch sizes. Runs on the calling thread: 0.17 ms for one window,
/// 0.09 ms a window in a batch of 16.
#[derive(Debug)]
pub struct SileroVad {
    /// One for each of [`BATCHES`].
    plans: Vec<Plan>,
}

impl SileroVad {
    /// Loads the model under `assets` (the directory `scripts/setup` fills, `.deps`). Blocks for about
    /// half a second.
    pub fn load(assets: &Path) -> Result<SileroVad, LoadVadError> {
        let file = assets.join("silero/silero_vad_op18_ifless.onnx");
        if !file.is_file() {
            return Err(LoadVadError::Missing { file });
        }
        let plans = BATCHES
            .iter()
            .map(|&batch| compile(&file, batch))
            .collect::<TractResult<_>>();
        plans
            .map(|plans| SileroVad { plans })
            .map_err(|error| LoadVadError::Unusable {
                file,
                reason: format!("{error:#}"),
            })
    }

    /// Probabilities and next recurrent states (layer-major for each window) of at most 16 windows.
    fn run_batch(
        &self,
        windows: &[VadWindow],
        states: &[&mut VadState],
    ) -> TractResult<Vec<(f32, [f32; RECURRENT_VALUES])>> {
        let slot = BATCHES
            .iter()
            .position(|&batch| batch >= windows.len())
            .unwrap_or(BATCHES.len() - 1);
        let batch = BATCHES[slot];
        let mut input = vec![0.0_f32; batch * INPUT_SAMPLES];
        // The graph wants layer by layer all speakers.
        let mut recurrent = vec![0.0_f32; RECURRENT_VALUES * batch];
        for (i, (window, state)) in windows.iter().zip(states).enumerate() {
            let row = &mut input[i * INPUT_SAMPLES..][..INPUT_SAMPLES];
            row[..CONTEXT_SAMPLES].copy_from_slice(&state.context);
            row[CONTEXT_SAMPLES..].copy_from_slice(window);
            for layer in 0..2 {
                let from = &state.recurrent[layer * LAYER_VALUES..][..LAYER_VALUES];
                recurrent[(layer * batch + i) * LAYER_VALUES..][..LAYER_VALUES]
                    .copy_from_slice(from);
            }
        }
        let input = Tensor::from_shape(&[batch, INPUT_SAMPLES], &input)?;
        let recurrent = Tensor::from_shape(&[2, batch, LAYER_VALUES], &recurrent)?;
        let outputs = self.plans[slot].run(tvec![input.into(), recurrent.into()])?;
        let probabilities = outputs[0].try_as_plain_ram()?.as_slice::<f32>()?;
        let recurrent = outputs[1].try_as_plain_ram()?.as_slice::<f32>()?;
        let result =
            probabilities
                .iter()
                .take(windows.len())
                .enumerate()
                .map(|(i, &probability)| {
                    let mut next = [0.0; RECURRENT_VALUES];
                    for layer in 0..2 {
                        next[layer * LAYER_VALUES..][..LAYER_VALUES].copy_from_slice(
                            &recurrent[(layer * batch + i) * LAYER_VALUES..][..LAYER_VALUES],
                        );
                    }
                    (probability, next)
                });
        Ok(result.collect())
    }
}

impl VoiceActivity for SileroVad {
    fn run(
        &self,
        windows: &[VadWindow],
        states: &mut [&mut VadState],
    ) -> Result<Vec<f32>, VadError> {
        if windows.len() != states.len() {
            return Err(VadError::LengthMismatch {
                windows: windows.len(),
                states: states.len(),
            });
        }
        let mut results = Vec::with_capacity(windows.len());
        for (windows, states) in windows
            .chunks(self.batch_max())
            .zip(states.chunks(self.batch_max()))
        {
            let batch = self.run_batch(windows, states);
            results.extend(batch.map_err(|error| VadError::Model {
                reason: format!("{error:#}"),
            })?);
        }
        let advance =
            |((window, state), (probability, recurrent)): ((&VadWindow, &mut &mut VadState), _)| {
                // A window that is no number must not spoil the speaker's state for good.
                if f32::is_finite(probability) && recurrent_is_finite(&recurrent) {
                    state.recurrent = recurrent;
                    state
                        .context
                        .copy_from_slice(&window[WINDOW_SAMPLES - CONTEXT_SAMPLES..]);
                    probability.clamp(0.0, 1.0)
                } else {
                    **state = VadState::default();
                    0.0
                }
            };
        Ok(windows
            .iter()
            .zip(states.iter_mut())
            .zip(results)
            .map(advance)
            .collect())
    }

    fn batch_max(&self) -> usize {
        BATCHES[BATCHES.len() - 1]
    }
}

fn recurrent_is_finite(recurrent: &[f32; RECURRENT_VALUES]) -> bool {
    recurrent.iter().all(|value| value.is_finite())
}

fn compile(file: &Path, batch: usize) -> TractResult<Plan> {
    let mut model = tract_onnx::onnx()
        .with_ignore_output_shapes(true)
        .with_ignore_value_info(true)
        .model_for_path(file)?;
    let mut inputs = [None; 2];
    for (index, outlet) in model.inputs.clone().into_iter().enumerate() {
        match model.node(outlet.node).name.as_str() {
            "input" => {
                model.set_input_fact(index, f32::fact([batch, INPUT_SAMPLES]).into())?;
                inputs[0] = Some(outlet);
            }
            "state" => {
                model.set_input_fact(index, f32::fact([2, batch, LAYER_VALUES]).into())?;
                inputs[1] = Some(outlet);
            }
            "sr" => {
                let rate = Tensor::from(16_000_i64);
                model.nodes[outlet.node].op = Box::new(Const::new(Arc::new(rate.clone()))?);
                model.set_outlet_fact(outlet, rate.into())?;
            }
            other => {
                return Err(TractError::msg(format!(
                    "it has an unexpected input `{other}`"
                )));
            }
        }
    }
    let [Some(audio), Some(state)] = inputs else {
        return Err(TractError::msg("it does not take audio and state"));
    };
    model.set_input_outlets(&[audio, state])?;
    if model.outputs.len() != 2 {
        return Err(TractError::msg(
            "it does not give a probability and a state",
        ));
    }
    model.into_optimized()?.into_runnable()
}
