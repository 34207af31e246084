//! Why a client has to leave, found out in one place and acted upon in others.

use hive_actors::livekit::proto::{DisconnectReason, LeaveRequest, leave_request::Action};
use tokio::sync::watch;

/// Why this connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The client said that it leaves.
    Left,
    /// A message was no `SignalRequest`.
    Malformed,
    /// A message was text; the protocol is spoken in binary here.
    Text,
    /// A message was larger than `http.signal.max_frame`.
    Oversized,
    /// What came was no WebSocket frame.
    Protocol,
    /// More messages than `http.signal` permits.
    Flood,
    /// The room did not do what a message asks for in time.
    Stuck,
}

impl Verdict {
    /// For metrics and logs.
    pub(super) fn label(self) -> &'static str {
        match self {
            Verdict::Left => "left",
            Verdict::Malformed => "malformed",
            Verdict::Text => "text",
            Verdict::Oversized => "oversized",
            Verdict::Protocol => "protocol",
            Verdict::Flood => "flood",
            Verdict::Stuck => "stuck",
        }
    }

    /// What the room is told.
    pub(super) fn reason(self) -> DisconnectReason {
        match self {
            Verdict::Left => DisconnectReason::ClientInitiated,
            _ => DisconnectReason::StateMismatch,
        }
    }

    /// What the client is told, unless it knows. A client that broke the protocol would break it again,
    /// so it is to stay away; one whose room is stuck is to come again, and so is one that asked for too
    /// much at once, as an application may once do.
    pub(super) fn farewell(self) -> Option<LeaveRequest> {
        match self {
            Verdict::Left => None,
            Verdict::Stuck | Verdict::Flood => Some(leave(self.reason(), Action::Reconnect)),
            _ => Some(leave(self.reason(), Action::Disconnect)),
        }
    }
}

/// A goodbye.
pub(super) fn leave(reason: DisconnectReason, action: Action) -> LeaveRequest {
    LeaveRequest {
        // Clients older than protocol 13 read this and not the action.
        can_reconnect: action != Action::Disconnect,
        reason: reason.into(),
        action: action.into(),
        regions: None,
    }
}

/// Where the verdict is given; the first one counts.
#[derive(Clone, Debug)]
pub(super) struct Judge(watch::Sender<Option<Verdict>>);

/// Where it is waited for.
#[derive(Debug)]
pub(super) struct Judgement(watch::Receiver<Option<Verdict>>);

impl Judge {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    pub(super) fn pass(&self, verdict: Verdict) {
        let is_first = self.0.send_if_modified(|passed| {
            let is_first = passed.is_none();
            passed.get_or_insert(verdict);
            is_first
        });
        if is_first && verdict != Verdict::Left {
            metrics::counter!("hive_signal_refused_total", "reason" => verdict.label())
                .increment(1);
            tracing::info!(
                reason = verdict.label(),
                "a client has to leave for what it sent"
            );
        }
    }

    pub(super) fn judgement(&self) -> Judgement {
        Judgement(self.0.subscribe())
    }
}

impl Judgement {
    /// The verdict, once there is one; cancel-safe.
    pub(super) async fn passed(&mut self) -> Verdict {
        if let Ok(passed) = self.0.wait_for(Option::is_some).await
            && let Some(verdict) = *passed
        {
            return verdict;
        }
        // All who could judge are gone, so nobody will.
        std::future::pending().await
    }
}
