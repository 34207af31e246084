//! A room made of a log, for tests of what the session does. What it is like is in its name.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{FutureExt, Stream, StreamExt, future::LocalBoxFuture, stream};
use hive_actors::livekit::{
    JoinRequest, ResumeError, ResumeRequest,
    proto::{
        DisconnectReason, JoinResponse, ParticipantInfo, ParticipantPermission, ParticipantUpdate,
        ReconnectResponse, SessionDescription, signal_request, signal_response,
    },
};
use parking_lot::{Condvar, Mutex};
use tokio::sync::mpsc;

use super::{SignalClient, SignalConnection, SignalOutbox};

/// The participant that may resume.
pub(crate) const SID: &str = "PA_ann";

/// What happened to a client.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Told {
    Handled(Box<signal_request::Message>),
    Left(DisconnectReason),
    Dropped,
}

/// What happened to all of them.
#[derive(Clone, Default)]
pub(crate) struct SignalLog(Arc<Log>);

#[derive(Default)]
struct Log {
    told: Mutex<Vec<Told>>,
    more: Condvar,
    joined: Mutex<Vec<JoinRequest>>,
    resumed: Mutex<Vec<ResumeRequest>>,
}

impl SignalLog {
    pub(crate) fn join(&self, request: JoinRequest) -> SignalConnection {
        let (client, outbox) = self.connection(&request.room);
        self.0.joined.lock().push(request);
        let join = signal_response::Message::Join(JoinResponse {
            participant: Some(ParticipantInfo {
                sid: SID.to_owned(),
                ..ParticipantInfo::default()
            }),
            ..JoinResponse::default()
        });
        (client, stream::iter([join]).chain(outbox).boxed_local())
    }

    pub(crate) fn resume(&self, request: ResumeRequest) -> Result<SignalConnection, ResumeError> {
        let known = request.participant_sid == SID;
        let (client, outbox) = self.connection(&request.room);
        self.0.resumed.lock().push(request);
        if !known {
            return Err(ResumeError::UnknownParticipant);
        }
        let reconnect = signal_response::Message::Reconnect(ReconnectResponse::default());
        Ok((
            client,
            stream::iter([reconnect]).chain(outbox).boxed_local(),
        ))
    }

    /// `flood` never stops talking, `stuck` never does what it is asked for, others answer offers
    /// and tell of changes, after which nothing is permitted any more.
    pub(crate) fn connection(&self, room: &str) -> SignalConnection {
        let (to, mut queue) = mpsc::channel(16);
        let answers = stream::poll_fn(move |cx| queue.poll_recv(cx));
        let outbox: SignalOutbox = match room {
            "flood" => flood().boxed_local(),
            _ => answers.boxed_local(),
        };
        let client = ScriptedClient {
            room: room.to_owned(),
            log: self.clone(),
            to: Mutex::new(Some(to)),
        };
        (Box::new(client), outbox)
    }

    pub(crate) fn told(&self) -> Vec<Told> {
        self.0.told.lock().clone()
    }

    pub(crate) fn joined(&self) -> Vec<JoinRequest> {
        self.0.joined.lock().clone()
    }

    pub(crate) fn resumed(&self) -> Vec<ResumeRequest> {
        self.0.resumed.lock().clone()
    }

    /// Blocks until this was told.
    pub(crate) fn wait_for(&self, what: &Told) {
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut told = self.0.told.lock();
        while !told.contains(what) {
            let late = self.0.more.wait_until(&mut told, deadline).timed_out();
            assert!(!late, "{what:?} was not told, but {told:?}");
        }
    }

    fn tell(&self, told: Told) {
        self.0.told.lock().push(told);
        self.0.more.notify_all();
    }
}

fn flood() -> impl Stream<Item = signal_response::Message> {
    let participant = ParticipantInfo {
        metadata: "x".repeat(1000),
        ..ParticipantInfo::default()
    };
    stream::repeat(signal_response::Message::Update(ParticipantUpdate {
        participants: vec![participant],
    }))
}

struct ScriptedClient {
    room: String,
    log: SignalLog,
    to: Mutex<Option<mpsc::Sender<signal_response::Message>>>,
}

impl SignalClient for ScriptedClient {
    fn sid(&self) -> &str {
        SID
    }

    fn handle(&self, message: signal_request::Message) -> LocalBoxFuture<'_, ()> {
        async move {
            if self.room == "stuck" {
                std::future::pending::<()>().await;
            }
            if let signal_request::Message::Offer(offer) = &message {
                let answer = SessionDescription {
                    r#type: "answer".to_owned(),
                    ..offer.clone()
                };
                if let Some(to) = self.to.lock().as_ref() {
                    let _ = to.try_send(signal_response::Message::Answer(answer));
                }
            }
            if let signal_request::Message::UpdateMetadata(update) = &message {
                let who = ParticipantInfo {
                    sid: SID.to_owned(),
                    name: update.name.clone(),
                    attributes: update.attributes.clone(),
                    permission: Some(ParticipantPermission::default()),
                    ..ParticipantInfo::default()
                };
                let update = ParticipantUpdate {
                    participants: vec![who],
                };
                if let Some(to) = self.to.lock().as_ref() {
                    let _ = to.try_send(signal_response::Message::Update(update));
                }
            }
            self.log.tell(Told::Handled(Box::new(message)));
        }
        .boxed_local()
    }

    fn leave(&self, reason: DisconnectReason) {
        *self.to.lock() = None;
        self.log.tell(Told::Left(reason));
    }
}

impl Drop for ScriptedClient {
    fn drop(&mut self) {
        self.log.tell(Told::Dropped);
    }
}
