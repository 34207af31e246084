//! Has the room do what a client asks for: in order, one thing after the other.

use std::time::Duration;

use hive_actors::livekit::proto::signal_request::Message;
use tokio::{sync::mpsc, time::timeout};

use super::{
    client::SignalClient,
    verdict::{Judge, Verdict},
};

/// Handles what comes into the inbox until the client leaves, has to leave, or its socket is gone. In
/// the last case the client is only dropped, so that it may resume.
pub(super) async fn attend(
    client: Box<dyn SignalClient>,
    mut inbox: mpsc::Receiver<Message>,
    judge: Judge,
    patience: Duration,
) {
    let mut judgement = judge.judgement();
    let verdict = loop {
        let message = tokio::select! {
            biased;
            verdict = judgement.passed() => break verdict,
            message = inbox.recv() => message,
        };
        match message {
            // What was sent before the socket went is done: a goodbye is often the last thing sent.
            None => return,
            Some(Message::Leave(_)) => judge.pass(Verdict::Left),
            Some(message) => tokio::select! {
                biased;
                verdict = judgement.passed() => break verdict,
                handled = timeout(patience, client.handle(message)) => {
                    if handled.is_err() {
                        judge.pass(Verdict::Stuck);
                    }
                }
            },
        }
    };
    client.leave(verdict.reason());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::livekit::test_double::{SignalLog, Told};
    use hive_actors::livekit::proto::{DisconnectReason, LeaveRequest};

    const PATIENCE: Duration = Duration::from_secs(10);

    async fn attended(messages: Vec<Message>, client: &'static str) -> (Vec<Told>, Judge) {
        let (log, judge) = (SignalLog::default(), Judge::new());
        let (to, inbox) = mpsc::channel(messages.len().max(1));
        for message in messages {
            to.try_send(message).expect("room");
        }
        drop(to);
        let (client, _outbox) = log.connection(client);
        attend(client, inbox, judge.clone(), PATIENCE).await;
        (log.told(), judge)
    }

    #[tokio::test(start_paused = true)]
    async fn a_cut_connection_drops_the_client_after_what_it_had_sent() {
        let (told, _) = attended(vec![Message::Ping(1), Message::Ping(2)], "demo").await;
        assert_eq!(
            told,
            [
                Told::Handled(Box::new(Message::Ping(1))),
                Told::Handled(Box::new(Message::Ping(2))),
                Told::Dropped
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_goodbye_is_the_last_thing_that_is_done() {
        let leave = Message::Leave(LeaveRequest::default());
        let (told, _) = attended(vec![Message::Ping(1), leave, Message::Ping(2)], "demo").await;
        assert_eq!(
            told,
            [
                Told::Handled(Box::new(Message::Ping(1))),
                Told::Left(DisconnectReason::ClientInitiated),
                Told::Dropped
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_room_that_is_stuck_costs_the_client_its_place_but_nobody_waits() {
        let started = tokio::time::Instant::now();
        let (told, judge) = attended(vec![Message::Ping(1)], "stuck").await;
        assert_eq!(started.elapsed(), PATIENCE);
        assert_eq!(
            told,
            [Told::Left(DisconnectReason::StateMismatch), Told::Dropped]
        );
        assert_eq!(judge.judgement().passed().await, Verdict::Stuck);
    }
}
