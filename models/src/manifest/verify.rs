//! Checking files against the manifest.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{FileEntry, VerifyError};

/// Sizes first, which costs nothing, then hashes.
pub(super) fn verify(
    directory: &Path,
    files: &BTreeMap<String, FileEntry>,
) -> Result<(), VerifyError> {
    for (name, entry) in files {
        let file = directory.join(name);
        let found = std::fs::metadata(&file)
            .map_err(|error| unreadable(&file, &error))?
            .len();
        if found != entry.bytes {
            return Err(VerifyError::Size {
                file,
                found,
                expected: entry.bytes,
            });
        }
    }
    for (name, entry) in files {
        let file = directory.join(name);
        let found = sha256(&file).map_err(|error| unreadable(&file, &error))?;
        if !found.eq_ignore_ascii_case(&entry.sha256) {
            return Err(VerifyError::Hash {
                file,
                found,
                expected: entry.sha256.clone(),
            });
        }
    }
    Ok(())
}

fn unreadable(file: &Path, error: &std::io::Error) -> VerifyError {
    match error.kind() {
        ErrorKind::NotFound => VerifyError::Missing { file: file.into() },
        _ => VerifyError::Unreadable {
            file: file.into(),
            reason: error.to_string(),
        },
    }
}

fn sha256(file: &Path) -> std::io::Result<String> {
    let mut content = File::open(file)?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; 1 << 16];
    loop {
        match content.read(&mut chunk)? {
            0 => break,
            length => hash.update(&chunk[..length]),
        }
    }
    let mut text = String::with_capacity(64);
    for byte in hash.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}
