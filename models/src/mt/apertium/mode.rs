//! Apertium's `.mode` files: which programs, joined by pipes, translate a pair of languages.

use std::path::{Path, PathBuf};

use crate::children::find_program;
use crate::{Lang, LangPair};

/// Where Debian's language pairs put their modes.
pub const DEBIAN_MODES: &str = "/usr/share/apertium/modes";

/// Why Apertium cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartApertiumError {
    /// No language pair is installed.
    #[error("no Apertium language pair is in {}: install one, for example with `apt install apertium-eng-spa`", .directory.display())]
    NoPairs {
        /// Where they were looked for.
        directory: PathBuf,
    },
    /// A program of the pipeline is not on the search path.
    #[error("the program `{program}` is missing: install it with `apt install {package}`")]
    MissingProgram {
        /// The program.
        program: String,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// A data file of the pair is not there.
    #[error("{} is missing, which {pair} needs: install it with `apt install --reinstall apertium-{}-{}`", .file.display(), .pair.from.iso639_3(), .pair.to.iso639_3())]
    MissingData {
        /// The file.
        file: PathBuf,
        /// The pair.
        pair: LangPair,
    },
    /// A mode file cannot be read or makes no sense.
    #[error("the Apertium mode {} cannot be used: {reason}", .file.display())]
    BadMode {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No thread could be started.
    #[error("no thread can be started for Apertium: {reason}")]
    NoThread {
        /// The system's words.
        reason: String,
    },
}

/// Puts a blank between two words that have none, just before they are inflected.
///
/// Rules written for older Apertium ask for the blank that the source had in a place; Apertium 3.8 gives
/// nothing where it had none, and `lo` and `utilizan` become `loutilizan`.
const SEPARATE: [&str; 3] = ["sed", "-zu", r"s/\$^\([^[:punct:]]\)/$ ^\1/g"];

/// One pair's programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mode {
    pub(super) pair: LangPair,
    /// Program and arguments of each stage, with NUL flushing on.
    pub(super) stages: Vec<Vec<String>>,
}

impl Mode {
    /// The modes of a directory that translate one plain language to another, all checked.
    pub(super) fn discover(directory: &Path) -> Result<Vec<Mode>, StartApertiumError> {
        let no_pairs = || StartApertiumError::NoPairs {
            directory: directory.to_owned(),
        };
        let entries = std::fs::read_dir(directory).map_err(|_| no_pairs())?;
        let mut modes = Vec::new();
        for file in entries.flatten().map(|entry| entry.path()) {
            let Some(pair) = pair_of(&file) else { continue };
            let bad = |reason: String| StartApertiumError::BadMode {
                file: file.clone(),
                reason,
            };
            let text = std::fs::read_to_string(&file).map_err(|error| bad(error.to_string()))?;
            let stages = stages(&text).map_err(bad)?;
            let mode = Mode { pair, stages };
            mode.check()?;
            modes.push(mode);
        }
        modes.sort_by_key(|mode| mode.pair);
        if modes.is_empty() {
            Err(no_pairs())
        } else {
            Ok(modes)
        }
    }

    fn check(&self) -> Result<(), StartApertiumError> {
        for stage in &self.stages {
            let program = &stage[0];
            for (program, package) in [
                (program.as_str(), package_of(program)),
                ("setpriv", "util-linux"),
            ] {
                if find_program(program).is_none() {
                    return Err(StartApertiumError::MissingProgram {
                        program: program.to_owned(),
                        package,
                    });
                }
            }
            let files = stage
                .iter()
                .filter(|argument| argument.starts_with('/'))
                .map(PathBuf::from);
            for file in files {
                if !file.is_file() {
                    return Err(StartApertiumError::MissingData {
                        file,
                        pair: self.pair,
                    });
                }
            }
        }
        Ok(())
    }
}

