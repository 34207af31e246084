use super::super::Topology;
use super::super::proto::{AddTrackRequest, SignalResponse, SimulcastCodec, TrackSource};
use super::*;
use hive_media::PeerId;

const AUDIO: &str = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n";
const VIDEO: &str = "m=video 9 UDP/TLS/RTP/SAVPF 96 98\r\na=rtpmap:96 VP8/90000\r\n\
                     a=rtpmap:98 VP9/90000\r\n";

/// An offer of sections: the media, the direction, and the track that each names.
fn offer(sections: &[(&str, &str, &str)]) -> Offer {
    let fingerprint = ["AB"; 32].join(":");
    let mids: Vec<String> = (0..sections.len()).map(|mid| mid.to_string()).collect();
    let mut sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {}\r\n",
        mids.join(" ")
    );
    for (mid, (media, direction, track)) in sections.iter().enumerate() {
        sdp += &format!(
            "{media}a=mid:{mid}\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n\
             a=setup:actpass\r\na=fingerprint:sha-256 {fingerprint}\r\na={direction}\r\n\
             a=rtcp-mux\r\na=msid:- {track}\r\n"
        );
    }
    Offer::parse(&sdp).expect("an offer")
}

fn member(announced: &[(&str, TrackType)]) -> Member {
    let peer = PeerId(1);
    let member = Member::new(
        "ann".into(),
        "PA_ann".into(),
        Topology::Single,
        peer,
        peer,
        true,
    );
    member.connect();
    for (cid, kind) in announced {
        announce(&member, cid, *kind);
    }
    member
}

/// Announces a track; its sid is its cid.
fn announce(member: &Member, cid: &str, kind: TrackType) {
    member.state.lock().pending.push(Pending {
        sid: cid.into(),
        request: AddTrackRequest {
            cid: cid.to_owned(),
            r#type: kind.into(),
            source: TrackSource::Microphone.into(),
            ..Default::default()
        },
        codec: None,
    });
}

/// The track of each section that is received.
fn received(member: &Member, offer: &Offer) -> Vec<(String, String)> {
    let described = proto::SessionDescription::default();
    let mut state = member.state.lock();
    let receives = state.sections_to_receive(&offer.sections, &described);
    let track = |(mid, _): (String, Preference)| {
        let sid = state.mids[&mid].to_string();
        (mid, sid)
    };
    receives.into_iter().map(track).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(mid, sid): &(&str, &str)| ((*mid).to_owned(), (*sid).to_owned());
    pairs.iter().map(owned).collect()
}

#[test]
fn a_section_without_an_announcement_does_not_take_that_of_another() {
    let member = member(&[("second", TrackType::Audio)]);
    let offer = offer(&[(AUDIO, "sendonly", "first"), (AUDIO, "sendonly", "second")]);
    assert_eq!(received(&member, &offer), pairs(&[("1", "second")]));
}

#[test]
fn a_section_whose_name_nobody_knows_takes_the_oldest_of_its_kind() {
    let member = member(&[("camera", TrackType::Video), ("voice", TrackType::Audio)]);
    let offer = offer(&[(AUDIO, "sendonly", "random"), (AUDIO, "recvonly", "-")]);
    assert_eq!(received(&member, &offer), pairs(&[("0", "voice")]));
}

#[test]
fn a_withdrawn_section_waits_for_a_track_that_names_it_or_to_be_used_again() {
    let member = member(&[("voice", TrackType::Audio)]);
    let sends = offer(&[(AUDIO, "sendonly", "voice")]);
    assert_eq!(received(&member, &sends), pairs(&[("0", "voice")]));
    member.state.lock().pending.clear();
    member.withdraw("voice");
    announce(&member, "other", TrackType::Audio);
    assert!(
        received(&member, &sends).is_empty(),
        "the client sends it still"
    );

    // The new track comes in a section of its own, while the old one is still offered.
    let both = offer(&[(AUDIO, "sendonly", "voice"), (AUDIO, "sendonly", "random")]);
    assert_eq!(received(&member, &both), pairs(&[("1", "other")]));

    // The client stops, and then sends something new in the old section.
    let stopped = offer(&[(AUDIO, "inactive", "-"), (AUDIO, "sendonly", "random")]);
    received(&member, &stopped);
    announce(&member, "third", TrackType::Audio);
    let again = offer(&[(AUDIO, "sendonly", "odd"), (AUDIO, "sendonly", "random")]);
    assert_eq!(
        received(&member, &again),
        pairs(&[("0", "third"), ("1", "other")])
    );
}

#[test]
fn a_withdrawn_section_is_received_again_once_its_own_track_is_announced() {
    let member = member(&[("voice", TrackType::Audio)]);
    let sends = offer(&[(AUDIO, "sendonly", "voice")]);
    received(&member, &sends);
    member.state.lock().pending.clear();
    member.withdraw("voice");
    announce(&member, "voice", TrackType::Audio);
    assert_eq!(received(&member, &sends), pairs(&[("0", "voice")]));
    assert!(member.state.lock().withdrawn.is_empty());
}

#[tokio::test]
async fn what_was_announced_is_forgotten_with_the_permission() {
    let member = member(&[("voice", TrackType::Audio)]);
    let permission = ParticipantPermission {
        can_publish: true,
        can_publish_sources: vec![TrackSource::Camera.into()],
        ..Default::default()
    };
    member.forget_announced(&permission);
    assert!(member.state.lock().pending.is_empty());
    let told = SignalResponse {
        message: member.next(1).await,
    };
    assert!(
        matches!(
            &told.message,
            Some(signal_response::Message::TrackUnpublished(it)) if it.track_sid == "voice"
        ),
        "{told:?}"
    );
}

#[test]
fn the_codec_is_the_one_preferred_if_it_is_offered_and_else_the_first() {
    let member = member(&[("a", TrackType::Video), ("b", TrackType::Video)]);
    member.state.lock().pending[1].request.simulcast_codecs = vec![SimulcastCodec {
        codec: "vp9".to_owned(),
        ..Default::default()
    }];
    received(
        &member,
        &offer(&[(VIDEO, "sendonly", "a"), (VIDEO, "sendonly", "b")]),
    );
    let state = member.state.lock();
    let codecs: Vec<_> = state.pending.iter().map(|it| it.codec).collect();
    assert_eq!(codecs, [Some(VideoCodec::Vp8), Some(VideoCodec::Vp9)]);
    assert_eq!(
        codec(&offer(&[(AUDIO, "sendonly", "a")]).sections[0], None),
        None
    );
}
