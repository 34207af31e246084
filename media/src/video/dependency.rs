//! The dependency descriptor (AV1 RTP, appendix A): which frames a decode target needs.

use super::bits::Bits;

const MAX_TEMPLATES: usize = 64;
const MAX_TARGETS: usize = 32;
const SPATIAL_LAYERS: u8 = 4;
const TEMPORAL_LAYERS: u8 = 8;
/// References further back than this many frames are not followed.
const MAX_REFERENCE: u32 = 63;
/// Above every layer that is asked for.
const NO_LAYER: (u8, u8) = (u8::MAX, u8::MAX);

/// What a frame is to a decode target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indication {
    /// Not part of it.
    NotPresent,
    /// Part of it, but nothing of it refers to the frame.
    Discardable,
    /// If the frame can be decoded, so can the target from here on.
    Switch,
    /// Part of it.
    Required,
}

/// What a frame is to each layer, where a layer stands for the best active decode target that needs
/// nothing above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Indications(u64);

impl Indications {
    /// What the frame is to the layer; ids beyond the highest possible mean the highest.
    pub fn of(self, spatial: u8, temporal: u8) -> Indication {
        match self.0 >> (2 * slot(spatial, temporal)) & 3 {
            0 => Indication::NotPresent,
            1 => Indication::Discardable,
            2 => Indication::Switch,
            _ => Indication::Required,
        }
    }
}

/// What the dependency descriptor of one packet tells about its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameDependency {
    /// The packet is its frame's first.
    pub first: bool,
    /// The packet is its frame's last.
    pub last: bool,
    /// The frame's number in its stream.
    pub number: u16,
    /// Spatial layer.
    pub spatial: u8,
    /// Temporal layer.
    pub temporal: u8,
    /// The packet brings a new structure, as keyframes do.
    pub structured: bool,
    /// The frames that this refers to: bit `n` for the one numbered `n` less.
    pub references: u64,
    /// The frame also refers to one so far back that it has no bit.
    pub far_reference: bool,
    /// What it is to each layer.
    pub indications: Indications,
}

#[derive(Clone, Copy, Debug, Default)]
struct Template {
    spatial: u8,
    temporal: u8,
    /// Two bits a decode target.
    indications: u64,
    references: u64,
}

/// A template dependency structure, by which the descriptors up to the next one are read.
#[derive(Clone, Debug)]
pub(super) struct Structure {
    first_template: u32,
    targets: usize,
    templates: [Template; MAX_TEMPLATES],
    template_count: usize,
    /// The highest layers among the frames of each decode target; none has [`NO_LAYER`].
    layers: [(u8, u8); MAX_TARGETS],
    /// Active decode targets, a bit for each.
    active: u32,
    /// The decode target of each layer.
    slots: [u8; MAX_TARGETS],
}

/// A descriptor, and the structure it brought.
pub(super) struct Descriptor {
    pub(super) frame: Option<FrameDependency>,
    pub(super) structure: Option<Structure>,
}

/// Reads a descriptor by the `current` structure, or the one it brings. The active decode targets
/// that it tells hold from then on.
///
/// `None` if it is malformed; no frame if there is no structure to read it by.
pub(super) fn parse(value: &[u8], current: Option<&mut Structure>) -> Option<Descriptor> {
    let mut bits = Bits::new(value);
    let (first, last) = (bits.flag()?, bits.flag()?);
    let template = bits.read(6)?;
    let number = bits.read(16)? as u16;
    let mut attached = None;
    let (mut active, mut custom) = (false, [false; 2]);
    if value.len() > 3 {
        let structured = bits.flag()?;
        active = bits.flag()?;
        custom = [bits.flag()?, bits.flag()?];
        // Custom chains come last, and chains are not followed.
        bits.flag()?;
        if structured {
            attached = Some(Structure::parse(&mut bits)?);
        }
    }
    let structured = attached.is_some();
    let Some(structure) = attached.as_mut().or(current) else {
        return Some(Descriptor {
            frame: None,
            structure: None,
        });
    };
    if active {
        let mask = bits.read(structure.targets as u32)?;
        if mask != structure.active {
            structure.assign(mask);
        }
    }
    let index = (template + MAX_TEMPLATES as u32 - structure.first_template) as usize;
    let template = *structure.templates[..structure.template_count].get(index % MAX_TEMPLATES)?;
    let mut indications = template.indications;
    let (mut references, mut far_reference) = (template.references, false);
    if custom[0] {
        indications = read_indications(&mut bits, structure.targets)?;
    }
    if custom[1] {
        references = 0;
        loop {
            let size = bits.read(2)?;
            if size == 0 {
                break;
            }
            let back = bits.read(4 * size)? + 1;
            if back <= MAX_REFERENCE {
                references |= 1 << back;
            } else {
                far_reference = true;
            }
        }
    }
    let frame = FrameDependency {
        first,
        last,
        number,
        spatial: template.spatial,
        temporal: template.temporal,
        structured,
        references,
        far_reference,
        indications: structure.by_layer(indications),
    };
    Some(Descriptor {
        frame: Some(frame),
        structure: attached,
    })
}

