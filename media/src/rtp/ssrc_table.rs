//! Which published track an SSRC belongs to: by declaration, mid, rid or repaired rid.

use std::collections::{HashMap, VecDeque};

use super::extension::{Extension, ExtensionIds, find};
use super::header::Header;
use crate::sdp::sources::{self, DeclaredSource};

/// How many SSRCs one peer may teach us.
const MAX_LEARNT: usize = 256;
/// How many that were replaced are remembered, so that their late packets replace nothing.
const MAX_RETIRED: usize = 64;

/// What an SSRC carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Index of the media section in the peer's offer.
    pub section: usize,
    /// Simulcast layer, as an index into the section's [`Section::rids`]; 0 without layers.
    pub layer: u8,
    /// Whether this stream repairs the layer (RTX) instead of carrying it.
    pub repair: bool,
}

/// One media section as the table needs it.
#[derive(Clone, Debug, Default)]
pub struct Section {
    /// The section's `a=mid`.
    pub mid: Option<Box<str>>,
    /// Ids of the header extensions.
    pub extensions: ExtensionIds,
    /// Payload types that this section accepts; none if nothing is sent in it.
    pub payload_types: Vec<u8>,
    /// Of those, the ones of retransmissions (RFC 4588).
    pub repairs: Vec<u8>,
    /// Its simulcast layers, low to high.
    pub rids: Vec<Box<str>>,
    /// Whether it is video.
    pub video: bool,
    /// Sources declared by `a=ssrc`.
    pub ssrcs: Vec<DeclaredSource>,
}

impl Section {
    /// Whether it is what `before` was, further on.
    pub fn continues(&self, before: &Section) -> bool {
        let streams = |section: &Section| sources::layers(&section.ssrcs);
        self.mid == before.mid
            && self.rids == before.rids
            && self.video == before.video
            && (!self.rids.is_empty() || streams(self) == streams(before))
    }
}

/// The table of one peer. What was learnt from packets survives a re-offer that does not contradict
/// it, because a client sends mid and rid only until it believes that we know.
#[derive(Debug, Default)]
pub struct SsrcTable {
    sections: Vec<Section>,
    streams: HashMap<u32, Stream>,
    /// Those that others have replaced, oldest first.
    retired: VecDeque<u32>,
}

impl SsrcTable {
    /// Takes the media sections of a new offer, in its order.
    pub fn apply(&mut self, sections: Vec<Section>) {
        let before = std::mem::take(&mut self.sections);
        self.streams.retain(|_, stream| {
            let after = sections.get(stream.section);
            after.is_some_and(|after| after.continues(&before[stream.section]))
        });
        for (at, section) in sections.iter().enumerate() {
            // Firefox declares the sources of all layers, but only packets tell which is of which
            // (RFC 8853 §5.5).
            if !section.rids.is_empty() {
                continue;
            }
            for source in &section.ssrcs {
                self.streams.entry(source.ssrc).or_insert(Stream {
                    section: at,
                    layer: source.layer,
                    repair: source.repair,
                });
            }
        }
        self.streams
            .retain(|_, stream| !sections[stream.section].payload_types.is_empty());
        self.sections = sections;
    }

    /// The media section at `at` of the last offer.
    pub fn section(&self, at: usize) -> Option<&Section> {
        self.sections.get(at)
    }

