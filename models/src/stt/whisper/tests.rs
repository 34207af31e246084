use super::*;

/// The tokenizer of `tokenizer::tests` and a model that fits it.
pub(super) fn config() -> WhisperConfig {
    serde_json::from_str(
        r#"{"n_mels": 80, "n_fft": 400, "hop": 160, "sample_rate": 16000, "layers": 1, "heads": 1,
            "head_dim": 4, "vocab_size": 1800, "max_source_positions": 1500,
            "max_target_positions": 448, "multilingual": true, "suppress_tokens": [1],
            "begin_suppress_tokens": [32, 259],
            "tokens": {"sot": 260, "eot": 259, "transcribe": 263, "translate": 264, "no_speech": 265,
                "sot_prev": 266, "no_timestamps": 267, "timestamp_begin": 268,
                "languages": {"en": 261, "de": 262}}}"#,
    )
    .unwrap()
}

#[test]
fn a_config_that_does_not_fit_together_is_refused() {
    assert_eq!(config().problem(), None);
    let problem = |change: &dyn Fn(&mut WhisperConfig)| {
        let mut config = config();
        change(&mut config);
        config.problem().unwrap()
    };
    assert!(problem(&|config| config.hop = 100).contains("hop 160"));
    assert!(problem(&|config| config.vocab_size = 262).contains("the token 26"));
    assert!(problem(&|config| config.tokens.languages.clear()).contains("languages"));
    assert!(problem(&|config| config.layers = 0).contains("layers"));
}
