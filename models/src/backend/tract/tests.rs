use std::fs;
use std::path::PathBuf;

use prost::Message;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension::Value};
use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, type_proto,
};

use super::*;
use crate::backend::{Element, Tensor};

/// A directory of the test's own, removed when dropped.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("hive-tract-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let file = self.0.join(name);
        fs::write(&file, bytes).unwrap();
        file
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn value(name: &str, axes: &[&str]) -> ValueInfoProto {
    let dim = axes
        .iter()
        .map(|axis| Dimension {
            value: Some(match axis.parse() {
                Ok(length) => Value::DimValue(length),
                Err(_) => Value::DimParam((*axis).into()),
            }),
            ..Default::default()
        })
        .collect();
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(type_proto::Tensor {
                elem_type: DataType::Float as i32,
                shape: Some(TensorShapeProto { dim }),
            })),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn node(operator: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: operator.into(),
        name: output.into(),
        input: inputs.iter().map(|&name| name.into()).collect(),
        output: vec![output.into()],
        ..Default::default()
    }
}

/// `y = x · w` with `x` of `B` rows of 3, and `z = x + x`.
fn model() -> ModelProto {
    let weights: Vec<u8> = [1.0_f32, 0.0, 0.0, 1.0, 1.0, 1.0]
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    ModelProto {
        ir_version: 8,
        opset_import: vec![OperatorSetIdProto {
            version: 17,
            ..Default::default()
        }],
        graph: Some(GraphProto {
            name: "test".into(),
            node: vec![
                node("MatMul", &["x", "w"], "y"),
                node("Add", &["x", "x"], "z"),
            ],
            initializer: vec![TensorProto {
                name: "w".into(),
                dims: vec![3, 2],
                data_type: DataType::Float as i32,
                raw_data: weights,
                ..Default::default()
            }],
            input: vec![value("x", &["B", "3"])],
            output: vec![value("y", &["B", "2"]), value("z", &["B", "3"])],
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn load(name: &str, bytes: &[u8]) -> Result<Arc<dyn Graph>, LoadGraphError> {
    let directory = Directory::new(name);
    let file = directory.write("graph.onnx", bytes);
    TractBackend::default().load(&file)
}

#[test]
fn runs_any_batch_with_one_compilation() {
    let graph = load("runs", &model().encode_to_vec()).unwrap();
    assert_eq!(graph.inputs()[0].to_string(), "x[B,3] of f32");
    for batch in [1, 2, 7] {
        let x: Vec<f32> = (0..batch * 3).map(|value| value as f32).collect();
        let x = Tensor::f32(&[batch, 3], &x).unwrap();
        let outputs = graph.run(&[("x", x)]).unwrap();
        let y = outputs.get("y").unwrap();
        assert_eq!(y.shape(), [batch, 2]);
        assert_eq!(y.as_f32().unwrap()[..2], [2.0, 3.0]);
        assert_eq!(outputs.get("z").unwrap().shape(), [batch, 3]);
        assert!(matches!(
            outputs.get("logits"),
            Err(RunError::MissingOutput { .. })
        ));
    }
}

#[test]
fn wrong_inputs_are_errors_and_the_graph_runs_on() {
    let graph = load("wrong", &model().encode_to_vec()).unwrap();
    let wide = Tensor::f32(&[1, 4], &[0.0; 4]).unwrap();
    let error = graph.run(&[("x", wide)]).unwrap_err();
    assert!(error.to_string().contains("x[B,3] of f32"), "{error}");
    let ids = Tensor::i64(&[1, 3], &[0; 3]).unwrap();
    assert!(matches!(
        graph.run(&[("x", ids)]),
        Err(RunError::WrongInput { .. })
    ));
    assert_eq!(graph.inputs()[0].element, Some(Element::F32));
    let right = Tensor::f32(&[1, 3], &[0.0; 3]).unwrap();
    graph.run(&[("x", right)]).unwrap();
}

#[test]
fn a_file_that_is_not_there_is_missing() {
    let error = TractBackend::default()
        .load(Path::new("/nonexistent/encoder.onnx"))
        .unwrap_err();
    assert!(matches!(error, LoadGraphError::Missing { .. }));
}

#[test]
fn a_file_cut_short_anywhere_is_an_error() {
    let bytes = model().encode_to_vec();
    for length in 0..bytes.len() {
        // Some cuts leave a whole, smaller message; none may panic or run on.
        if let Err(error) = load("cut", &bytes[..length]) {
            assert!(error.to_string().contains("graph.onnx"), "{error}");
        } else {
            assert!(
                length > bytes.len() - 8,
                "{length} of {} bytes load",
                bytes.len()
            );
        }
    }
}

#[test]
fn damaged_bytes_never_panic() {
    let bytes = model().encode_to_vec();
    for position in 0..bytes.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[position] ^= flip;
            let _ = load("damaged", &damaged);
        }
    }
}

#[test]
fn an_oversized_file_is_refused_before_it_is_read() {
    let directory = Directory::new("oversized");
    let file = directory.write("graph.onnx", &model().encode_to_vec());
    let error = TractBackend::with_max_bytes(10).load(&file).unwrap_err();
    assert!(matches!(error, LoadGraphError::Oversized { limit: 10, .. }));
}

#[test]
fn other_kinds_of_files_are_named() {
    for (bytes, kind) in [
        (
            &b"version https://git-lfs.github.com/spec/v1"[..],
            "Git LFS",
        ),
        (b"PK\x03\x04....", "ZIP"),
        (b"<!doctype html>", "web page"),
        (b"\x10\0\0\0\0\0\0\0{\"w\":{}}", "safetensors"),
    ] {
        let error = load("other", bytes).unwrap_err();
        assert!(
            matches!(error, LoadGraphError::Mislabelled { .. }),
            "{error}"
        );
        assert!(error.to_string().contains(kind), "{error}");
    }
}

#[test]
fn unknown_operator_sets_and_operators_are_named() {
    let mut future = model();
    future.opset_import[0].version = 99;
    let error = load("opset", &future.encode_to_vec()).unwrap_err();
    assert!(matches!(error, LoadGraphError::Opset { .. }), "{error}");
    assert!(error.to_string().contains("99"), "{error}");

    let mut strange = model();
    let graph = strange.graph.as_mut().unwrap();
    graph.node[1].op_type = "Frobnicate".into();
    graph.node[1].domain = "com.example".into();
    let error = load("operator", &strange.encode_to_vec()).unwrap_err();
    assert!(
        matches!(error, LoadGraphError::UnknownOperators { .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("com.example.Frobnicate"),
        "{error}"
    );
}

#[test]
fn a_declared_shape_without_its_data_is_refused() {
    let mut model = model();
    model.graph.as_mut().unwrap().initializer[0].dims = vec![1 << 40, 1 << 20];
    let error = load("shape", &model.encode_to_vec()).unwrap_err();
    assert!(matches!(error, LoadGraphError::Damaged { .. }), "{error}");
}

#[test]
fn another_model_s_graph_does_not_keep_to_the_contract() {
    let directory = Directory::new("contract");
    let file = directory.write("decoder.onnx", &model().encode_to_vec());
    let graph = TractBackend::default().load(&file).unwrap();
    let check = |inputs, outputs| crate::backend::expect_ports(&file, &*graph, inputs, outputs);
    check(&[("x", 2)], &[("y", 2), ("z", 2)]).unwrap();
    for (inputs, outputs, problem) in [
        (&[("x", 2), ("ids", 2)][..], &[][..], "no input `ids`"),
        (&[("x", 3)], &[], "x[B,3]"),
        (&[], &[("y", 2)], "wants an input more"),
        (&[("x", 2)], &[("logits", 3)], "no output `logits`"),
    ] {
        let error = check(inputs, outputs).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
}
