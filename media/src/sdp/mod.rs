//! Session descriptions: offers are read, answers are written from our own state.

pub mod answer;
pub mod candidates;
pub mod formats;
pub mod fragment;
pub mod layers;
pub mod offer;
pub mod ours;
pub mod section;
pub mod sources;
