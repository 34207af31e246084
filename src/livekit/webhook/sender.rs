//! Tells one receiver of every event, in order.

use std::{sync::Arc, time::Duration};

use hive_actors::livekit::proto::WebhookEvent;
use rand::Rng;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

use super::{
    backoff::Backoff,
    distribute::Missed,
    event,
    post::{Answer, Message, Post, PostError},
    signature::Signer,
};
use crate::auth::IssueTokenError;

/// How long an event is worth the trouble.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Of one attempt.
    pub(super) timeout: Duration,
    pub(super) max_attempts: u32,
    pub(super) backoff: Backoff,
}

/// One receiver's sender.
pub(super) struct Sender<P> {
    /// What logs call it.
    pub(super) receiver: Arc<str>,
    pub(super) missed: Missed,
    pub(super) post: P,
    pub(super) signer: Signer,
    pub(super) patience: Patience,
}

/// Why an event was not delivered.
#[derive(Debug, thiserror::Error)]
enum DeliverError {
    /// The receiver does not want it, and will not next time.
    #[error("the receiver refuses it with status {0}")]
    Refused(u16),
    /// It did not work out often enough.
    #[error("given up after {attempts} attempts; the last one: {last}")]
    GivenUp { attempts: u32, last: String },
    #[error(transparent)]
    Sign(#[from] IssueTokenError),
    #[error("it cannot be written as JSON: {0}")]
    Encode(#[from] serde_json::Error),
}

/// What an attempt came to.
enum Verdict {
    Delivered,
    Refused(u16),
    /// Worth another attempt, not before so long.
    Again(String, Duration),
}

fn judge(answer: Result<Answer, PostError>) -> Verdict {
    match answer {
        Ok(Answer {
            status: 200..=299, ..
        }) => Verdict::Delivered,
        Ok(Answer {
            status: status @ (429 | 500..=599),
            retry_after,
        }) => Verdict::Again(format!("status {status}"), retry_after.unwrap_or_default()),
        Ok(Answer { status, .. }) => Verdict::Refused(status),
        Err(error) => Verdict::Again(error.to_string(), Duration::ZERO),
    }
}

impl<P: Post> Sender<P> {
    /// Until the queue ends.
    pub(super) async fn run(
        self,
        mut waiting: mpsc::Receiver<Arc<WebhookEvent>>,
        mut rng: impl Rng,
    ) {
        while let Some(event) = waiting.recv().await {
            let missed = self.missed.take();
            let outcome = match self.deliver(&event, missed, &mut rng).await {
                Ok(()) => {
                    tracing::debug!(receiver = %self.receiver, event = event.event, id = event.id, "a webhook was delivered");
                    "delivered"
                }
                Err(error) => {
                    tracing::warn!(receiver = %self.receiver, event = event.event, id = event.id, %error, "a webhook was not delivered");
                    self.missed.add(missed.saturating_add(1));
                    match error {
                        DeliverError::Refused(_) => "refused",
                        _ => "given_up",
                    }
                }
            };
            metrics::counter!("hive_webhooks_total", "outcome" => outcome).increment(1);
        }
    }

    async fn deliver(
        &self,
        event: &WebhookEvent,
        missed: u32,
        rng: &mut impl Rng,
    ) -> Result<(), DeliverError> {
        let Patience {
            timeout: patience,
            max_attempts,
            backoff,
        } = self.patience;
        let body = bytes::Bytes::from(event::body(event, missed)?);
        let mut attempts = 1;
        loop {
            // Signed anew each time: the last attempt may be minutes after the first.
            let message = Message {
                body: body.clone(),
                token: self.signer.sign(&body)?,
            };
            let answer = timeout(patience, self.post.post(message))
                .await
                .unwrap_or(Err(PostError::Timeout));
            let (last, at_least) = match judge(answer) {
                Verdict::Delivered => return Ok(()),
                Verdict::Refused(status) => return Err(DeliverError::Refused(status)),
                Verdict::Again(last, at_least) => (last, at_least),
            };
            if attempts >= max_attempts {
                return Err(DeliverError::GivenUp { attempts, last });
            }
            let wait = backoff
                .wait(attempts, rng)
                .max(at_least.min(backoff.longest));
            tracing::debug!(receiver = %self.receiver, id = event.id, attempts, ?wait, last, "a webhook is tried again");
            metrics::counter!("hive_webhook_retries_total").increment(1);
            sleep(wait).await;
            attempts += 1;
        }
    }
}