    /// How many sources are remembered.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.streams.len() + self.retired.len()
    }

    /// Whether it is known what `ssrc` carries.
    pub fn knows(&self, ssrc: u32) -> bool {
        self.streams.contains_key(&ssrc)
    }

    /// What `ssrc` carries, as far as it is known.
    pub fn known(&self, ssrc: u32) -> Option<Stream> {
        self.streams.get(&ssrc).copied()
    }

    /// Another source carries what `ssrc` did: late packets of it belong to nothing.
    pub fn retire(&mut self, ssrc: u32) {
        if self.streams.remove(&ssrc).is_some() {
            if self.retired.len() >= MAX_RETIRED {
                self.retired.pop_front();
            }
            self.retired.push_back(ssrc);
        }
    }

    /// The stream of an authenticated packet, learning its SSRC if need be. `None` if nothing in the
    /// packet tells, or its payload type was not negotiated.
    pub fn resolve(&mut self, packet: &[u8], header: &Header) -> Option<Stream> {
        if !self.streams.contains_key(&header.ssrc) {
            if self.streams.len() >= MAX_LEARNT || self.retired.contains(&header.ssrc) {
                return None;
            }
            let stream = self.learn(packet, header)?;
            self.streams.insert(header.ssrc, stream);
        }
        let stream = *self.streams.get(&header.ssrc)?;
        let section = &self.sections[stream.section];
        section
            .payload_types
            .contains(&header.payload_type)
            .then_some(stream)
    }

    fn learn(&self, packet: &[u8], header: &Header) -> Option<Stream> {
        let value = |section: &Section, extension| {
            let id = section.extensions.get(extension)?;
            std::str::from_utf8(find(packet, header.extension.as_ref()?, id)?).ok()
        };
        // Ids are the same for all sections of a bundle, so any section can read the mid.
        let by_mid = self.sections.iter().position(|section| {
            value(section, Extension::Mid).is_some_and(|mid| section.mid.as_deref() == Some(mid))
        });
        let section = by_mid.or_else(|| {
            let mut takers = self
                .sections
                .iter()
                .enumerate()
                .filter(|(_, section)| section.payload_types.contains(&header.payload_type));
            let (at, _) = takers.next()?;
            // Ambiguous without a mid.
            takers.next().is_none().then_some(at)
        })?;
        let repaired = value(&self.sections[section], Extension::RepairedRid);
        let rid = repaired.or_else(|| value(&self.sections[section], Extension::Rid));
        let layer = match rid {
            Some(rid) => {
                let rids = &self.sections[section].rids;
                rids.iter().position(|known| **known == *rid)?
            }
            None => 0,
        };
        // Not everybody who repairs tells what: but the payload type tells that it is no media.
        let rtx = self.sections[section]
            .repairs
            .contains(&header.payload_type);
        Some(Stream {
            section,
            layer: layer as u8,
            repair: repaired.is_some() || rtx,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(mid: &str, payload_types: &[u8]) -> Section {
        let mut extensions = ExtensionIds::default();
        extensions.set(Extension::Mid, 4);
        extensions.set(Extension::Rid, 10);
        extensions.set(Extension::RepairedRid, 11);
        Section {
            mid: Some(mid.into()),
            extensions,
            payload_types: payload_types.to_vec(),
            repairs: vec![97],
            rids: vec!["q".into(), "h".into()],
            video: true,
            ssrcs: Vec::new(),
        }
    }

    fn declared(ssrc: u32, layer: u8, repair: bool) -> DeclaredSource {
        DeclaredSource {
            ssrc,
            layer,
            repair,
        }
    }

    fn packet(ssrc: u32, payload_type: u8, elements: &[(u8, &str)]) -> Vec<u8> {
        let mut packet = vec![0x80, payload_type, 0, 1, 0, 0, 0, 0];
        packet.extend(ssrc.to_be_bytes());
        if !elements.is_empty() {
            packet[0] |= 0x10;
            let mut data = Vec::new();
            for (id, value) in elements {
                data.push(id << 4 | (value.len() as u8 - 1));
                data.extend(value.as_bytes());
            }
            data.resize(data.len().next_multiple_of(4), 0);
            packet.extend([0xBE, 0xDE]);
            packet.extend((data.len() as u16 / 4).to_be_bytes());
            packet.extend(data);
        }
        packet
    }

    fn resolve(table: &mut SsrcTable, packet: &[u8]) -> Option<Stream> {
        table.resolve(packet, &Header::parse(packet).unwrap())
    }

    #[test]
    fn learns_by_mid_and_keeps_it_over_a_re_offer() {
        let mut table = SsrcTable::default();
        table.apply(vec![section("0", &[111]), section("1", &[111])]);
        assert_eq!(resolve(&mut table, &packet(7, 111, &[])), None);
        let first = resolve(&mut table, &packet(7, 111, &[(4, "1")])).unwrap();
        assert_eq!(first.section, 1);
        table.apply(vec![section("0", &[111]), section("1", &[111])]);
        assert_eq!(resolve(&mut table, &packet(7, 111, &[])), Some(first));
    }

    #[test]
    fn tells_layers_from_their_repair() {
        let mut table = SsrcTable::default();
        table.apply(vec![section("0", &[111]), section("1", &[96, 97])]);
        let layer = resolve(&mut table, &packet(1, 96, &[(4, "1"), (10, "h")])).unwrap();
        assert_eq!((layer.layer, layer.repair), (1, false));
        let repair = resolve(&mut table, &packet(2, 97, &[(4, "1"), (11, "h")])).unwrap();
        assert_eq!((repair.layer, repair.repair), (1, true));
        let unknown = packet(3, 96, &[(4, "1"), (10, "x")]);
        assert_eq!(resolve(&mut table, &unknown), None);
    }

    #[test]
    fn declared_sources_of_layers_wait_for_their_packets() {
        let mut table = SsrcTable::default();
        let mut simulcast = section("1", &[96, 97]);
        simulcast.ssrcs = vec![
            declared(1, 0, false),
            declared(2, 0, true),
            declared(3, 0, false),
        ];
        let mut plain = section("0", &[98]);
        plain.rids.clear();
        plain.ssrcs = vec![declared(9, 0, false)];
        table.apply(vec![plain, simulcast]);
        assert!(resolve(&mut table, &packet(9, 98, &[])).is_some());
        let upper = resolve(&mut table, &packet(3, 96, &[(4, "1"), (10, "h")])).unwrap();
        assert_eq!((upper.layer, upper.repair), (1, false));
    }

    #[test]
    fn a_retransmission_is_no_media_though_nothing_tells_what_it_repairs() {
        let mut plain = section("1", &[96, 97]);
        plain.rids.clear();
        let mut table = SsrcTable::default();
        table.apply(vec![plain]);
        assert!(!resolve(&mut table, &packet(1, 96, &[])).unwrap().repair);
        assert!(resolve(&mut table, &packet(2, 97, &[])).unwrap().repair);
    }

    #[test]
    fn sources_without_rids_have_the_layers_that_were_declared() {
        let mut legacy = section("1", &[96, 97]);
        legacy.rids.clear();
        legacy.ssrcs = vec![
            declared(1, 0, false),
            declared(2, 1, false),
            declared(3, 1, true),
        ];
        let mut table = SsrcTable::default();
        table.apply(vec![legacy]);
        let upper = resolve(&mut table, &packet(2, 96, &[])).unwrap();
        assert_eq!((upper.layer, upper.repair), (1, false));
        let repair = resolve(&mut table, &packet(3, 97, &[])).unwrap();
        assert_eq!((repair.layer, repair.repair), (1, true));
    }

    #[test]
    fn a_lone_taker_of_a_payload_type_needs_no_mid_but_other_types_are_refused() {
        let mut table = SsrcTable::default();
        table.apply(vec![section("0", &[111])]);
        assert!(resolve(&mut table, &packet(7, 111, &[])).is_some());
        assert_eq!(resolve(&mut table, &packet(7, 0, &[])), None);
        assert_eq!(resolve(&mut table, &packet(8, 0, &[])), None);
    }

    #[test]
    fn learning_is_bounded() {
        let mut table = SsrcTable::default();
        table.apply(vec![section("0", &[111])]);
        for ssrc in 0..1000 {
            resolve(&mut table, &packet(ssrc, 111, &[]));
        }
        assert_eq!(table.streams.len(), MAX_LEARNT);
    }
}
