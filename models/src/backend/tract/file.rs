//! Reading an ONNX file, and refusing by name what tract would stumble over.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use tract_onnx::pb;
use tract_onnx::prelude::Framework;

use super::super::{Axis, Element, LoadGraphError, Port};
use super::NAME;

/// The operator sets that tract is tested with.
const OPSETS: std::ops::RangeInclusive<i64> = 9..=18;

/// First bytes of what people put under an `.onnx` name, what it is and what to do.
const OTHERS: [(&[u8], &str, &str); 5] = [
    (
        b"version https://git-lfs",
        "a Git LFS pointer",
        "fetch the file itself with `git lfs pull`",
    ),
    (
        b"PK\x03\x04",
        "a ZIP archive, such as a PyTorch checkpoint",
        "import the checkpoint's directory with `hive models import`",
    ),
    (
        b"<",
        "a web page or XML",
        "the download ended at an error page; pull the model again",
    ),
    (b"{", "JSON", "check which file of the model this is"),
    (
        b"GGUF",
        "a GGUF file",
        "import the Hugging Face checkpoint with `hive models import`",
    ),
];

/// Bytes at the start of a file that tell what it is.
const HEAD_BYTES: usize = 32;

/// An ONNX file as far as it is understood without compiling it.
pub(super) struct Described {
    pub(super) proto: pb::ModelProto,
    pub(super) inputs: Vec<Port>,
    pub(super) outputs: Vec<Port>,
}

/// Reads the file and checks everything that can be checked by looking.
pub(super) fn describe(file: &Path, max_bytes: u64) -> Result<Described, LoadGraphError> {
    let unreadable = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => LoadGraphError::Missing { file: file.into() },
        _ => LoadGraphError::Unreadable {
            file: file.into(),
            reason: error.to_string(),
        },
    };
    let mut content = File::open(file).map_err(unreadable)?;
    let bytes = content.metadata().map_err(unreadable)?.len();
    if bytes > max_bytes {
        return Err(LoadGraphError::Oversized {
            file: file.into(),
            bytes,
            limit: max_bytes,
        });
    }
    let mut head = Vec::with_capacity(HEAD_BYTES);
    (&mut content)
        .take(HEAD_BYTES as u64)
        .read_to_end(&mut head)
        .map_err(unreadable)?;
    if let Some((kind, advice)) = something_else(&head) {
        return Err(LoadGraphError::Mislabelled {
            file: file.into(),
            kind,
            advice,
        });
    }
    let damaged = |reason: String| LoadGraphError::Damaged {
        file: file.into(),
        reason,
    };
    let proto = tract_onnx::onnx()
        .proto_model_for_read(&mut head.as_slice().chain(content))
        .map_err(|error| damaged(error.to_string()))?;
    let graph = proto
        .graph
        .as_ref()
        .ok_or_else(|| damaged("it holds no graph".into()))?;
    if graph.node.is_empty() || graph.output.is_empty() {
        return Err(damaged("its graph does nothing".into()));
    }
    check_opset(file, &proto)?;
    check_operators(file, graph)?;
    check_initialisers(graph).map_err(damaged)?;

    let given: Vec<&str> = graph
        .initializer
        .iter()
        .map(|tensor| tensor.name.as_str())
        .collect();
    let inputs = graph
        .input
        .iter()
        .filter(|input| !given.contains(&input.name.as_str()))
        .map(port)
        .collect::<Vec<_>>();
    if let Some(input) = inputs.iter().find(|input| input.element.is_none()) {
        return Err(LoadGraphError::Contract {
            file: file.into(),
            problem: format!("its input `{}` is neither f32 nor i64", input.name),
        });
    }
    let outputs = graph.output.iter().map(port).collect();
    Ok(Described {
        inputs,
        outputs,
        proto,
    })
}

