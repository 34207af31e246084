//! Behaviour of the whole core, in virtual time.

mod channels;
mod codecs;
mod connecting;
mod continuity;
mod forwarding;
mod hostile;
mod joining;
mod keyframes;
mod layers;
mod limits;
mod muting;
mod offered;
mod paths;
mod prominence;
mod reoffers;
mod reporting;
mod rooms;
mod sections;
mod sources;
mod synchrony;
