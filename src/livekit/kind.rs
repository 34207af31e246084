//! What a message is called in metrics: its field in `livekit_rtc.proto`.

use hive_actors::livekit::proto::{signal_request, signal_response};

/// Of a client's message.
#[allow(
    deprecated,
    reason = "older clients still send what the protocol gave up"
)]
pub(super) fn of_request(message: &signal_request::Message) -> &'static str {
    use signal_request::Message as M;
    match message {
        M::Offer(_) => "offer",
        M::Answer(_) => "answer",
        M::Trickle(_) => "trickle",
        M::AddTrack(_) => "add_track",
        M::Mute(_) => "mute",
        M::Subscription(_) => "subscription",
        M::TrackSetting(_) => "track_setting",
        M::Leave(_) => "leave",
        M::UpdateLayers(_) => "update_layers",
        M::SubscriptionPermission(_) => "subscription_permission",
        M::SyncState(_) => "sync_state",
        M::Simulate(_) => "simulate",
        M::Ping(_) => "ping",
        M::UpdateMetadata(_) => "update_metadata",
        M::PingReq(_) => "ping_req",
        M::UpdateAudioTrack(_) => "update_audio_track",
        M::UpdateVideoTrack(_) => "update_video_track",
        M::PublishDataTrackRequest(_) => "publish_data_track_request",
        M::UnpublishDataTrackRequest(_) => "unpublish_data_track_request",
        M::UpdateDataSubscription(_) => "update_data_subscription",
        M::StoreDataBlobRequest(_) => "store_data_blob_request",
        M::GetDataBlobRequest(_) => "get_data_blob_request",
    }
}

/// Of a message to a client.
pub(super) fn of_response(message: &signal_response::Message) -> &'static str {
    use signal_response::Message as M;
    match message {
        M::Join(_) => "join",
        M::Answer(_) => "answer",
        M::Offer(_) => "offer",
        M::Trickle(_) => "trickle",
        M::Update(_) => "update",
        M::TrackPublished(_) => "track_published",
        M::Leave(_) => "leave",
        M::Mute(_) => "mute",
        M::SpeakersChanged(_) => "speakers_changed",
        M::RoomUpdate(_) => "room_update",
        M::ConnectionQuality(_) => "connection_quality",
        M::StreamStateUpdate(_) => "stream_state_update",
        M::SubscribedQualityUpdate(_) => "subscribed_quality_update",
        M::SubscriptionPermissionUpdate(_) => "subscription_permission_update",
        M::RefreshToken(_) => "refresh_token",
        M::TrackUnpublished(_) => "track_unpublished",
        M::Pong(_) => "pong",
        M::Reconnect(_) => "reconnect",
        M::PongResp(_) => "pong_resp",
        M::SubscriptionResponse(_) => "subscription_response",
        M::RequestResponse(_) => "request_response",
        M::TrackSubscribed(_) => "track_subscribed",
        M::RoomMoved(_) => "room_moved",
        M::MediaSectionsRequirement(_) => "media_sections_requirement",
        M::SubscribedAudioCodecUpdate(_) => "subscribed_audio_codec_update",
        M::PublishDataTrackResponse(_) => "publish_data_track_response",
        M::UnpublishDataTrackResponse(_) => "unpublish_data_track_response",
        M::DataTrackSubscriberHandles(_) => "data_track_subscriber_handles",
        M::StoreDataBlobResponse(_) => "store_data_blob_response",
        M::GetDataBlobResponse(_) => "get_data_blob_response",
    }
}

/// Counts a client's message.
pub(super) fn count_in(message: &signal_request::Message) {
    count("in", of_request(message));
}

/// Counts a message to a client.
pub(super) fn count_out(message: &signal_response::Message) {
    count("out", of_response(message));
}

fn count(direction: &'static str, kind: &'static str) {
    metrics::counter!("hive_signal_messages_total", "direction" => direction, "kind" => kind)
        .increment(1);
}
