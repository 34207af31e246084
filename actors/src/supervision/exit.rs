//! Why a child ended.

use std::fmt;

use serde::Serialize;

/// Why an incarnation ended. A [`Restart::Transient`](super::Restart::Transient) child is started
/// again exactly when [`ExitReason::is_abnormal`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", content = "detail", rename_all = "snake_case")]
pub enum ExitReason {
    /// The actor stopped itself (`ctx.stop()`).
    Normal,
    /// Its supervisor asked it to stop and it did, or was killed at its deadline.
    Shutdown,
    /// A panic in its factory, `started`, a handler, a future or its `Drop`; the panic's message.
    Panicked(String),
    /// The actor called [`ChildContext::fail`](super::ChildContext::fail), a mailbox of it stayed
    /// full past a sender's deadline, or it could not be started.
    Failed(String),
    /// No progress for longer than the spec's `hang_after`.
    Hung,
    /// Killed from outside ([`SupervisorHandle::kill`](super::SupervisorHandle::kill)).
    Killed,
    /// It did nothing wrong: another actor blocked the thread that it lived on, or the thread ended.
    ArbiterLost,
    /// A supervisor gave up: more restarts than its intensity allows; the last failure.
    Escalated(String),
    /// Restarted on request ([`SupervisorHandle::restart_child`](super::SupervisorHandle::restart_child)); why.
    Requested(String),
}

impl ExitReason {
    /// Whether the end was a failure. `Normal` and `Shutdown` are not, as in OTP.
    pub fn is_abnormal(&self) -> bool {
        !matches!(self, ExitReason::Normal | ExitReason::Shutdown)
    }

    /// Whether a restart for this reason counts towards the supervisor's intensity. Innocent
    /// bystanders and requests do not.
    pub(crate) fn counts(&self) -> bool {
        !matches!(self, ExitReason::ArbiterLost | ExitReason::Requested(_))
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExitReason::Normal => f.write_str("stopped by itself"),
            ExitReason::Shutdown => f.write_str("shut down"),
            ExitReason::Panicked(message) => write!(f, "panicked: {message}"),
            ExitReason::Failed(message) => write!(f, "failed: {message}"),
            ExitReason::Hung => f.write_str("hung"),
            ExitReason::Killed => f.write_str("killed"),
            ExitReason::ArbiterLost => f.write_str("lost its thread to a sibling that blocked it"),
            ExitReason::Escalated(message) => {
                write!(f, "gave up after too many restarts: {message}")
            }
            ExitReason::Requested(why) => write!(f, "restarted on request: {why}"),
        }
    }
}

/// The text of a caught panic.
pub(crate) fn panic_message(payload: Box<dyn std::any::Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => match payload.downcast::<&'static str>() {
            Ok(text) => (*text).to_owned(),
            Err(_) => "a panic without a message".to_owned(),
        },
    }
}
