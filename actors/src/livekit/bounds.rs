//! How much a client may say of a track. All of it is told to everybody in the room.

use super::proto;

/// The longest name, id or the like of a track, in bytes.
const MAX_TEXT: usize = 256;

/// Layers that an announcement may list for each codec.
const MAX_LAYERS: usize = 8;

/// Codecs that it may list: the one in use, backups, and what a client that knows more adds.
const MAX_CODECS: usize = 3;

/// Features of each kind that a client may list; there are fewer.
const MAX_FEATURES: usize = 16;

/// Why an announcement is too long, if it is.
pub(super) fn excess(request: &proto::AddTrackRequest) -> Option<&'static str> {
    let layers_fit = |layers: &[proto::VideoLayer]| {
        layers.len() <= MAX_LAYERS && layers.iter().all(|layer| layer.rid.len() <= MAX_TEXT)
    };
    let codecs = &request.simulcast_codecs;
    let mut texts = vec![&request.cid, &request.name, &request.stream, &request.sid];
    texts.extend(codecs.iter().flat_map(|codec| [&codec.codec, &codec.cid]));
    if texts.iter().any(|text| text.len() > MAX_TEXT) {
        return Some("the texts of a track hold 256 bytes at most");
    }
    if codecs.len() > MAX_CODECS {
        return Some("a track lists 3 codecs at most");
    }
    if !layers_fit(&request.layers) || !codecs.iter().all(|codec| layers_fit(&codec.layers)) {
        return Some("a track lists 8 layers of a codec at most");
    }
    let features = [&request.audio_features, &request.packet_trailer_features];
    if features.iter().any(|list| list.len() > MAX_FEATURES) {
        return Some(TOO_MANY_FEATURES);
    }
    None
}

/// Why [`features`] takes no longer list.
pub(super) const TOO_MANY_FEATURES: &str = "a track lists 16 features of a kind at most";

/// The features of a list that there are, each once; none if it is too long.
pub(super) fn features<Feature: TryFrom<i32>>(list: &[i32]) -> Option<Vec<i32>> {
    if list.len() > MAX_FEATURES {
        return None;
    }
    let mut known = Vec::new();
    for feature in list {
        if Feature::try_from(*feature).is_ok() && !known.contains(feature) {
            known.push(*feature);
        }
    }
    Some(known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::{AddTrackRequest, AudioTrackFeature, SimulcastCodec, VideoLayer};

    fn long() -> String {
        "x".repeat(MAX_TEXT + 1)
    }

    /// What a client of this day announces of a camera.
    fn camera() -> AddTrackRequest {
        let layers: Vec<VideoLayer> = ["q", "h", "f"]
            .map(|rid| VideoLayer {
                rid: rid.to_owned(),
                ..Default::default()
            })
            .to_vec();
        let codec = |codec: &str| SimulcastCodec {
            codec: codec.to_owned(),
            cid: "b7f4e1a2-8a7e-4f2e-9f73-0d4c6a52e0b1".to_owned(),
            layers: layers.clone(),
            ..Default::default()
        };
        AddTrackRequest {
            cid: "b7f4e1a2-8a7e-4f2e-9f73-0d4c6a52e0b1".to_owned(),
            name: "camera".to_owned(),
            layers: layers.clone(),
            simulcast_codecs: vec![codec("vp9"), codec("vp8")],
            audio_features: vec![AudioTrackFeature::TfStereo.into()],
            ..Default::default()
        }
    }

    #[test]
    fn every_list_and_text_of_an_announcement_is_bounded() {
        assert_eq!(excess(&camera()), None);
        let changes: [fn(&mut AddTrackRequest); 10] = [
            |it| it.name = long(),
            |it| it.stream = long(),
            |it| it.layers = vec![VideoLayer::default(); MAX_LAYERS + 1],
            |it| it.layers[0].rid = long(),
            |it| it.simulcast_codecs = vec![SimulcastCodec::default(); MAX_CODECS + 1],
            |it| it.simulcast_codecs[1].codec = long(),
            |it| it.simulcast_codecs[1].cid = long(),
            |it| it.simulcast_codecs[1].layers = vec![VideoLayer::default(); MAX_LAYERS + 1],
            |it| it.audio_features = vec![1; MAX_FEATURES + 1],
            |it| it.packet_trailer_features = vec![1; MAX_FEATURES + 1],
        ];
        for (at, change) in changes.into_iter().enumerate() {
            let mut request = camera();
            change(&mut request);
            assert!(excess(&request).is_some(), "{at}");
        }
    }

    #[test]
    fn features_are_those_that_there_are_each_once() {
        let listed = [1, 0, 1, 77, -1, 0];
        assert_eq!(features::<AudioTrackFeature>(&listed), Some(vec![1, 0]));
        assert_eq!(features::<AudioTrackFeature>(&[0; MAX_FEATURES + 1]), None);
    }
}
