//! Reads what `python -m hive_reference` writes: models with random weights, and what transformers
//! computes with them.

use std::fs;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

/// A model's directory under the references, `model/` and `reference.json` with `reference.bin`.
pub(crate) struct Reference {
    pub(crate) directory: PathBuf,
    facts: Value,
    bytes: Vec<u8>,
}

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    offset: usize,
}

impl Reference {
    /// The error says what to run when the reference has not been made.
    pub(crate) fn open(name: &str) -> Result<Reference, String> {
        let root = std::env::var_os("HIVE_REFERENCE").map_or_else(
            || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../.deps/reference"),
            PathBuf::from,
        );
        let directory = root.join(name);
        let read = |file: &str| {
            let path = directory.join(file);
            fs::read(&path).map_err(|error| {
                format!(
                    "{}: {error}: the references have not been made; run `scripts/setup export`, then in \
                     models/export `../../.deps/export/bin/python -m hive_reference \
                     ../../.deps/reference {name}` (or set HIVE_REFERENCE to where they are)",
                    path.display()
                )
            })
        };
        let facts = serde_json::from_slice(&read("reference.json")?);
        let bytes = read("reference.bin")?;
        Ok(Reference {
            facts: facts.map_err(|error| format!("reference.json of {name}: {error}"))?,
            directory,
            bytes,
        })
    }

    /// A list of cases.
    pub(crate) fn cases(&self, kind: &str) -> &[Value] {
        let cases = self.facts[kind].as_array();
        cases.unwrap_or_else(|| panic!("the reference has no `{kind}`"))
    }

    /// One of the `settings` of transformers' decoding.
    pub(crate) fn setting(&self, name: &str) -> usize {
        let value = self.facts["settings"][name].as_u64();
        value.unwrap_or_else(|| panic!("the reference has no setting `{name}`")) as usize
    }

    /// The tensor that a case names under `key`.
    pub(crate) fn f32(&self, case: &Value, key: &str) -> (Vec<usize>, Vec<f32>) {
        let name = case[key]
            .as_str()
            .unwrap_or_else(|| panic!("the case has no `{key}`"));
        let entry = Entry::deserialize(&self.facts["tensors"][name]).expect("the tensor is listed");
        assert_eq!(entry.dtype, "f32", "{name}");
        let count: usize = entry.shape.iter().product();
        let values = self.bytes[entry.offset..][..4 * count]
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            .collect();
        (entry.shape, values)
    }

    /// The ids that a case lists under `key`.
    pub(crate) fn ids(&self, case: &Value, key: &str) -> Vec<i64> {
        Vec::deserialize(&case[key]).unwrap_or_else(|_| panic!("the case has no `{key}`"))
    }
}
