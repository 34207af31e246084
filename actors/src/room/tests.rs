//! Rooms with scripted engines: who is interpreted for whom, and until when.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hive_media::{Certificate, MediaWorker, PeerId, TrackId, WorkerConfig};
use hive_models::Lang;
use tokio::sync::broadcast;

use super::{Publishing, Room, RoomState};
use crate::channel::{Channel, ChannelInput, FrameSink, SpokenClause};
use crate::events::EventBus;
use crate::events::schema::{CaptionKind, EventBody, RoomEvent};
use crate::hall::Hall;
use crate::livekit::interpreter::Interpreter;
use crate::livekit::member::Member;
use crate::livekit::permission::Allowed;
use crate::livekit::roster::Publication;
use crate::livekit::{LISTENS, Topology, proto};
use crate::pipeline::journal::{Journal, Speaker};
use crate::pipeline::stage;
use crate::pipeline::tests::{in_virtual_time, packets, pause, say, scripted_engines};
use crate::service::SessionId;
use crate::settings::{ChannelSettings, PipelineSettings, ServiceSettings};
use crate::supervision::{ChildSpec, RootOptions, SupervisorHandle, start_root};

static NEXT_TRACK: AtomicU64 = AtomicU64::new(1_000);

/// A room of clients of LiveKit's whose actors run.
struct House {
    hall: Arc<Hall>,
    room: Arc<Room>,
    root: SupervisorHandle,
    events: broadcast::Receiver<Arc<RoomEvent>>,
    said: u32,
}

impl House {
    async fn open() -> House {
        let certificate = Arc::new(Certificate::generate().expect("a certificate"));
        let mut config = WorkerConfig::new("127.0.0.1:0".parse().expect("an address"), certificate);
        config.tcp = false;
        let worker = MediaWorker::start(config, |_| {}).expect("a worker");
        let hall = Hall::new(ServiceSettings::default(), scripted_engines(), vec![worker]);
        let hall = Arc::new(hall);
        let rooms = ChildSpec::supervisor("rooms", stage::lenient("rooms"));
        let root = start_root(stage::lenient("hive").child(rooms), RootOptions::default());
        root.ready().await.expect("the tree stands");
        hall.set_supervisor(root.supervisor(&root.path().join("rooms")));
        let room = hall.room("demo").await.expect("a room");
        let events = room.bus.receiver();
        House {
            hall,
            room,
            root,
            events,
            said: 0,
        }
    }

    fn publish(&self, identity: &str) -> Arc<str> {
        let sid = publish(&mut self.room.state.lock(), identity);
        self.hall.fit_microphone(&self.room, &identity.into());
        self.room.roster_changed();
        sid
    }

    fn unpublish(&self, identity: &str, sid: &str) {
        {
            let mut state = self.room.state.lock();
            let who = state.participants.get_mut(identity).expect("they are here");
            who.publications.remove(sid);
        }
        self.hall.fit_microphone(&self.room, &identity.into());
        self.room.roster_changed();
    }

