//! What goes wrong with graphs.

use std::path::PathBuf;

use super::TensorError;

/// Why a file is no graph that can be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadGraphError {
    /// The file is not there.
    #[error("the graph {} is missing: pull or import its model again", .file.display())]
    Missing {
        /// The file.
        file: PathBuf,
    },
    /// The file cannot be read.
    #[error("the graph {} cannot be read: {reason}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// The file is larger than allowed.
    #[error("the graph {} has {bytes} bytes, more than the {limit} that are allowed: use a smaller model, or one with its weights in the graph", .file.display())]
    Oversized {
        /// The file.
        file: PathBuf,
        /// Its size.
        bytes: u64,
        /// The largest size.
        limit: u64,
    },
    /// The file is something else under an `.onnx` name.
    #[error("{} is not ONNX but {kind}: {advice}", .file.display())]
    Mislabelled {
        /// The file.
        file: PathBuf,
        /// What it is.
        kind: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// The file is cut short or damaged.
    #[error("the graph {} is damaged or cut short ({reason}): pull or import its model again", .file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Where reading it ended.
        reason: String,
    },
    /// The operator set is not among the supported ones.
    #[error("the graph {} is of ONNX operator set {}; {backend} runs {}: export it again at operator set 17", .file.display(), .domain_and_version, .supported)]
    Opset {
        /// The file.
        file: PathBuf,
        /// The backend's name.
        backend: &'static str,
        /// The set, as `domain version`.
        domain_and_version: String,
        /// The sets that are supported.
        supported: String,
    },
    /// The graph has operators that the backend does not know.
    #[error("the graph {} has operators that {backend} does not run ({}): export its model with `hive models import`", .file.display(), .operators.join(", "))]
    UnknownOperators {
        /// The file.
        file: PathBuf,
        /// The backend's name.
        backend: &'static str,
        /// The operators, each once.
        operators: Vec<String>,
    },
    /// The backend cannot compile the graph.
    #[error("{backend} cannot compile the graph {} ({reason}): export its model with `hive models import`", .file.display())]
    Uncompilable {
        /// The file.
        file: PathBuf,
        /// The backend's name.
        backend: &'static str,
        /// The backend's own words.
        reason: String,
    },
    /// The graph is a graph, but not the one that its name promises.
    #[error("the graph {} does not keep to the contract: {problem}. Export its model with `hive models import`", .file.display())]
    Contract {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

/// Why a run gave nothing. The graph itself can be run again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// An input of the graph was not given.
    #[error("the graph's input `{name}` was not given")]
    MissingInput {
        /// The input.
        name: String,
    },
    /// A tensor was given for an input that the graph does not have.
    #[error("the graph has no input `{name}`; it has {inputs}")]
    UnknownInput {
        /// The name given.
        name: String,
        /// The inputs there are.
        inputs: String,
    },
    /// A tensor does not fit its input.
    #[error("the graph's input {expected} was given {found}")]
    WrongInput {
        /// The input as declared.
        expected: String,
        /// What was given.
        found: String,
    },
    /// Two inputs disagree about the length of an axis they share.
    #[error(
        "axis {axis} of the graph's input `{input}` is {length} long, of another input {before}"
    )]
    AxisMismatch {
        /// The later input.
        input: String,
        /// The axis.
        axis: String,
        /// Its length there.
        length: usize,
        /// Its length before.
        before: usize,
    },
    /// The graph has no output of this name.
    #[error("the graph has no output `{name}`")]
    MissingOutput {
        /// The output.
        name: String,
    },
    /// A tensor was not what its user takes it for.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// An output is not of the shape that its user takes it for.
    #[error("the graph's output `{name}` has the shape {found:?} where {expected} was expected")]
    WrongOutput {
        /// The output.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// What was expected.
        expected: String,
    },
    /// The backend reported an error.
    #[error("{backend} could not run the graph: {reason}")]
    Backend {
        /// The backend's name.
        backend: &'static str,
        /// Its own words.
        reason: String,
    },
    /// The backend panicked.
    #[error("{backend} panicked while it ran the graph: {reason}")]
    Panicked {
        /// The backend's name.
        backend: &'static str,
        /// The panic's message.
        reason: String,
    },
}
