//! Behaviour of the whole core, in virtual time.

mod channels;
mod codecs;
mod connecting;
mod continuity;
mod forwarding;
mod hostile;
mod joining;
mod layers;
mod offered;
mod paths;
mod prominence;
mod reoffers;
mod reporting;
mod rooms;
mod sections;
mod sources;
