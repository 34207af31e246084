//! Running neural graphs: a [`Backend`] loads a file, a [`Graph`] runs it.
//!
//! A graph is compiled once, with its batch and length axes left open, and runs with any lengths
//! afterwards. It runs on the calling thread; a graph may be run by several threads at once.

mod errors;
mod ports;
mod tensor;
mod tract;

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

pub use errors::{LoadGraphError, RunError};
pub use ports::{Axis, Port};
pub use tensor::{Element, Tensor, TensorError};
pub use tract::TractBackend;

/// The largest ONNX file that is read unless told otherwise: protocol buffers end at 2 GiB.
pub const MAX_GRAPH_BYTES: u64 = (1 << 31) - 1;

/// Something that runs graphs.
pub trait Backend: Debug + Send + Sync {
    /// Its name in the configuration and in metrics.
    fn name(&self) -> &'static str;

    /// Loads and compiles an ONNX file. Blocks, for seconds with a large model.
    fn load(&self, file: &Path) -> Result<Arc<dyn Graph>, LoadGraphError>;
}

/// A compiled graph.
pub trait Graph: Debug + Send + Sync {
    /// What it takes, in the file's order.
    fn inputs(&self) -> &[Port];

    /// What it gives, in the file's order.
    fn outputs(&self) -> &[Port];

    /// Runs it once on the calling thread. `inputs` are found by name; best given in the order of
    /// [`Graph::inputs`]. A graph that failed, even by a panic, can be run again.
    fn run(&self, inputs: &[(&str, Tensor)]) -> Result<Outputs, RunError>;
}

/// What one run gave.
#[derive(Debug)]
pub struct Outputs {
    values: Vec<(String, Tensor)>,
}

impl Outputs {
    /// Names and tensors, in the order of [`Graph::outputs`].
    pub fn new(values: Vec<(String, Tensor)>) -> Outputs {
        Outputs { values }
    }

    /// The output of this name.
    pub fn get(&self, name: &str) -> Result<&Tensor, RunError> {
        self.values
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, tensor)| tensor)
            .ok_or_else(|| RunError::MissingOutput { name: name.into() })
    }

    /// Names and tensors, in the order of [`Graph::outputs`].
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.values
            .iter()
            .map(|(name, tensor)| (name.as_str(), tensor))
    }
}

/// Checks that `graph` has every input and output named here with that many axes. `file` is named in
/// the error.
pub fn expect_ports(
    file: &Path,
    graph: &dyn Graph,
    inputs: &[(&str, usize)],
    outputs: &[(&str, usize)],
) -> Result<(), LoadGraphError> {
    for (kind, ports, expected) in [
        ("input", graph.inputs(), inputs),
        ("output", graph.outputs(), outputs),
    ] {
        for (name, rank) in expected {
            let port = ports.iter().find(|port| port.name == *name);
            let rank_fits = |port: &Port| port.axes.as_ref().is_none_or(|axes| axes.len() == *rank);
            if !port.is_some_and(rank_fits) {
                return Err(LoadGraphError::Contract {
                    file: file.into(),
                    problem: match port {
                        None => format!("it has no {kind} `{name}`"),
                        Some(port) => format!("its {kind} is {port}, not of {rank} axes"),
                    },
                });
            }
        }
    }
    // An input more than expected would be left unfed.
    if let Some(port) = graph
        .inputs()
        .iter()
        .find(|port| !inputs.iter().any(|(name, _)| port.name == *name))
    {
        return Err(LoadGraphError::Contract {
            file: file.into(),
            problem: format!("it wants an input more, {port}"),
        });
    }
    Ok(())
}
