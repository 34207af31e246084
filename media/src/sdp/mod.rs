//! Session descriptions: offers are read, answers are written from our own state.

pub mod answer;
pub mod fragment;
pub mod offer;
