//! Which voices eSpeak NG has.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use crate::Lang;
use crate::children::find_program;

/// Why eSpeak NG cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartEspeakError {
    /// The program is not on the search path.
    #[error("the program `{program}` is missing: install it with `apt install {package}`")]
    MissingProgram {
        /// The program.
        program: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// The program runs and tells no voices.
    #[error(
        "espeak-ng lists no voices ({reason}): install its data with `apt install espeak-ng-data`"
    )]
    NoVoices {
        /// What it said instead.
        reason: String,
    },
    /// A voice of the settings does not exist.
    #[error("espeak-ng has no voice `{voice}`: `espeak-ng --voices={lang}` lists those there are")]
    NoSuchVoice {
        /// The voice.
        voice: String,
        /// The language it was chosen for.
        lang: Lang,
    },
    /// No thread could be started.
    #[error("no thread can be started for espeak-ng: {reason}")]
    NoThread {
        /// The system's words.
        reason: String,
    },
}

/// The voice of each language: those asked for, and eSpeak NG's own choice for the others.
pub(super) fn discover(
    chosen: &BTreeMap<Lang, String>,
) -> Result<BTreeMap<Lang, String>, StartEspeakError> {
    for (program, package) in [("espeak-ng", "espeak-ng"), ("setpriv", "util-linux")] {
        if find_program(program).is_none() {
            return Err(StartEspeakError::MissingProgram { program, package });
        }
    }
    let no_voices = |reason: String| StartEspeakError::NoVoices { reason };
    let listing = Command::new("espeak-ng")
        .arg("--voices")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| no_voices(error.to_string()))?;
    let text = String::from_utf8_lossy(&listing.stdout);
    let mut voices = parse(&text);
    if voices.is_empty() {
        let said = String::from_utf8_lossy(&listing.stderr)
            .trim()
            .chars()
            .take(200)
            .collect();
        return Err(no_voices(said));
    }
    for (&lang, voice) in chosen {
        let known = text.lines().skip(1).any(|line| line.split_whitespace().any(|column| column == voice))
            // Variants such as `es+f3` belong to a listed voice.
            || voice.split_once('+').is_some_and(|(base, _)| voices.values().any(|voice| voice == base));
        if !known {
            return Err(StartEspeakError::NoSuchVoice {
                voice: voice.clone(),
                lang,
            });
        }
        voices.insert(lang, voice.clone());
    }
    Ok(voices)
}

/// From `espeak-ng --voices`: priority, language tag, age/gender, name, file. For each primary
/// language the plain tag wins, or else the one of the best (smallest) priority.
fn parse(listing: &str) -> BTreeMap<Lang, String> {
    let mut best: BTreeMap<Lang, (bool, u32, String)> = BTreeMap::new();
    for line in listing.lines().skip(1) {
        let mut columns = line.split_whitespace();
        let (Some(priority), Some(tag)) = (columns.next(), columns.next()) else {
            continue;
        };
        let (Ok(priority), Ok(lang)) = (priority.parse(), tag.parse::<Lang>()) else {
            continue;
        };
        let rank = (tag != lang.as_str(), priority);
        let better = best
            .get(&lang)
            .is_none_or(|(regional, other, _)| rank < (*regional, *other));
        if better {
            best.insert(lang, (rank.0, rank.1, tag.to_owned()));
        }
    }
    best.into_iter()
        .map(|(lang, (_, _, tag))| (lang, tag))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_tag_wins_over_regions() {
        let listing = "Pty Language Age/Gender VoiceName File Other\n\
             5  es-419  --/M  Spanish_(Latin_America) roa/es-419\n\
             5  es      --/M  Spanish_(Spain) roa/es\n\
             5  en-us   --/M  English_(America) gmw/en-US\n\
             2  en-gb   --/M  English_(Great_Britain) gmw/en\n\
             garbage\n";
        let voices = parse(listing);
        assert_eq!(voices.get(&Lang::ES).map(String::as_str), Some("es"));
        assert_eq!(voices.get(&Lang::EN).map(String::as_str), Some("en-gb"));
    }

    #[test]
    fn debians_voices_are_found_and_a_wrong_one_is_refused() {
        let voices = discover(&BTreeMap::new()).expect("espeak-ng is installed");
        assert_eq!(voices.get(&Lang::ES).map(String::as_str), Some("es"));
        let chosen = BTreeMap::from([(Lang::ES, "es-419".to_owned())]);
        assert_eq!(discover(&chosen).expect("it exists")[&Lang::ES], "es-419");
        let chosen = BTreeMap::from([(Lang::ES, "nobody".to_owned())]);
        let error = discover(&chosen).expect_err("it does not exist");
        assert!(
            error.to_string().contains("espeak-ng --voices=es"),
            "{error}"
        );
    }
}
