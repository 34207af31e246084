//! A client's connection, as the front door holds it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Topology;
use super::admission::{MAX_METADATA, attributes_len_with};
use super::language::Languages;
use super::member::{Member, leave};
use super::proto::{
    self, DisconnectReason, leave_request, request_response, signal_request, signal_response,
    simulate_scenario::Scenario,
};
use crate::hall::Hall;
use crate::room::Room;
use crate::service::check_name;

/// The longest request that its answer repeats, in bytes.
const MAX_REPEATED: usize = 2 * MAX_METADATA;

/// The longest that a client may be told that it speaks, in seconds.
const MAX_SIMULATED_SPEECH: i32 = 60;

/// One signalling connection of a participant. Dropping it without [`Client::leave`] is a cut
/// connection: the participant stays for a while and may resume.
pub struct Client {
    pub(super) hall: Arc<Hall>,
    pub(super) room: Arc<Room>,
    pub(super) member: Arc<Member>,
    link: u64,
}

/// What a client is told, in order. The first message is a `Join` or a `Reconnect`; after a `Leave`
/// there is none.
pub struct Outbox {
    member: Arc<Member>,
    link: u64,
}

impl Client {
    pub(super) fn new(
        hall: Arc<Hall>,
        room: Arc<Room>,
        member: Arc<Member>,
        link: u64,
    ) -> (Client, Outbox) {
        let outbox = Outbox {
            member: member.clone(),
            link,
        };
        let client = Client {
            hall,
            room,
            member,
            link,
        };
        (client, outbox)
    }

    /// The participant's `PA_…`.
    pub fn sid(&self) -> &str {
        &self.member.sid
    }

    /// Whether the client still speaks for its participant: it has not left, nobody took its place, and
    /// it was not resumed over another connection.
    pub(super) fn is_current(&self) -> bool {
        self.member.is_current(self.link)
    }

    /// Does what a client asks for. Answers go to the [`Outbox`]; a client that breaks the protocol
    /// gets a `Leave` there.
    pub async fn handle(&self, message: signal_request::Message) {
        use signal_request::Message;
        if !self.is_current() {
            return ignored("former");
        }
        match message {
            Message::Offer(offer) => self.offered(offer).await,
            Message::Answer(answer) => self.answered(answer).await,
            Message::Trickle(trickle) => self.trickled(&trickle),
            Message::AddTrack(request) => self.add_track(request),
            Message::Mute(request) => self.mute(&request.sid, request.muted),
            Message::Subscription(update) => self.subscribe(&update),
            Message::TrackSetting(settings) => self.set_track(settings),
            Message::SubscriptionPermission(permission) => self.permit(permission),
            Message::SyncState(state) => self.synchronise(state),
            Message::Leave(_) => self.leave(DisconnectReason::ClientInitiated),
            Message::UpdateMetadata(update) => self.update_own(update),
            Message::UpdateAudioTrack(update) => self.update_audio(update),
            Message::UpdateVideoTrack(update) => self.update_track(&update.track_sid, |info| {
                info.width = update.width;
                info.height = update.height;
            }),
            Message::Simulate(simulate) => self.simulate(simulate.scenario),
            Message::PublishDataTrackRequest(request) => self.refuse(
                0,
                request_response::Reason::UnsupportedType,
                "this server has no data tracks; send data packets",
                Some(request_response::Request::PublishDataTrack(request)),
            ),
            Message::UnpublishDataTrackRequest(request) => self.refuse(
                0,
                request_response::Reason::UnsupportedType,
                "this server has no data tracks",
                Some(request_response::Request::UnpublishDataTrack(request)),
            ),
            Message::StoreDataBlobRequest(proto::StoreDataBlobRequest { request_id, .. })
            | Message::GetDataBlobRequest(proto::GetDataBlobRequest { request_id, .. }) => self
                .refuse(
                    request_id,
                    request_response::Reason::UnsupportedType,
                    "this server keeps no data blobs; use metadata or attributes",
                    None,
                ),
            // The request knows no answer, and there are no data tracks.
            Message::UpdateDataSubscription(_) => ignored("update_data_subscription"),
            // The layers are seen in the packets.
            #[allow(deprecated, reason = "older clients still send it")]
            Message::UpdateLayers(_) => ignored("update_layers"),
            // The front door answers them.
            Message::Ping(_) | Message::PingReq(_) => {}
        }
    }

    /// The client is gone for good, or has to go: its tracks are unpublished and everybody is told.
    pub fn leave(&self, reason: DisconnectReason) {
        if !self.is_current() {
            // The stay is over, or goes on over another connection.
            return;
        }
        let message = (reason != DisconnectReason::ClientInitiated)
            .then(|| leave(reason, leave_request::Action::Disconnect));
        self.hall.dismiss(&self.room, &self.member, reason, message);
    }

    /// Tells that a request was not carried out.
    pub(super) fn refuse(
        &self,
        request_id: u32,
        reason: request_response::Reason,
        message: &str,
        request: Option<request_response::Request>,
    ) {
        metrics::counter!("hive_signal_requests_refused_total", "reason" => reason.as_str_name())
            .increment(1);
        self.respond(request_id, reason, message, request);
    }