    /// Speaks in real (virtual) time into the microphone that they have.
    async fn speak(&mut self, identity: &str, samples: &[f32]) {
        for packet in packets(samples, self.said) {
            microphone(&self.room.state.lock(), identity)
                .journal
                .push_packet(packet);
            self.said += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn interprets(&self, identity: &str) -> bool {
        let state = self.room.state.lock();
        state.participants[identity].publishing.is_some()
    }

    /// The words of the final captions so far.
    fn finals(&mut self) -> Vec<(String, Vec<String>)> {
        let events = std::iter::from_fn(|| self.events.try_recv().ok());
        let finals = events.filter_map(|event| match &event.body {
            EventBody::Caption(caption) if caption.kind == CaptionKind::Final => {
                let word = |text: &str| text.split('c').next().unwrap_or_default().to_owned();
                let words = caption.words.iter().map(|it| word(&it.text)).collect();
                Some((caption.utterance.to_string(), words))
            }
            _ => None,
        });
        finals.collect()
    }
}

/// Lets a client of LiveKit's in.
fn enter(state: &mut RoomState, identity: &str, attributes: &[(&str, &str)]) -> Arc<Member> {
    let peer = PeerId(1_000 + state.participants.len() as u64);
    let (identity, sid): (Arc<str>, Arc<str>) = (identity.into(), format!("PA_{identity}").into());
    let member = Member::new(
        identity.clone(),
        sid.clone(),
        Topology::Single,
        peer,
        peer,
        true,
    );
    let member = Arc::new(member);
    let participant = state.participant(&identity, None);
    participant.profile.sid = sid;
    let given = attributes.iter();
    participant.profile.attributes = given
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect::<HashMap<_, _>>();
    participant.heed_attributes();
    participant.member = Some(member.clone());
    member
}

/// Publishes a microphone; gives its sid.
fn publish(state: &mut RoomState, identity: &str) -> Arc<str> {
    let who = state.participants.get_mut(identity).expect("they are here");
    let peer = who.member.as_ref().expect("a client").publisher;
    let track = TrackId(NEXT_TRACK.fetch_add(1, Ordering::Relaxed));
    let (sid, publication) = Publication::microphone(peer, track);
    who.publications.insert(sid.clone(), publication);
    sid
}

/// As [`House::publish`], where no actors run.
fn speak_into_a_microphone(state: &mut RoomState, identity: &str) -> Publishing {
    let sid = publish(state, identity);
    let numbering = state.numbering(&identity.into());
    let who = state.participants.get_mut(identity).expect("they are here");
    let owner = who.member.clone().expect("a client");
    let speaker = Speaker {
        identity: identity.into(),
        lang: Lang::EN,
    };
    let bus = Arc::new(EventBus::new("demo".into()));
    let settings = PipelineSettings::default();
    let publishing = Publishing {
        session: SessionId::random(),
        peer: owner.publisher,
        track: who.publications[&sid].track,
        sid,
        owner: Some(owner),
        journal: Arc::new(Journal::new(speaker, settings, bus, numbering)),
    };
    who.speak_into(publishing.clone(), Instant::now());
    publishing
}

fn microphone(state: &RoomState, identity: &str) -> Publishing {
    let publishing = state.participants[identity].publishing.clone();
    publishing.expect("they have a microphone")
}

struct Nowhere;

impl FrameSink for Nowhere {
    fn write(&self, _: Bytes, _: u32, _: u8) {}
}

fn voice() -> Channel {
    let bus = Arc::new(EventBus::new("demo".into()));
    let settings = ChannelSettings::default();
    Channel::new(Lang::ES, TrackId(7), Box::new(Nowhere), bus, settings)
}

#[test]
fn who_publishes_anew_at_once_is_captioned_again_and_their_last_words_are_not_lost() {
    in_virtual_time(async {
        let mut house = House::open().await;
        {
            let mut state = house.room.state.lock();
            enter(&mut state, "ann", &[]);
            enter(&mut state, "bob", &[]);
            state.asks.captions = true;
        }
        let first = house.publish("ann");
        house.speak("ann", &[pause(200), say(1..4)].concat()).await;
        assert!(house.finals().is_empty(), "she is in the middle of it");
        let former = microphone(&house.room.state.lock(), "ann");
        house.unpublish("ann", &first);
        let second = house.publish("ann");
        assert_ne!(first, second);
        // Silence is made up for what comes no more.
        for packet in packets(&pause(600), house.said) {
            former.journal.push_packet(packet);
        }
        house
            .speak("ann", &[pause(200), say(7..9), pause(600)].concat())
            .await;
        let finals: HashMap<String, Vec<String>> = house.finals().into_iter().collect();
        let words = |utterance| finals.get(utterance).map(|words| words.join(" "));
        assert_eq!(words("ann-1").as_deref(), Some("w1 w2 w3"), "{finals:?}");
        assert_eq!(words("ann-2").as_deref(), Some("w7 w8"), "{finals:?}");
        house.root.shutdown().await;
    });
}

#[test]
fn a_microphone_that_is_spoken_into_is_kept_while_it_is_published() {
    in_virtual_time(async {
        let house = House::open().await;
        enter(&mut house.room.state.lock(), "ann", &[]);
        // The sids are random, so which one a list begins with is, too.
        for _ in 0..8 {
            house.publish("ann");
            let first = microphone(&house.room.state.lock(), "ann").session;
            let other = house.publish("ann");
            let then = microphone(&house.room.state.lock(), "ann").session;
            assert_eq!(then, first);
            house.unpublish("ann", &other);
        }
        house.root.shutdown().await;
    });
}

#[test]
fn nobody_listens_to_one_who_is_hidden_or_encrypts() {
    in_virtual_time(async {
        let house = House::open().await;
        enter(&mut house.room.state.lock(), "ann", &[]);
        {
            let mut state = house.room.state.lock();
            let sid = publish(&mut state, "ann");
            let ann = state.participants.get_mut("ann").expect("ann");
            let publication = ann.publications.get_mut(&sid).expect("a track");
            publication.info.encryption = proto::encryption::Type::Gcm.into();
        }
        house.hall.fit_microphone(&house.room, &"ann".into());
        assert!(!house.interprets("ann"), "nobody here can decrypt it");

        enter(&mut house.room.state.lock(), "bob", &[]);
        {
            let mut state = house.room.state.lock();
            let bob = state.participants.get_mut("bob").expect("bob");
            bob.profile.permission.hidden = true;
        }
        house.publish("bob");
        assert!(!house.interprets("bob"));
        house.root.shutdown().await;
    });
}

#[test]
fn the_interpreter_of_one_who_left_speaks_to_the_end_but_not_for_ever() {
    let mut state = RoomState::default();
    enter(&mut state, "ann", &[]);
    enter(&mut state, "bob", &[]);
    speak_into_a_microphone(&mut state, "ann");
    let ann: Arc<str> = "ann".into();
    let spanish = Arc::new(voice());
    state
        .voices
        .insert((Lang::ES, ann.clone()), spanish.clone());
    let clause = SpokenClause {
        clause: "ann-1.0".into(),
        utterance: "ann-1".into(),
        speaker: ann.clone(),
        source_end_ms: 0.0,
        heard: None,
    };
    spanish.speak(&clause, &[0.5; 5 * 960], true);
    let left = Instant::now();
    let speaks = |state: &RoomState| state.participants["ann"].publishing.is_some();
    state.participants.get_mut("ann").expect("ann").hung_up = Some(left);
    state.let_go(left + Duration::from_secs(5));
    assert!(speaks(&state), "the interpreter still speaks for them");
    let mut encoder = spanish.encoder().expect("an encoder");
    for frame in 0..5 {
        spanish.tick(&mut encoder, left + Duration::from_millis(20 * frame));
    }
    state.let_go(left + Duration::from_secs(5));
    assert!(!speaks(&state), "it has said all");

    speak_into_a_microphone(&mut state, "ann");
    spanish.speak(&clause, &[0.5; 5 * 960], true);
    state.participants.get_mut("ann").expect("ann").hung_up = Some(left);
    state.let_go(left + Duration::from_secs(10));
    assert!(!speaks(&state), "there is an end to it");
}

#[test]
fn utterances_of_one_who_comes_back_have_other_names_and_those_who_left_are_forgotten() {
    let mut state = RoomState::default();
    let count = |state: &mut RoomState, who: &str| {
        state.numbering(&who.into()).fetch_add(1, Ordering::Relaxed) + 1
    };
    enter(&mut state, "ann", &[]);
    assert_eq!(count(&mut state, "ann"), 1);
    assert_eq!(count(&mut state, "ann"), 2);
    state.participants.get_mut("ann").expect("ann").member = None;
    state.let_go(Instant::now());
    assert!(state.numbering.is_empty());
    enter(&mut state, "ann", &[]);
    assert_eq!(count(&mut state, "ann"), 3);
}

/// Ann speaks English; the room's interpreter publishes her in Spanish.
fn interpreted() -> (RoomState, Publishing, Arc<Member>) {
    let mut state = RoomState::default();
    let ann = enter(&mut state, "ann", &[]);
    let publishing = speak_into_a_microphone(&mut state, "ann");
    let mut interpreter = Interpreter::new();
    interpreter.publish(Lang::ES, &"ann".into(), TrackId(7));
    state.interpreter = Some(interpreter);
    (state, publishing, ann)
}

#[test]
fn a_voice_is_made_only_while_somebody_else_takes_it() {
    let (mut state, ann, _) = interpreted();
    state.asks.languages = [Lang::ES].into();
    let demand = |state: &RoomState| state.demand_of(&"ann".into(), &ann);
    assert!(demand(&state).voiced.is_empty(), "ann is alone");
    assert!(demand(&state).read.is_empty());
    assert!(demand(&state).captions, "she may read what she says");

    let bob = enter(&mut state, "bob", &[(LISTENS, "none")]);
    assert!(demand(&state).voiced.is_empty(), "bob listens to nothing");
    let track = {
        let interpreter = state.interpreter.as_ref().expect("an interpreter");
        interpreter
            .track_of(Lang::ES, &"ann".into())
            .expect("a voice")
            .to_string()
    };
    let wish = |state: bool| {
        let subscriptions = &mut bob.state.lock().subscriptions;
        let change = |wish: &mut bool| *wish = state;
        subscriptions
            .wishes
            .change(&[track.as_str()], HashSet::new, change);
    };
    wish(true);
    assert_eq!(
        demand(&state).voiced,
        [Lang::ES].into(),
        "but asks for this"
    );
    wish(false);
    assert!(demand(&state).voiced.is_empty());

    enter(&mut state, "cec", &[(LISTENS, "es")]);
    let wanted = demand(&state);
    assert_eq!(wanted.voiced, [Lang::ES].into());
    assert_eq!(wanted.read, [Lang::ES].into());
}

#[test]
fn nothing_is_made_for_those_who_may_not_have_it() {
    let (mut state, publishing, ann) = interpreted();
    state.asks.languages = [Lang::ES].into();
    enter(&mut state, "bob", &[]);
    let demand = |state: &RoomState| state.demand_of(&"ann".into(), &publishing);
    assert_eq!(demand(&state).voiced, [Lang::ES].into());
    let nobody = Allowed::new(proto::SubscriptionPermission::default()).expect("it is short");
    ann.state.lock().allows = Some(nobody);
    assert!(demand(&state).voiced.is_empty(), "ann lets nobody hear her");
    assert!(demand(&state).read.is_empty());
    ann.state.lock().allows = None;
    let bob = state.participants.get_mut("bob").expect("bob");
    bob.profile.permission.can_subscribe = false;
    assert!(demand(&state).voiced.is_empty(), "bob may not subscribe");
    assert!(demand(&state).read.is_empty());
}

#[test]
fn what_a_speaker_listens_to_themselves_is_not_made_of_their_own_words() {
    let (mut state, publishing, _) = interpreted();
    let ann = state.participants.get_mut("ann").expect("ann");
    ann.profile
        .attributes
        .insert(LISTENS.to_owned(), "es".to_owned());
    ann.heed_attributes();
    enter(&mut state, "bob", &[]);
    let demand = state.demand_of(&"ann".into(), &publishing);
    assert!(
        demand.voiced.is_empty() && demand.read.is_empty(),
        "{demand:?}"
    );
}
