//! What the pipeline promises, in virtual time, with scripted engines.
//!
//! The engines here are strict: a sample that is lost, doubled or out of place changes a word, and a
//! word that is lost, doubled or changed changes a sound. So comparing what came out of a run in which
//! stages were killed with what came out of an undisturbed one proves that nothing was.

mod barge_in;
mod chaos;
mod demand;
mod engines;
mod failures;
mod real;
mod rig;

pub(crate) use engines::{pause, say};
pub(crate) use rig::{in_virtual_time, packets};

/// Engines that need no models.
pub(crate) fn scripted_engines() -> crate::engines::Engines {
    rig::scripted().0
}