impl Structure {
    fn parse(bits: &mut Bits<'_>) -> Option<Structure> {
        let mut structure = Structure {
            first_template: bits.read(6)?,
            targets: bits.read(5)? as usize + 1,
            templates: [Template::default(); MAX_TEMPLATES],
            template_count: 0,
            layers: [NO_LAYER; MAX_TARGETS],
            active: 0,
            slots: [0; MAX_TARGETS],
        };
        structure.read_layers(bits)?;
        let targets = structure.targets;
        let templates = &mut structure.templates[..structure.template_count];
        for template in templates.iter_mut() {
            template.indications = read_indications(bits, targets)?;
        }
        for template in templates.iter_mut() {
            while bits.flag()? {
                template.references |= 2 << bits.read(4)?;
            }
        }
        let chains = bits.below(targets as u32 + 1)?;
        if chains > 0 {
            for _ in 0..targets {
                bits.below(chains)?;
            }
            for _ in 0..templates.len() as u32 * chains {
                bits.read(4)?;
            }
        }
        if bits.flag()? {
            let layers = templates.last().map_or(0, |last| last.spatial + 1);
            for _ in 0..layers {
                bits.read(32)?;
            }
        }
        for target in 0..targets {
            structure.layers[target] = structure.layer(target).unwrap_or(NO_LAYER);
        }
        structure.assign(u32::MAX >> (MAX_TARGETS - targets));
        Some(structure)
    }

    fn read_layers(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        let (mut spatial, mut temporal) = (0, 0);
        loop {
            let template = self.templates.get_mut(self.template_count)?;
            (template.spatial, template.temporal) = (spatial, temporal);
            self.template_count += 1;
            match bits.read(2)? {
                0 => {}
                1 => temporal += 1,
                2 => (spatial, temporal) = (spatial + 1, 0),
                _ => return Some(()),
            }
            if spatial >= SPATIAL_LAYERS || temporal >= TEMPORAL_LAYERS {
                return None;
            }
        }
    }

    /// Finds each layer's decode target among those of `active`.
    fn assign(&mut self, active: u32) {
        self.active = active;
        let layers = &self.layers[..self.targets];
        let lowest = (0..self.targets).min_by_key(|&target| layers[target]);
        for spatial in 0..SPATIAL_LAYERS {
            for temporal in 0..TEMPORAL_LAYERS {
                let best = (0..self.targets)
                    .filter(|target| active >> target & 1 != 0)
                    .filter(|&target| layers[target].0 <= spatial && layers[target].1 <= temporal)
                    .max_by_key(|&target| layers[target]);
                // Below every target there is still the lowest.
                let target = best.or(lowest).unwrap_or(0);
                self.slots[slot(spatial, temporal) as usize] = target as u8;
            }
        }
    }

    /// The highest layers among the frames of a decode target; `None` if it has none.
    fn layer(&self, target: usize) -> Option<(u8, u8)> {
        let templates = &self.templates[..self.template_count];
        let parts = || {
            templates
                .iter()
                .filter(move |template| template.indications >> (2 * target) & 3 != 0)
        };
        let spatial = parts().map(|template| template.spatial).max()?;
        let temporal = parts().map(|template| template.temporal).max()?;
        Some((spatial, temporal))
    }

    fn by_layer(&self, indications: u64) -> Indications {
        let mut by_layer = 0;
        for (slot, &target) in self.slots.iter().enumerate() {
            by_layer |= (indications >> (2 * target) & 3) << (2 * slot);
        }
        Indications(by_layer)
    }
}

fn slot(spatial: u8, temporal: u8) -> u32 {
    u32::from(spatial.min(SPATIAL_LAYERS - 1) * TEMPORAL_LAYERS + temporal.min(TEMPORAL_LAYERS - 1))
}

fn read_indications(bits: &mut Bits<'_>, targets: usize) -> Option<u64> {
    let mut indications = 0;
    for target in 0..targets {
        indications |= u64::from(bits.read(2)?) << (2 * target);
    }
    Some(indications)
}

#[cfg(test)]
#[path = "dependency_tests.rs"]
mod tests;
