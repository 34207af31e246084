//! Fresh tokens for clients that stay: the token that a client came with bounds when it may join, and a
//! client that loses its connection later has to be let in again, as what it is by then.

use std::time::Duration;

use actix_web::web;
use futures_util::{Stream, StreamExt, stream};
use hive_actors::livekit::proto::{ParticipantUpdate, signal_response::Message};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::grants;
use crate::{
    auth::{Claims, unix_seconds},
    http::app::Door,
};

/// How often a client gets one; the first comes at once, as its own may be about to expire.
const INTERVAL: Duration = Duration::from_secs(300);
/// How long one lives: one interval, and time to come back after a cut.
const LIFE: Duration = Duration::from_secs(900);

/// Whose tokens are renewed, and with what.
struct Renewal<S> {
    outbox: S,
    due: Interval,
    door: web::Data<Door>,
    /// The participant's `PA_…`.
    sid: String,
    claims: Claims,
    /// Whether the client's token says something else.
    changed: bool,
}

/// What the room tells, with tokens in between: they say what `claims` say, and what the room has told
/// since of the participant `sid`.
pub(super) fn with_fresh_tokens(
    outbox: impl Stream<Item = Message> + Unpin,
    door: web::Data<Door>,
    sid: String,
    claims: Claims,
) -> impl Stream<Item = Message> {
    let mut due = interval(INTERVAL);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let renewal = Renewal {
        outbox,
        due,
        door,
        sid,
        claims,
        changed: false,
    };
    stream::unfold(renewal, |mut renewal| async move {
        let message = renewal.next().await?;
        Some((message, renewal))
    })
}

impl<S: Stream<Item = Message> + Unpin> Renewal<S> {
    async fn next(&mut self) -> Option<Message> {
        loop {
            if std::mem::take(&mut self.changed)
                && let Some(token) = token(&self.door, &self.claims)
            {
                return Some(Message::RefreshToken(token));
            }
            tokio::select! {
                biased;
                message = self.outbox.next() => {
                    if let Some(Message::Update(update)) = &message {
                        self.learn(update);
                    }
                    return message;
                }
                _ = self.due.tick() => self.changed = true,
            }
        }
    }

    /// Somebody may have changed the participant's name or permission, for instance.
    fn learn(&mut self, update: &ParticipantUpdate) {
        for who in update.participants.iter().filter(|who| who.sid == self.sid) {
            let now = grants::of_participant(&self.claims, who);
            self.changed |= now != self.claims;
            self.claims = now;
        }
    }
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
