//! Which words of a growing translation can be shown for good.
//!
//! Each time more of the source is committed the clause is translated anew. The longest common prefix
//! of successive translations is emitted and never taken back (re-translation with LocalAgreement: Liu
//! et al., Interspeech 2020), but for the last `hold` words, which wait for context (mask-k:
//! Arivazhagan et al., "Re-translation versus Streaming for Simultaneous Translation", IWSLT 2020).

/// What a translation added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stable {
    /// Words now emitted; they follow all those emitted before.
    pub added: Vec<String>,
    /// Words after the emitted ones, which may still change.
    pub tail: Vec<String>,
}

/// The policy's state for one clause.
#[derive(Debug, Clone, Default)]
pub struct StablePrefix {
    hold: usize,
    emitted: Vec<String>,
    /// The previous translation's words after the emitted ones.
    previous: Option<Vec<String>>,
}

impl StablePrefix {
    /// Starts a clause; the last `hold` words of each translation but the final one wait.
    pub fn new(hold: usize) -> Self {
        Self::resume(hold, Vec::new())
    }

    /// Continues a clause of which `emitted` has been shown.
    pub fn resume(hold: usize, emitted: Vec<String>) -> Self {
        StablePrefix {
            hold,
            emitted,
            previous: None,
        }
    }

    /// All words emitted so far.
    pub fn emitted(&self) -> &[String] {
        &self.emitted
    }

    /// Takes the translation of what is committed of the source so far.
    pub fn update(&mut self, translation: &str) -> Stable {
        let mut tail = self.tail(translation);
        let agreed = match &self.previous {
            Some(previous) => {
                let prefix = previous
                    .iter()
                    .zip(&tail)
                    .take_while(|(a, b)| a == b)
                    .count();
                prefix.min(tail.len().saturating_sub(self.hold))
            }
            None => 0,
        };
        let added: Vec<String> = tail.drain(..agreed).collect();
        self.emitted.extend_from_slice(&added);
        self.previous = Some(tail.clone());
        Stable { added, tail }
    }

    /// Takes the translation of the whole clause: all of it is emitted.
    pub fn finish(&mut self, translation: &str) -> Stable {
        let added = self.tail(translation);
        self.emitted.extend_from_slice(&added);
        self.previous = None;
        Stable {
            added,
            tail: Vec::new(),
        }
    }

    fn tail(&self, translation: &str) -> Vec<String> {
        let words: Vec<String> = translation.split_whitespace().map(str::to_owned).collect();
        words[tail_start(&self.emitted, &words)..].to_vec()
    }
}

/// The index of the first word of `words` after what corresponds to `emitted`: the prefix with the
/// smallest edit distance to it, of those the one of nearest length.
fn tail_start(emitted: &[String], words: &[String]) -> usize {
    if words.starts_with(emitted) {
        return emitted.len();
    }
    let mut row: Vec<usize> = (0..=words.len()).collect();
    for (i, shown) in emitted.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (k, word) in words.iter().enumerate() {
            let replaced = diagonal + usize::from(!word.eq_ignore_ascii_case(shown));
            diagonal = row[k + 1];
            row[k + 1] = replaced.min(diagonal + 1).min(row[k] + 1);
        }
    }
    (0..=words.len())
        .min_by_key(|&k| (row[k], k.abs_diff(emitted.len())))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(words: &[String]) -> String {
        words.join(" ")
    }

    #[test]
    fn the_common_prefix_is_emitted_once() {
        let mut stable = StablePrefix::new(0);
        assert_eq!(stable.update("Necesitamos").added.len(), 0);
        let second = stable.update("Necesitamos acabar");
        assert_eq!(
            (text(&second.added), text(&second.tail)),
            ("Necesitamos".into(), "acabar".into())
        );
        let last = stable.finish("Necesitamos acabar el proyecto");
        assert_eq!(text(&last.added), "acabar el proyecto");
        assert_eq!(text(stable.emitted()), "Necesitamos acabar el proyecto");
    }

    #[test]
    fn emitted_words_never_change_when_the_translation_reorders() {
        let mut stable = StablePrefix::new(0);
        stable.update("la nueva");
        stable.update("la nueva oficina");
        assert_eq!(text(stable.emitted()), "la nueva");
        assert_eq!(
            text(&stable.finish("la oficina nueva grande").added),
            "nueva grande"
        );
    }

    #[test]
    fn held_words_wait() {
        let mut stable = StablePrefix::new(1);
        stable.update("uno dos");
        assert_eq!(text(&stable.update("uno dos").added), "uno");
        assert_eq!(text(&stable.finish("uno dos").added), "dos");
    }

    #[test]
    fn a_resumed_clause_repeats_nothing() {
        let mut stable = StablePrefix::resume(0, vec!["Hola".into()]);
        assert_eq!(text(&stable.finish("Hola mundo").added), "mundo");
    }

    #[test]
    fn a_shorter_translation_takes_nothing_back() {
        let mut stable = StablePrefix::resume(0, vec!["uno".into(), "dos".into()]);
        assert_eq!(stable.finish("uno"), Stable::default());
        assert_eq!(stable.finish(""), Stable::default());
    }
}