    /// Tells what became of a request.
    fn respond(
        &self,
        request_id: u32,
        reason: request_response::Reason,
        message: &str,
        request: Option<request_response::Request>,
    ) {
        let request = request.filter(|request| request.encoded_len() <= MAX_REPEATED);
        self.member.tell(signal_response::Message::RequestResponse(
            proto::RequestResponse {
                request_id,
                reason: reason.into(),
                message: message.to_owned(),
                request,
            },
        ));
    }

    /// A participant changes their own name, metadata or attributes.
    fn update_own(&self, update: proto::UpdateParticipantMetadata) {
        let mut changed = false;
        let refused = {
            let mut state = self.room.state.lock();
            let Some(participant) = state.stay_mut(&self.member) else {
                return;
            };
            if !participant.profile.permission.can_update_metadata {
                Some((
                    request_response::Reason::NotAllowed,
                    "the token's grant lacks canUpdateOwnMetadata".to_owned(),
                ))
            } else if update.metadata.len() > MAX_METADATA
                || attributes_len_with(&participant.profile.attributes, &update.attributes)
                    > MAX_METADATA
            {
                Some((
                    request_response::Reason::LimitExceeded,
                    "metadata and attributes hold 64 KiB at most".to_owned(),
                ))
            } else if !update.name.is_empty() && check_name("name", &update.name).is_err() {
                Some((
                    request_response::Reason::InvalidRequest,
                    "a name has at most 256 bytes and no control character".to_owned(),
                ))
            } else if let Some(error) = Languages::refusal(&update.attributes, &self.hall.engines) {
                Some((request_response::Reason::InvalidRequest, error.to_string()))
            } else {
                let metadata = update.metadata.clone();
                changed = participant.update(&update.name, metadata, &update.attributes);
                None
            }
        };
        match refused {
            Some((reason, message)) => self.refuse(
                update.request_id,
                reason,
                &message,
                Some(request_response::Request::UpdateMetadata(update)),
            ),
            None => {
                if changed {
                    self.hall.fit_microphone(&self.room, &self.member.identity);
                    self.room.roster_changed();
                }
                // Clients of protocol 15 and later number their requests and wait for this.
                if update.request_id != 0 {
                    self.respond(
                        update.request_id,
                        request_response::Reason::Ok,
                        "",
                        Some(request_response::Request::UpdateMetadata(update)),
                    );
                }
            }
        }
    }

    /// What a client's tests ask for (LiveKit's `SimulateScenario`).
    fn simulate(&self, scenario: Option<Scenario>) {
        use leave_request::Action;
        match scenario {
            Some(Scenario::ServerLeave(true)) => self.leave(DisconnectReason::ServerShutdown),
            Some(Scenario::LeaveRequestFullReconnect(true)) => {
                let message = leave(DisconnectReason::StateMismatch, Action::Reconnect);
                self.hall.dismiss(
                    &self.room,
                    &self.member,
                    DisconnectReason::StateMismatch,
                    Some(message),
                );
            }
            // The connection breaks: this participant is still here for the next one, …
            Some(Scenario::Migration(true)) => {
                self.member.disconnect(self.link, Instant::now());
            }
            // … and this one is not.
            Some(Scenario::NodeFailure(true)) => {
                let reason = DisconnectReason::SignalClose;
                self.hall.dismiss(&self.room, &self.member, reason, None);
            }
            Some(Scenario::SpeakerUpdate(seconds)) => self.seem_to_speak(seconds),
            _ => self.refuse(
                0,
                request_response::Reason::UnsupportedType,
                "this server does not simulate that",
                None,
            ),
        }
    }

    /// Tells the client for some seconds that it speaks.
    fn seem_to_speak(&self, seconds: i32) {
        let speaker = |active: bool| {
            signal_response::Message::SpeakersChanged(proto::SpeakersChanged {
                speakers: vec![proto::SpeakerInfo {
                    sid: self.member.sid.to_string(),
                    level: if active { 0.9 } else { 0.0 },
                    active,
                }],
            })
        };
        self.member.tell(speaker(true));
        let (member, silent) = (self.member.clone(), speaker(false));
        let time =
            Duration::from_secs(seconds.clamp(0, MAX_SIMULATED_SPEECH).unsigned_abs().into());
        actix::spawn(async move {
            tokio::time::sleep(time).await;
            member.tell(silent);
        });
    }

    /// Has the subscriber's peer connection of a client with two of them restart ICE.
    pub(super) async fn restart_subscriber(&self) {
        if self.member.topology == Topology::PublisherAndSubscriber {
            super::negotiation::offer_subscriber(&self.hall, &self.room, &self.member, true).await;
        }
    }
}

/// Counts a message that came out of order, or about something that is not there, and has no answer that would say so.
pub(super) fn ignored(kind: &'static str) {
    metrics::counter!("hive_signal_ignored_total", "kind" => kind).increment(1);
}

impl Drop for Client {
    fn drop(&mut self) {
        self.member.disconnect(self.link, Instant::now());
    }
}

impl Outbox {
    /// The next message; cancel-safe. None once the connection is over.
    pub async fn next(&mut self) -> Option<signal_response::Message> {
        self.member.next(self.link).await
    }
}
