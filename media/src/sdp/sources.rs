//! The sources that a media section declares (RFC 5576).

use rtc_sdp::description::common::Attribute;

use super::section::{MAX_LAYERS, values};

/// The most sources of a section that are taken.
const MAX_SOURCES: usize = 16;

/// A source declared by `a=ssrc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeclaredSource {
    /// Its SSRC.
    pub ssrc: u32,
    /// Which stream of simulcast without rids it carries or repairs: its place in `a=ssrc-group:SIM`,
    /// which lists the lowest first.
    pub layer: u8,
    /// Whether `a=ssrc-group:FID` says that it repairs another.
    pub repair: bool,
}

/// How many streams of simulcast they are, if there are no rids.
pub fn layers(sources: &[DeclaredSource]) -> usize {
    let highest = sources.iter().map(|source| usize::from(source.layer));
    highest.max().unwrap_or(0) + 1
}

pub(super) fn read(attributes: &[Attribute]) -> Vec<DeclaredSource> {
    let group = |semantics: &'static str| {
        values(attributes, "ssrc-group").filter_map(move |group| {
            let mut fields = group.split_whitespace();
            let named = fields.next() == Some(semantics);
            named.then(|| {
                fields
                    .filter_map(|ssrc| ssrc.parse().ok())
                    .collect::<Vec<u32>>()
            })
        })
    };
    let repairs: Vec<(u32, u32)> = group("FID")
        .filter_map(|pair| Some((*pair.first()?, *pair.get(1)?)))
        .collect();
    let layers = group("SIM").next().unwrap_or_default();
    let mut sources: Vec<DeclaredSource> = Vec::new();
    for value in values(attributes, "ssrc") {
        let Some(ssrc) = value
            .split(' ')
            .next()
            .and_then(|ssrc| ssrc.parse::<u32>().ok())
        else {
            continue;
        };
        if sources.len() >= MAX_SOURCES || sources.iter().any(|known| known.ssrc == ssrc) {
            continue;
        }
        let repaired = repairs.iter().find(|(_, repair)| *repair == ssrc);
        let media = repaired.map_or(ssrc, |(media, _)| *media);
        let layer = layers.iter().position(|layer| *layer == media).unwrap_or(0);
        if layer < MAX_LAYERS {
            sources.push(DeclaredSource {
                ssrc,
                layer: layer as u8,
                repair: repaired.is_some(),
            });
        }
    }
    sources
}
