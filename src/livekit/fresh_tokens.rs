//! Fresh tokens for clients that stay: the token that a client came with bounds when it may join, and a
//! client that loses its connection later has to be let in again.

use std::time::Duration;

use actix_web::web;
use futures_util::{Stream, StreamExt, stream};
use hive_actors::livekit::proto::signal_response::Message;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::{
    auth::{Claims, unix_seconds},
    http::app::Door,
};

/// How often a client gets one; the first comes at once, as its own may be about to expire.
const INTERVAL: Duration = Duration::from_secs(300);
/// How long one lives: one interval, and time to come back after a cut.
const LIFE: Duration = Duration::from_secs(900);

/// What the room tells, with tokens that say what `claims` say in between.
pub(super) fn with_fresh_tokens(
    outbox: impl Stream<Item = Message> + Unpin,
    door: web::Data<Door>,
    claims: Claims,
) -> impl Stream<Item = Message> {
    let mut due = interval(INTERVAL);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    stream::unfold((outbox, due, door, claims), next)
}

async fn next<S: Stream<Item = Message> + Unpin>(
    (mut outbox, mut due, door, claims): (S, Interval, web::Data<Door>, Claims),
) -> Option<(Message, (S, Interval, web::Data<Door>, Claims))> {
    let message = loop {
        tokio::select! {
            biased;
            message = outbox.next() => break message?,
            _ = due.tick() => if let Some(token) = token(&door, &claims) {
                break Message::RefreshToken(token);
            },
        }
    };
    Some((message, (outbox, due, door, claims)))
}

fn token(door: &Door, claims: &Claims) -> Option<String> {
    let now = unix_seconds();
    let fresh = Claims {
        nbf: Some(now),
        // One that lives longer than ours would is not cut short.
        exp: claims.exp.max(now.saturating_add(LIFE.as_secs())),
        ..claims.clone()
    };
    door.keyring
        .sign(&fresh)
        .inspect_err(|error| tracing::warn!(%error, "a client's token could not be renewed"))
        .ok()
}
