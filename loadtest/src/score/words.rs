//! Words compared: normalisation and alignment.

/// A word as it is compared: lower case, letters, digits and inner apostrophes only.
pub fn normalise(word: &str) -> String {
    word.to_lowercase()
        .replace('\u{2019}', "'")
        .chars()
        .filter(|c| c.is_alphanumeric() || *c == '\'')
        .collect::<String>()
        .trim_matches('\'')
        .to_owned()
}

/// One step of an alignment; indices into reference and hypothesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The same word in both.
    Match(usize, usize),
    /// Another word in the hypothesis.
    Substitution(usize, usize),
    /// A word missing from the hypothesis.
    Deletion(usize),
    /// A word only in the hypothesis.
    Insertion(usize),
}

/// Align two word lists with the fewest edits (Levenshtein 1966, by dynamic programming).
///
/// Words are compared as they are: normalise them first. Takes time and memory in proportion to
/// the product of the lengths.
pub fn align<S: AsRef<str>>(reference: &[S], hypothesis: &[S]) -> Vec<Step> {
    let (rows, columns) = (reference.len() + 1, hypothesis.len() + 1);
    let mut cost = vec![0u32; rows * columns];
    for row in 0..rows {
        for column in 0..columns {
            cost[row * columns + column] = match (row, column) {
                (0, n) | (n, 0) => n as u32,
                _ => {
                    let same = reference[row - 1].as_ref() == hypothesis[column - 1].as_ref();
                    let diagonal = cost[(row - 1) * columns + column - 1] + u32::from(!same);
                    let up = cost[(row - 1) * columns + column] + 1;
                    let left = cost[row * columns + column - 1] + 1;
                    diagonal.min(up).min(left)
                }
            };
        }
    }
    let mut steps = Vec::with_capacity(rows.max(columns));
    let (mut row, mut column) = (rows - 1, columns - 1);
    while row > 0 || column > 0 {
        let here = cost[row * columns + column];
        if row > 0 && column > 0 {
            let same = reference[row - 1].as_ref() == hypothesis[column - 1].as_ref();
            if here == cost[(row - 1) * columns + column - 1] + u32::from(!same) {
                (row, column) = (row - 1, column - 1);
                steps.push(if same {
                    Step::Match(row, column)
                } else {
                    Step::Substitution(row, column)
                });
                continue;
            }
        }
        if row > 0 && here == cost[(row - 1) * columns + column] + 1 {
            row -= 1;
            steps.push(Step::Deletion(row));
        } else {
            column -= 1;
            steps.push(Step::Insertion(column));
        }
    }
    steps.reverse();
    steps
}

/// Edits of an alignment that are errors.
pub fn errors(steps: &[Step]) -> usize {
    steps
        .iter()
        .filter(|step| !matches!(step, Step::Match(..)))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<&str> {
        text.split_whitespace().collect()
    }

    #[test]
    fn words_are_compared_without_case_and_punctuation() {
        assert_eq!(normalise("Monday,"), "monday");
        assert_eq!(normalise("We\u{2019}ll"), "we'll");
        assert_eq!(normalise("'tis"), "tis");
        assert_eq!(normalise("¿Qué?"), "qué");
    }

    #[test]
    fn an_alignment_names_every_edit() {
        let steps = align(&split("a b c d"), &split("a x c d e"));
        assert_eq!(
            steps,
            [
                Step::Match(0, 0),
                Step::Substitution(1, 1),
                Step::Match(2, 2),
                Step::Match(3, 3),
                Step::Insertion(4),
            ]
        );
        assert_eq!(errors(&steps), 2);
    }

    #[test]
    fn nothing_aligns_with_nothing() {
        assert!(align::<&str>(&[], &[]).is_empty());
        assert_eq!(
            align(&split("a b"), &[]),
            [Step::Deletion(0), Step::Deletion(1)]
        );
    }
}
