//! Webhooks: what happens to rooms, posted to applications as LiveKit does it, so that LiveKit's libraries
//! receive them.
//!
//! Every receiver has a bounded queue and a sender of its own, so that one that does not answer delays nobody
//! else. A sender posts one event at a time, so a receiver gets them in order; what a receiver misses, it is
//! told the number of.

mod backoff;
mod distribute;
mod event;
mod post;
mod sender;
mod signature;
#[cfg(test)]
mod tests;

use actix_web::rt;
use futures_util::{StreamExt, future::join_all, stream};
use hive_actors::livekit::Lifecycle;
use rand::{SeedableRng, rngs::StdRng};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

pub use post::StartWebhooksError;

use self::{
    backoff::Backoff,
    distribute::{Queue, distribute},
    post::{HttpPost, clients},
    sender::{Patience, Sender},
    signature::Signer,
};
use crate::{
    auth::{Keyring, unix_seconds},
    config::Config,
};

/// Whether the configured receivers could be told, as far as that can be said without telling them.
///
/// # Errors
/// See [`StartWebhooksError`].
pub fn check(config: &Config) -> Result<(), StartWebhooksError> {
    post::receivers(&config.webhook.urls).map(|_| ())
}

/// The senders at work.
#[must_use = "dropping it ends the webhooks"]
pub struct Webhooks {
    /// Dropped when no more events are awaited.
    closing: oneshot::Sender<()>,
    tasks: Vec<JoinHandle<()>>,
}

impl Webhooks {
    /// Sends what has happened so far and what waits in the queues, then ends. What a receiver that does not
    /// answer is still to be told takes its time; whoever has none left drops this.
    pub async fn finish(self) {
        drop(self.closing);
        join_all(self.tasks).await;
    }
}

/// Starts to tell the configured receivers of the events of `lifecycle`, which is not called if there are none.
/// Has to be called inside an actix system.
///
/// # Errors
/// See [`StartWebhooksError`].
pub fn start(
    config: &Config,
    lifecycle: impl FnOnce() -> Lifecycle,
) -> Result<Option<Webhooks>, StartWebhooksError> {
    let webhook = &config.webhook;
    let Some(api_key) = &webhook.api_key else {
        return Ok(None);
    };
    if webhook.urls.is_empty() {
        return Ok(None);
    }
    let signer = Signer {
        keyring: Keyring::new(&config.auth),
        api_key: api_key.clone(),
        now: unix_seconds,
    };
    let patience = Patience {
        timeout: webhook.timeout,
        max_attempts: webhook.max_attempts,
        backoff: Backoff {
            first: webhook.backoff,
            longest: webhook.max_backoff,
        },
    };
    let mut queues = Vec::new();
    let mut tasks = Vec::new();
    for (url, client) in clients(&webhook.urls)? {
        let (events, waiting) = mpsc::channel(webhook.queue);
        let queue = Queue::new(events, &url);
        let sender = Sender {
            receiver: queue.receiver.clone(),
            missed: queue.missed.clone(),
            post: HttpPost::new(client, url),
            signer: signer.clone(),
            patience,
        };
        queues.push(queue);
        tasks.push(rt::spawn(
            sender.run(waiting, StdRng::from_rng(&mut rand::rng())),
        ));
    }
    tracing::info!(receivers = queues.len(), api_key, "webhooks are sent");
    let events = stream::unfold(lifecycle(), |mut lifecycle| async {
        let next = lifecycle.next().await?;
        Some((next, lifecycle))
    });
    let (closing, closed) = oneshot::channel();
    let ids = event::Ids::new(StdRng::from_rng(&mut rand::rng()));
    tasks.push(rt::spawn(distribute(
        events.boxed_local(),
        queues,
        ids,
        closed,
    )));
    Ok(Some(Webhooks { closing, tasks }))
}
