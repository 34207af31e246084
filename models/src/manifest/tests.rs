use super::*;

/// A directory of the test's own, removed when dropped.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let path =
            std::env::temp_dir().join(format!("hive-manifest-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    fn manifest(&self, text: &str) {
        fs::write(self.0.join(MANIFEST), text).unwrap();
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

fn whisper(files: &str) -> String {
    format!(
        r#"{{"contract": 1, "family": "whisper", "name": "tiny", "languages": ["en"], "later": 1,
            "files": {{{files}}}, "config": {{"n_mels": 80}}}}"#
    )
}

#[test]
fn reads_a_manifest_and_verifies_its_files() {
    let directory = Directory::new("reads");
    directory.manifest(&whisper(&format!(
        r#""hello.txt": {{"sha256": "{HELLO}", "bytes": 5}}"#
    )));
    fs::write(directory.0.join("hello.txt"), "hello").unwrap();
    let model = ModelDirectory::open(&directory.0).unwrap();
    model.expect_family("whisper").unwrap();
    model.verify().unwrap();
    assert_eq!(model.manifest().languages, ["en"]);

    #[derive(Deserialize)]
    struct Config {
        n_mels: usize,
    }
    assert_eq!(model.config::<Config>().unwrap().n_mels, 80);

    fs::write(directory.0.join("hello.txt"), "hellO").unwrap();
    assert!(matches!(model.verify(), Err(VerifyError::Hash { .. })));
    fs::write(directory.0.join("hello.txt"), "hell").unwrap();
    assert!(matches!(
        model.verify(),
        Err(VerifyError::Size {
            found: 4,
            expected: 5,
            ..
        })
    ));
    fs::remove_file(directory.0.join("hello.txt")).unwrap();
    let error = model.verify().unwrap_err();
    assert!(error.to_string().contains("hello.txt"), "{error}");
}

#[test]
fn says_what_is_wrong_with_a_manifest() {
    let directory = Directory::new("wrong");
    let open = || ModelDirectory::open(&directory.0);
    assert!(matches!(open(), Err(ManifestError::Missing { .. })));
    for (text, problem) in [
        ("", "EOF"),
        ("{\"contract\": 1", "EOF"),
        ("{\"contract\": 2, \"anything\": 0}", "version 2"),
        ("{\"contract\": 1, \"family\": \"whisper\"}", "name"),
        (
            &whisper(r#""../secret": {"sha256": "", "bytes": 0}"#),
            "outside",
        ),
        (
            &whisper(r#""/etc/passwd": {"sha256": "", "bytes": 0}"#),
            "outside",
        ),
    ] {
        directory.manifest(text);
        let error = open().unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
        assert!(error.contains("model.json"), "{error}");
    }
}

#[test]
fn refuses_another_family_and_unlisted_files() {
    let directory = Directory::new("family");
    directory.manifest(&whisper(""));
    let model = ModelDirectory::open(&directory.0).unwrap();
    let error = model.expect_family("marian").unwrap_err().to_string();
    assert!(
        error.contains("`whisper`") && error.contains("`marian`"),
        "{error}"
    );
    assert!(matches!(
        model.file("decoder.onnx"),
        Err(ManifestError::Unlisted { .. })
    ));

    #[derive(Debug, Deserialize)]
    struct Config {
        #[allow(dead_code, reason = "only its absence matters")]
        vocab_size: usize,
    }
    let error = model.config::<Config>().unwrap_err().to_string();
    assert!(error.contains("vocab_size"), "{error}");
}