/// What the file is, if not ONNX, and what to do.
fn something_else(head: &[u8]) -> Option<(&'static str, &'static str)> {
    // safetensors: the length of its JSON header, then the header.
    if head.get(8) == Some(&b'{') && head.get(7) == Some(&0) {
        return Some((
            "a safetensors checkpoint",
            "import the checkpoint's directory with `hive models import`",
        ));
    }
    OTHERS
        .iter()
        .find(|(magic, ..)| head.starts_with(magic))
        .map(|&(_, kind, advice)| (kind, advice))
}

fn check_opset(file: &Path, proto: &pb::ModelProto) -> Result<(), LoadGraphError> {
    let refuse = |found: String| LoadGraphError::Opset {
        file: file.into(),
        backend: NAME,
        domain_and_version: found,
        supported: format!("ai.onnx {} to {}", OPSETS.start(), OPSETS.end()),
    };
    let standard = |domain: &str| domain.is_empty() || domain == "ai.onnx";
    match proto.opset_import.iter().find(|set| standard(&set.domain)) {
        Some(set) if OPSETS.contains(&set.version) => Ok(()),
        Some(set) => Err(refuse(format!("ai.onnx {}", set.version))),
        None => Err(refuse("none named".into())),
    }
}

fn check_operators(file: &Path, graph: &pb::GraphProto) -> Result<(), LoadGraphError> {
    let known = tract_onnx::onnx().op_register;
    let mut unknown: Vec<String> = graph
        .node
        .iter()
        .filter(|node| !known.0.contains_key(&node.op_type))
        .map(|node| match node.domain.as_str() {
            "" => node.op_type.clone(),
            domain => format!("{domain}.{}", node.op_type),
        })
        .collect();
    unknown.sort();
    unknown.dedup();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(LoadGraphError::UnknownOperators {
        file: file.into(),
        backend: NAME,
        operators: unknown,
    })
}

/// A damaged shape would ask for more memory than there is, which ends the process.
fn check_initialisers(graph: &pb::GraphProto) -> Result<(), String> {
    for tensor in &graph.initializer {
        let values = tensor.dims.iter().try_fold(1_u64, |product, &axis| {
            product.checked_mul(u64::try_from(axis).ok()?)
        });
        let stored = tensor.raw_data.len()
            + 8 * (tensor.float_data.len()
                + tensor.int32_data.len()
                + tensor.int64_data.len()
                + tensor.double_data.len()
                + tensor.uint64_data.len()
                + tensor.string_data.len());
        let outside = !tensor.external_data.is_empty();
        if !outside && values.is_none_or(|values| values > stored as u64 * 8) {
            return Err(format!(
                "`{}` is declared with the shape {:?} but holds {stored} bytes",
                tensor.name, tensor.dims
            ));
        }
    }
    Ok(())
}

fn port(value: &pb::ValueInfoProto) -> Port {
    use pb::tensor_proto::DataType;
    use pb::tensor_shape_proto::dimension::Value;
    let tensor = match value.r#type.as_ref().and_then(|kind| kind.value.as_ref()) {
        Some(pb::type_proto::Value::TensorType(tensor)) => Some(tensor),
        _ => None,
    };
    let element = tensor.and_then(|tensor| match tensor.elem_type {
        kind if kind == DataType::Float as i32 => Some(Element::F32),
        kind if kind == DataType::Int64 as i32 => Some(Element::I64),
        _ => None,
    });
    let axes = tensor
        .and_then(|tensor| tensor.shape.as_ref())
        .map(|shape| {
            let axis = |dimension: &pb::tensor_shape_proto::Dimension| match &dimension.value {
                Some(Value::DimValue(length)) => {
                    usize::try_from(*length).map_or(Axis::Any, Axis::Fixed)
                }
                Some(Value::DimParam(name)) if is_name(name) => Axis::Named(name.clone()),
                Some(Value::DimParam(_)) | None => Axis::Any,
            };
            shape.dim.iter().map(axis).collect()
        });
    Port {
        name: value.name.clone(),
        element,
        axes,
    }
}

/// Whether an axis is called by a name; exporters also write formulas such as `P + T` there.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}
