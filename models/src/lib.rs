//! HIVE's engines: samples in, words out; words in, samples out.
//!
//! Each engine is defined by what it does, as a trait, and has one implementation made of what
//! Debian and PyPI package:
//!
//! | trait | implementation | how it runs |
//! |---|---|---|
//! | [`vad::VoiceActivity`] | [`vad::SileroVad`] | ONNX graph on tract, batched over speakers |
//! | [`stt::SpeechToText`] | [`stt::pocketsphinx::Decoder`] | static C library, one decoder a speaker |
//! | [`mt::Translate`] | [`mt::apertium::ApertiumPool`] | child processes (GPL, never linked) |
//! | [`tts::Synthesise`] | [`tts::espeak::EspeakPool`] | child processes (GPL, never linked) |
//!
//! Whisper ([`stt::whisper`]) and Marian ([`mt::marian`]) stand beside them as graphs on a [`backend`], from
//! directories with a [`manifest`], decoded by [`seq2seq`]; they are not behind the traits yet.
//!
//! Around them are the policies that make them usable live, all free of I/O and of time:
//! [`vad::Endpointer`], [`stt::agreement::LocalAgreement`], [`mt::truecase`] and
//! [`mt::stable_prefix::StablePrefix`].
//!
//! There are no actors and no sockets here. What blocks says so; what is asynchronous works under
//! any tokio runtime, because the children are driven by threads of this crate's own.

pub mod backend;
mod children;
mod engine_future;
mod lang;
pub mod manifest;
pub mod mt;
pub mod seq2seq;
pub mod stt;
pub mod tts;
pub mod vad;

pub use engine_future::EngineFuture;
pub use lang::{Lang, LangPair, ParseLangError};
