//! Sequences that are decoded together, a step at a time.

use std::sync::Arc;

use super::decoder::CrossBatch;
use super::{CrossStates, DecodeError, Decoded, Decoder, Row, RowsOutput, Search};
use crate::backend::RunError;

/// A sequence that left the batch by itself.
#[derive(Debug)]
pub struct Finished<K> {
    /// What it joined as.
    pub key: K,
    /// What was found, or why nothing was.
    pub result: Result<Decoded, DecodeError>,
}

#[derive(Debug)]
struct Member<K> {
    key: K,
    search: Search,
    cross: Arc<CrossStates>,
}

/// Sequences of any rooms, decoded by one model. Join and leave between steps.
#[derive(Debug)]
pub struct Batch<K> {
    decoder: Arc<Decoder>,
    members: Vec<Member<K>>,
    /// Cross-attention of the last step's members, which are usually the next step's.
    cross: Option<CrossBatch>,
}

impl<K: PartialEq> Batch<K> {
    /// An empty batch.
    pub fn new(decoder: Arc<Decoder>) -> Batch<K> {
        Batch {
            decoder,
            members: Vec::new(),
            cross: None,
        }
    }

    /// The model.
    pub fn decoder(&self) -> &Arc<Decoder> {
        &self.decoder
    }

    /// Sequences in it.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether no sequence is in it.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Rows that the next step feeds: one for a greedy sequence, one a beam for others.
    pub fn rows(&self) -> usize {
        let rows = |member: &Member<K>| member.search.hypotheses().len();
        self.members.iter().map(rows).sum()
    }

    /// Adds a sequence, which takes part from the next step on. `key` names it; keys should differ.
    pub fn join(&mut self, key: K, search: Search, cross: Arc<CrossStates>) {
        self.members.push(Member { key, search, cross });
    }

    /// Takes a sequence out before its end.
    pub fn leave(&mut self, key: &K) -> Option<Search> {
        let index = self.members.iter().position(|member| member.key == *key)?;
        Some(self.members.remove(index).search)
    }

    /// How far a sequence is.
    pub fn get(&self, key: &K) -> Option<&Search> {
        let member = self.members.iter().find(|member| member.key == *key)?;
        Some(&member.search)
    }

    /// Feeds every sequence its next tokens and takes out those that come to their end, or that fail:
    /// where a run fails, each of its sequences is tried alone, so that only the culprit is lost.
    ///
    /// One run of the graph; a second one in steps in which sequences join with longer prompts, which
    /// would otherwise make the others wait for padding.
    pub fn step(&mut self) -> Vec<Finished<K>> {
        let long = |&index: &usize| self.members[index].search.hypotheses()[0].pending() > 1;
        let (prompts, others): (Vec<usize>, Vec<usize>) = (0..self.members.len()).partition(long);
        let mut ended = Vec::new();
        self.feed(&prompts, false, &mut ended);
        self.feed(&others, true, &mut ended);
        ended.sort_by_key(|&(index, _)| index);
        let mut finished: Vec<Finished<K>> = ended
            .into_iter()
            .rev()
            .map(|(index, error)| {
                let Member { key, search, .. } = self.members.remove(index);
                Finished {
                    key,
                    result: match error {
                        Some(error) => Err(error),
                        None => Ok(search.into_decoded()),
                    },
                }
            })
            .collect();
        finished.reverse();
        finished
    }

    /// Feeds the members at `indices`, ascending, and notes in `ended` who is done, or why not.
    fn feed(
        &mut self,
        indices: &[usize],
        steady: bool,
        ended: &mut Vec<(usize, Option<DecodeError>)>,
    ) {
        if indices.is_empty() {
            return;
        }
        let fed: Vec<usize> = indices
            .iter()
            .map(|&index| self.members[index].search.hypotheses()[0].pending())
            .collect();
        let output = match self.run(indices, steady) {
            Ok(output) => output,
            Err(error) => {
                match indices {
                    [only] => ended.push((*only, Some(error.into()))),
                    _ => indices
                        .iter()
                        .for_each(|&index| self.feed(&[index], false, ended)),
                }
                return;
            }
        };
        let mut first = 0;
        for (&index, fed) in indices.iter().zip(fed) {
            let Member { search, cross, .. } = &mut self.members[index];
            let rows = search.hypotheses().len();
            match search.advance(&output, first, fed, cross.frames()) {
                Ok(false) => {}
                Ok(true) => ended.push((index, None)),
                Err(error) => ended.push((index, Some(error))),
            }
            first += rows;
        }
    }

    /// One run of the decoder over all hypotheses of the members at `indices`.
    fn run(&mut self, indices: &[usize], steady: bool) -> Result<RowsOutput, RunError> {
        let mut crosses = Vec::new();
        let mut rows = Vec::new();
        for (index, member) in self.members.iter_mut().enumerate() {
            if indices.binary_search(&index).is_err() {
                continue;
            }
            for hypothesis in member.search.hypotheses_mut() {
                crosses.push(member.cross.clone());
                let fed = hypothesis.cache.rows();
                rows.push(Row {
                    ids: &hypothesis.ids[fed..],
                    cache: Arc::make_mut(&mut hypothesis.cache),
                });
            }
        }
        if !steady {
            return self.decoder.run(&mut rows, &crosses);
        }
        let assembled = match self.cross.take() {
            Some(known) if known.is_of(&crosses) => known,
            _ => self.decoder.assemble(&crosses)?,
        };
        let output = self.decoder.run_assembled(&mut rows, &assembled);
        self.cross = Some(assembled);
        output
    }
}

#[cfg(test)]
mod tests;
