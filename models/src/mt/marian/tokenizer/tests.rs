use std::collections::BTreeMap;

use prost::Message;

use super::super::config::tests::config;
use super::*;

/// The part of SentencePiece's `ModelProto` that a unigram model needs.
#[derive(Message)]
struct ModelProto {
    #[prost(message, repeated, tag = "1")]
    pieces: Vec<Piece>,
}

#[derive(Message)]
struct Piece {
    #[prost(string, tag = "1")]
    piece: String,
    #[prost(float, tag = "2")]
    score: f32,
    #[prost(int32, tag = "3")]
    kind: i32,
}

fn model(pieces: &[&str]) -> Vec<u8> {
    const NORMAL: i32 = 1;
    const UNKNOWN_KIND: i32 = 2;
    let piece = |(index, piece): (usize, &&str)| Piece {
        piece: (*piece).into(),
        // Longer pieces are likelier than what they are made of.
        score: piece.chars().count() as f32 - 10.0,
        kind: if index == 0 { UNKNOWN_KIND } else { NORMAL },
    };
    let pieces = pieces.iter().enumerate().map(piece).collect();
    ModelProto { pieces }.encode_to_vec()
}

/// A model's directory of the test's own, removed when dropped.
struct Files(PathBuf);

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const VOCABULARY: &str = r#"{"</s>": 0, "<unk>": 1, "▁the": 2, "▁": 3, "t": 4, "h": 5, "e": 6, "日本": 7,
    "▁el": 8, ">>es<<": 9, ">>pt_BR<<": 10, ">>cat<<": 11, "<pad>": 12}"#;

impl Files {
    fn new(name: &str) -> Files {
        let path = std::env::temp_dir().join(format!("hive-marian-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        let files = Files(path);
        files.write(
            "source.spm",
            &model(&["<unk>", "▁the", "▁", "t", "h", "e", "<", "/", "s", ">"]),
        );
        files.write("target.spm", &model(&["<unk>", "▁el", "▁", "t", "h", "e"]));
        files.write("vocab.json", VOCABULARY.as_bytes());
        files
    }

    fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.0.join(name), content).unwrap();
    }

    fn load(&self) -> Result<MarianTokenizer, TokenizerError> {
        let entry = serde_json::json!({"sha256": "", "bytes": 0});
        let names = ["source.spm", "target.spm", "vocab.json"];
        let files: BTreeMap<_, _> = names.iter().map(|name| (name, &entry)).collect();
        let manifest =
            serde_json::json!({"contract": 1, "family": "marian", "name": "toy", "files": files});
        self.write("model.json", manifest.to_string().as_bytes());
        MarianTokenizer::load(&ModelDirectory::open(&self.0).unwrap(), &config())
    }
}

#[test]
fn text_becomes_ids_and_ids_text() {
    let tokenizer = Files::new("both-ways").load().unwrap();
    let encode = |text: &str| tokenizer.encode(text, None).unwrap();
    assert_eq!(encode("the the"), [2, 2, 0]);
    assert_eq!(encode(""), [0]);
    assert_eq!(encode("   "), [0]);
    // What the source's SentencePiece does not know may still be in the shared vocabulary.
    assert_eq!(encode("日本"), [3, 7, 0]);
    assert_eq!(encode("é"), [3, 1, 0]);
    assert_eq!(encode("a\u{0}"), [3, 1, 0]);
    assert_eq!(tokenizer.decode(&[8, 1, 3, 5, 6, 0, 12]), "el he");
    assert_eq!(tokenizer.decode(&[2, 7]), "the日本");
    assert_eq!(tokenizer.decode(&[-1, 99]), "");
}

#[test]
fn the_target_language_comes_first_and_cannot_be_said() {
    let tokenizer = Files::new("target").load().unwrap();
    assert_eq!(tokenizer.encode("the", Some(">>es<<")).unwrap(), [9, 2, 0]);
    let said = tokenizer.encode(">>es<<", None).unwrap();
    assert!(!said.contains(&9), "{said:?}");
    let said = tokenizer.encode("</s>", None).unwrap();
    assert_eq!(said.iter().filter(|&&id| id == 0).count(), 1, "{said:?}");
    for target in [">>de<<", "es", "▁the", "</s>"] {
        let error = tokenizer.encode("the", Some(target)).unwrap_err();
        assert!(error.to_string().contains(">>pt_BR<<"), "{error}");
    }
}

#[test]
fn refuses_text_beyond_the_model_s_positions() {
    let tokenizer = Files::new("long").load().unwrap();
    assert_eq!(tokenizer.encode(&" the".repeat(7), None).unwrap().len(), 8);
    let error = tokenizer.encode(&" the".repeat(8), None).unwrap_err();
    assert_eq!(
        error,
        TokenizeError::TooLong {
            tokens: 9,
            limit: 8
        }
    );
}

#[test]
fn says_what_is_wrong_with_its_files() {
    let files = Files::new("wrong");
    let problem = || files.load().unwrap_err().to_string();
    files.write("target.spm", b"no model");
    assert!(problem().contains("target.spm"));
    fs::remove_file(files.0.join("target.spm")).unwrap();
    assert!(problem().contains("is missing"));
    for (vocabulary, expected) in [
        ("[]", "vocab.json"),
        (r#"{"<unk>": 1}"#, "</s>"),
        (r#"{"</s>": 3}"#, "the manifest says 0"),
        (r#"{"</s>": 0}"#, "<unk>"),
        (r#"{"</s>": 0, "<unk>": 1}"#, ">>es<<"),
        (r#"{"</s>": 0, "far": 13}"#, "13"),
        (r#"{"</s>": 0, "a\u0000": 3}"#, "NUL"),
    ] {
        files.write("vocab.json", vocabulary.as_bytes());
        assert!(problem().contains(expected), "{vocabulary}: {}", problem());
    }
}
