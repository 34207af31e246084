//! The fields of what the room service answers.

use hive_actors::livekit::proto;

use super::shape::{
    Field::{Choice, Flag, List, Long, Map, Message, Messages, Number, Text},
    Fields,
};

/// A message that answers may be or have in them, as [`shape`](super::shape::shape) wants it.
pub(super) trait Shaped {
    /// All of its fields.
    const FIELDS: Fields;
}

macro_rules! answers {
    ($($message:ident = $fields:expr;)*) => {
        $(impl Shaped for proto::$message { const FIELDS: Fields = $fields; })*
    };
}

answers! {
    Room = ROOM;
    ListRoomsResponse = &[("rooms", Messages(ROOM))];
    DeleteRoomResponse = &[];
    ParticipantInfo = PARTICIPANT;
    ListParticipantsResponse = &[("participants", Messages(PARTICIPANT))];
    RemoveParticipantResponse = &[];
    MuteRoomTrackResponse = &[("track", Message(TRACK))];
    UpdateSubscriptionsResponse = &[];
    SendDataResponse = &[];
}

const ROOM: Fields = &[
    ("sid", Text),
    ("name", Text),
    ("empty_timeout", Number),
    ("departure_timeout", Number),
    ("max_participants", Number),
    ("creation_time", Long),
    ("creation_time_ms", Long),
    ("turn_password", Text),
    ("enabled_codecs", Messages(CODEC)),
    ("metadata", Text),
    ("num_participants", Number),
    ("num_publishers", Number),
    ("active_recording", Flag),
    ("version", Message(TIMED_VERSION)),
];

const CODEC: Fields = &[("mime", Text), ("fmtp_line", Text)];

const TIMED_VERSION: Fields = &[("unix_micro", Long), ("ticks", Number)];

const PARTICIPANT: Fields = &[
    ("sid", Text),
    ("identity", Text),
    ("state", Choice("JOINING")),
    ("tracks", Messages(TRACK)),
    ("metadata", Text),
    ("joined_at", Long),
    ("joined_at_ms", Long),
    ("name", Text),
    ("version", Number),
    ("permission", Message(PERMISSION)),
    ("region", Text),
    ("is_publisher", Flag),
    ("kind", Choice("STANDARD")),
    ("attributes", Map),
    ("disconnect_reason", Choice("UNKNOWN_REASON")),
    ("kind_details", List),
    // There are none here.
    ("data_tracks", List),
    ("client_protocol", Number),
    ("capabilities", List),
];

const PERMISSION: Fields = &[
    ("can_subscribe", Flag),
    ("can_publish", Flag),
    ("can_publish_data", Flag),
    ("can_publish_sources", List),
    ("hidden", Flag),
    ("recorder", Flag),
    ("can_update_metadata", Flag),
    ("agent", Flag),
    ("can_subscribe_metrics", Flag),
    ("can_manage_agent_session", Flag),
];

const TRACK: Fields = &[
    ("sid", Text),
    ("type", Choice("AUDIO")),
    ("name", Text),
    ("muted", Flag),
    ("width", Number),
    ("height", Number),
    ("simulcast", Flag),
    ("disable_dtx", Flag),
    ("source", Choice("UNKNOWN")),
    ("layers", Messages(LAYER)),
    ("mime_type", Text),
    ("mid", Text),
    ("codecs", Messages(SIMULCAST_CODEC)),
    ("stereo", Flag),
    ("disable_red", Flag),
    ("encryption", Choice("NONE")),
    ("stream", Text),
    ("version", Message(TIMED_VERSION)),
    ("audio_features", List),
    ("backup_codec_policy", Choice("PREFER_REGRESSION")),
    ("packet_trailer_features", List),
];

const LAYER: Fields = &[
    ("quality", Choice("LOW")),
    ("width", Number),
    ("height", Number),
    ("bitrate", Number),
    ("ssrc", Number),
    ("spatial_layer", Number),
    ("rid", Text),
    ("repair_ssrc", Number),
];

const SIMULCAST_CODEC: Fields = &[
    ("mime_type", Text),
    ("mid", Text),
    ("cid", Text),
    ("layers", Messages(LAYER)),
    ("video_layer_mode", Choice("MODE_UNUSED")),
    ("sdp_cid", Text),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::livekit::twirp::shape::shape;
    use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor, value::Error};
    use serde_json::json;
    use std::collections::BTreeSet;

    /// Notes the names by which a message takes its fields, in either spelling.
    struct Names<'a>(&'a mut &'static [&'static str]);

    impl<'de> Deserializer<'de> for Names<'_> {
        type Error = Error;

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, Error> {
            *self.0 = fields;
            Err(Error::custom("the names are what was wanted"))
        }

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
            Err(Error::custom("a message is a struct"))
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
            unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    fn knows_all_of<T>(fields: Fields)
    where
        T: DeserializeOwned + Default + PartialEq + std::fmt::Debug,
    {
        let mut names: &'static [&'static str] = &[];
        let _ = T::deserialize(Names(&mut names));
        // Where the spellings differ, both are there; what has no underscore has only one.
        let mut theirs: BTreeSet<&str> = names.iter().copied().collect();
        for name in names {
            if name.contains('_') {
                let camel = camel(name);
                assert!(theirs.remove(&*camel), "{camel}");
            }
        }
        let ours: BTreeSet<&str> = fields.iter().map(|(name, _)| *name).collect();
        assert_eq!(ours, theirs, "{}", std::any::type_name::<T>());
        let unset = shape(json!({}), fields);
        let read: T = serde_json::from_value(unset.clone()).expect("defaults of the right types");
        assert_eq!(read, T::default(), "{unset}");
    }

    fn camel(name: &str) -> String {
        let mut upper = false;
        let chars = name.chars().filter_map(|c| {
            let letter = if upper { c.to_ascii_uppercase() } else { c };
            upper = c == '_';
            (c != '_').then_some(letter)
        });
        chars.collect()
    }

    #[test]
    fn the_tables_have_all_fields_of_the_messages() {
        knows_all_of::<proto::Room>(ROOM);
        knows_all_of::<proto::Codec>(CODEC);
        knows_all_of::<proto::TimedVersion>(TIMED_VERSION);
        knows_all_of::<proto::ParticipantInfo>(PARTICIPANT);
        knows_all_of::<proto::ParticipantPermission>(PERMISSION);
        knows_all_of::<proto::TrackInfo>(TRACK);
        knows_all_of::<proto::VideoLayer>(LAYER);
        knows_all_of::<proto::SimulcastCodecInfo>(SIMULCAST_CODEC);
        knows_all_of::<proto::ListRoomsResponse>(proto::ListRoomsResponse::FIELDS);
        knows_all_of::<proto::ListParticipantsResponse>(proto::ListParticipantsResponse::FIELDS);
        knows_all_of::<proto::MuteRoomTrackResponse>(proto::MuteRoomTrackResponse::FIELDS);
        knows_all_of::<proto::DeleteRoomResponse>(&[]);
        knows_all_of::<proto::RemoveParticipantResponse>(&[]);
        knows_all_of::<proto::UpdateSubscriptionsResponse>(&[]);
        knows_all_of::<proto::SendDataResponse>(&[]);
    }
}