/// `eng-spa.mode` → English to Spanish; none for variants (`spa-eng_US.mode`) and other files.
fn pair_of(file: &Path) -> Option<LangPair> {
    if file.extension()? != "mode" {
        return None;
    }
    let (from, to) = file.file_stem()?.to_str()?.split_once('-')?;
    let lang = |code: &str| {
        let plain = code.bytes().all(|byte| byte.is_ascii_lowercase());
        if plain {
            code.parse::<Lang>().ok()
        } else {
            None
        }
    };
    Some(LangPair::new(lang(from)?, lang(to)?))
}

fn package_of(program: &str) -> &'static str {
    match program {
        "lt-proc" => "lttoolbox",
        "lrx-proc" => "apertium-lex-tools",
        "cg-proc" => "cg3",
        "sed" => "sed",
        _ => "apertium",
    }
}

/// The stages of a mode's one line of shell, which Apertium generates and which quotes with `'` only.
///
/// `$1` is the generator's option: `-n` writes unknown words without their mark. `$2` is the
/// tagger's, and stays empty. `-z` makes each program flush at NUL. [`SEPARATE`] comes before the
/// generator.
fn stages(text: &str) -> Result<Vec<Vec<String>>, String> {
    let mut stages = Vec::new();
    let mut stage: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for character in text.trim().chars().chain(['|']) {
        match character {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            _ if quoted => word.get_or_insert_default().push(character),
            '|' => {
                stage.extend(word.take());
                stages.push(std::mem::take(&mut stage));
            }
            _ if character.is_whitespace() => stage.extend(word.take()),
            '"' | '\\' | '`' | ';' | '&' | '(' | ')' | '<' | '>' => {
                return Err(format!("`{character}` is not expected in a mode"));
            }
            _ => word.get_or_insert_default().push(character),
        }
    }
    if quoted {
        return Err("a quote is not closed".into());
    }
    let mut generator = None;
    for (index, stage) in stages.iter_mut().enumerate() {
        for argument in stage.iter_mut().filter(|argument| *argument == "$1") {
            *argument = "-n".into();
            generator = Some(index);
        }
        stage.retain(|argument| argument != "$2");
        if stage.is_empty() {
            return Err("a stage has no program".into());
        }
        stage.insert(1, "-z".into());
    }
    if let Some(generator) = generator {
        stages.insert(generator, SEPARATE.map(str::to_owned).to_vec());
    }
    Ok(stages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_becomes_programs_that_flush() {
        let text = "lt-proc '/a b/x.bin' | apertium-tagger -g $2 '/y' |lt-proc $1 '/z'\n";
        let expected: [&[&str]; 4] = [
            &["lt-proc", "-z", "/a b/x.bin"],
            &["apertium-tagger", "-z", "-g", "/y"],
            &SEPARATE,
            &["lt-proc", "-z", "-n", "/z"],
        ];
        assert_eq!(stages(text).expect("well formed"), expected);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "a || b", "a 'b", "a > /etc/passwd", "a; b"] {
            assert!(stages(text).is_err(), "{text}");
        }
    }

    #[test]
    fn variants_are_not_pairs() {
        let pair = |name: &str| pair_of(Path::new(name)).map(|pair| pair.to_string());
        assert_eq!(pair("/m/eng-spa.mode").as_deref(), Some("en-es"));
        assert_eq!(pair("/m/spa-eng_US.mode"), None);
        assert_eq!(pair("/m/README"), None);
        assert_eq!(pair("/m/eng.mode"), None);
    }

    #[test]
    fn what_is_missing_names_its_package() {
        let error = Mode::discover(Path::new("/nonexistent")).expect_err("nothing there");
        assert!(
            error.to_string().contains("apt install apertium-eng-spa"),
            "{error}"
        );

        let pair = LangPair::new(Lang::EN, Lang::ES);
        let mode = Mode {
            pair,
            stages: vec![vec!["lt-proc".into(), "/nonexistent.bin".into()]],
        };
        let error = mode.check().expect_err("no such file");
        assert!(error.to_string().contains("apertium-eng-spa"), "{error}");
        let mode = Mode {
            pair,
            stages: vec![vec!["no-such-program".into()]],
        };
        let error = mode.check().expect_err("no such program");
        assert!(
            error.to_string().contains("apt install apertium"),
            "{error}"
        );
    }
}
