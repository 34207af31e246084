//! tract: ONNX in Rust, on the CPU.

mod file;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use tract_onnx::prelude::*;

use super::{Backend, Graph, LoadGraphError, MAX_GRAPH_BYTES, Outputs, Port, RunError, ports};

const NAME: &str = "tract";

/// The backend that is always there. Runs on the calling thread alone.
#[derive(Debug, Clone)]
pub struct TractBackend {
    max_bytes: u64,
}

impl Default for TractBackend {
    fn default() -> TractBackend {
        TractBackend {
            max_bytes: MAX_GRAPH_BYTES,
        }
    }
}

impl TractBackend {
    /// Refuses files larger than `max_bytes`.
    pub fn with_max_bytes(max_bytes: u64) -> TractBackend {
        TractBackend { max_bytes }
    }
}

impl Backend for TractBackend {
    fn name(&self) -> &'static str {
        NAME
    }

    fn load(&self, file: &Path) -> Result<Arc<dyn Graph>, LoadGraphError> {
        let uncompilable = |reason: String| LoadGraphError::Uncompilable {
            file: file.into(),
            backend: NAME,
            reason,
        };
        // A damaged file may reach any assertion of tract's.
        let loaded = catch_unwind(AssertUnwindSafe(|| {
            let described = file::describe(file, self.max_bytes)?;
            compile(file, &described)
                .map(|plan| (plan, described))
                .map_err(|error| uncompilable(format!("{error:#}")))
        }));
        let (plan, described) = loaded.map_err(|panic| uncompilable(message(&*panic)))??;
        let graph =
            TractGraph::new(plan, described.inputs, described.outputs).map_err(|problem| {
                LoadGraphError::Contract {
                    file: file.into(),
                    problem,
                }
            })?;
        Ok(Arc::new(graph))
    }
}

type Plan = Arc<TypedRunnableModel>;

/// Compiles with the lengths of axes left open.
fn compile(file: &Path, described: &file::Described) -> TractResult<Plan> {
    // Output shapes and value infos of exporters name axes inconsistently; tract finds its own.
    let onnx = tract_onnx::onnx()
        .with_ignore_output_shapes(true)
        .with_ignore_value_info(true);
    let directory = file.parent().and_then(Path::to_str);
    let parsed = onnx.parse(&described.proto, directory)?;
    if !parsed.unresolved_inputs.is_empty() {
        return Err(TractError::msg(format!(
            "nothing gives the values {}",
            parsed.unresolved_inputs.join(", ")
        )));
    }
    parsed.model.into_optimized()?.into_runnable()
}

/// A plan and what it takes and gives.
#[derive(Debug)]
struct TractGraph {
    plan: Plan,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    /// For each input of the plan, its position among `inputs`.
    order: Vec<usize>,
}

impl TractGraph {
    fn new(plan: Plan, inputs: Vec<Port>, outputs: Vec<Port>) -> Result<TractGraph, String> {
        let model = plan.model();
        let position = |outlet: &OutletId| {
            let name = &model.node(outlet.node).name;
            inputs
                .iter()
                .position(|port| port.name == *name)
                .ok_or_else(|| format!("tract takes an input `{name}` that it does not declare"))
        };
        let order = model
            .inputs
            .iter()
            .map(position)
            .collect::<Result<_, String>>()?;
        if model.outputs.len() != outputs.len() {
            return Err(format!(
                "it declares {} outputs, of which tract gives {}",
                outputs.len(),
                model.outputs.len()
            ));
        }
        Ok(TractGraph {
            plan,
            inputs,
            outputs,
            order,
        })
    }
}

impl Graph for TractGraph {
    fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    fn run(&self, inputs: &[(&str, super::Tensor)]) -> Result<Outputs, RunError> {
        let bound = ports::bind(&self.inputs, inputs)?;
        let values: TVec<TValue> = self
            .order
            .iter()
            .map(|&position| bound[position].host().clone().into_tvalue())
            .collect();
        // Every run has a state of its own, so nothing of a failed one is left.
        let ran = catch_unwind(AssertUnwindSafe(|| self.plan.run(values)));
        let results = ran
            .map_err(|panic| RunError::Panicked {
                backend: NAME,
                reason: message(&*panic),
            })?
            .map_err(|error| RunError::Backend {
                backend: NAME,
                reason: format!("{error:#}"),
            })?;
        let named = self.outputs.iter().zip(results).map(|(port, value)| {
            let tensor = super::Tensor::from_host(value.into_arc_tensor())?;
            Ok((port.name.clone(), tensor))
        });
        Ok(Outputs::new(named.collect::<Result<_, RunError>>()?))
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|message| (*message).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".into())
}

#[cfg(test)]
mod tests;
