//! Which layers a subscriber is sent, and at which frames that changes.

use super::codec::{PacketInfo, SwitchUp};
use super::dependency::{FrameDependency, Indication};

/// A layer of a track, with all below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Layer {
    /// Index of the simulcast stream, or spatial layer within the only stream; low to high.
    pub spatial: u8,
    /// Temporal layer, 0 is the base.
    pub temporal: u8,
}

/// What the spatial layers of a track are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layering {
    /// Streams of their own, each decodable alone.
    Simulcast,
    /// Layers of one stream, each building on those below.
    Svc,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// Not of the stream that is sent.
    Ignore,
    /// The first packet of another stream, or the first at all.
    Start {
        /// The marker bit it is sent with.
        marker: bool,
    },
    /// It is sent.
    Keep {
        /// The marker bit it is sent with.
        marker: bool,
    },
    /// It is of the stream that is sent, but not of a layer that is.
    Drop,
}

/// Chooses packets.
#[derive(Debug)]
pub(super) struct Selector {
    layering: Layering,
    target: Option<Layer>,
    current: Option<Layer>,
    /// Simulcast index of the stream that is sent.
    stream: Option<u8>,
    /// RTP timestamp of the newest picture.
    picture: Option<u32>,
    /// More temporal layers may be sent from the next picture on.
    rising: bool,
    frames: Frames,
}

impl Selector {
    pub(super) fn new() -> Selector {
        Selector {
            layering: Layering::Simulcast,
            target: None,
            current: None,
            stream: None,
            picture: None,
            rising: false,
            frames: Frames::default(),
        }
    }

    /// Another track: nothing is sent until a keyframe of it.
    pub(super) fn attach(&mut self, layering: Layering) {
        self.layering = layering;
        self.stop();
    }

    /// The layer to get to. `None` stops at once, and what follows starts with a keyframe.
    pub(super) fn set_target(&mut self, target: Option<Layer>) {
        self.target = target;
        if target.is_none() {
            self.stop();
        }
    }

    /// Waits for a keyframe.
    pub(super) fn stop(&mut self) {
        self.current = None;
        self.stream = None;
    }

    pub(super) fn target(&self) -> Option<Layer> {
        self.target
    }

    pub(super) fn current(&self) -> Option<Layer> {
        self.current
    }

    /// The stream that is sent.
    pub(super) fn stream(&self) -> Option<u8> {
        self.stream
    }

    /// The stream without a keyframe of which the target cannot be reached.
    pub(super) fn wants_keyframe(&self) -> Option<u8> {
        let stream = self.stream_of(self.target?);
        let reached = match (self.layering, self.current, self.target) {
            (Layering::Svc, Some(current), Some(target)) => current.spatial >= target.spatial,
            _ => true,
        };
        (self.stream != Some(stream) || !reached).then_some(stream)
    }

    /// What becomes of a packet; `late` if newer ones of its stream came before.
    pub(super) fn choose(
        &mut self,
        stream: u8,
        timestamp: u32,
        marker: bool,
        info: &PacketInfo,
        late: bool,
    ) -> Choice {
        let Some(target) = self.target else {
            return Choice::Ignore;
        };
        let starts = info.keyframe && self.stream_of(target) == stream;
        let Some(current) = self.current.filter(|_| self.stream == Some(stream)) else {
            if !starts {
                return Choice::Ignore;
            }
            self.stream = Some(stream);
            self.begin(target, timestamp, info);
            return Choice::Start {
                marker: marker || self.ends_picture(target, target, info),
            };
        };
        // On the way to another stream, this one is sent as it was.
        let target = match self.stream_of(target) == stream {
            true => target,
            false => current,
        };
        if !late {
            if info.keyframe {
                self.begin(target, timestamp, info);
            } else {
                self.step(current, target, timestamp, info);
            }
        }
        let current = self.current.unwrap_or(current);
        let kept = match &info.dependency {
            Some(frame) => {
                let part = frame.indications.of(self.space(current), current.temporal);
                self.frames.keep(frame, part != Indication::NotPresent)
            }
            None => {
                info.temporal <= current.temporal
                    && (self.layering == Layering::Simulcast || info.spatial <= current.spatial)
            }
        };
        if !kept {
            return Choice::Drop;
        }
        Choice::Keep {
            marker: marker || self.ends_picture(current, target, info),
        }
    }

    /// From a keyframe on, all layers can be decoded.
    fn begin(&mut self, target: Layer, timestamp: u32, info: &PacketInfo) {
        self.current = Some(target);
        self.picture = Some(timestamp);
        self.rising = false;
        if let Some(frame) = &info.dependency {
            self.frames = Frames::from(frame);
        }
    }

    /// Changes layers, if the packet begins something that allows it.
    fn step(&mut self, mut current: Layer, target: Layer, timestamp: u32, info: &PacketInfo) {
        if let Some(frame) = &info.dependency {
            let switch = frame.indications.of(self.space(target), target.temporal);
            if current != target && switch == Indication::Switch && self.frames.decodable(frame) {
                self.current = Some(target);
            }
            return;
        }
        if self.picture != Some(timestamp) {
            self.picture = Some(timestamp);
            // Layers are left out from whole pictures on.
            if self.layering == Layering::Svc {
                current.spatial = current.spatial.min(target.spatial);
            }
            current.temporal = match self.rising {
                true => target.temporal,
                false => current.temporal.min(target.temporal),
            };
            self.rising = false;
        }
        let above = current.temporal < info.temporal && info.temporal <= target.temporal;
        match info.switch_up {
            SwitchUp::Here if above && info.begins_frame => current.temporal = info.temporal,
            SwitchUp::After => self.rising |= info.temporal <= current.temporal,
            _ => {}
        }
        // A layer that needs only the one below it in the same picture.
        let above = info.spatial == current.spatial + 1 && info.spatial <= target.spatial;
        if self.layering == Layering::Svc && above && info.begins_frame && !info.inter_picture {
            current.spatial = info.spatial;
        }
        self.current = Some(current);
    }

    /// Whether the packet becomes the last of its picture, since the layers above are left out.
    fn ends_picture(&self, current: Layer, target: Layer, info: &PacketInfo) -> bool {
        if self.layering == Layering::Simulcast {
            return false;
        }
        let (spatial, ends) = match &info.dependency {
            Some(frame) => (frame.spatial, frame.last),
            None => (info.spatial, info.ends_frame),
        };
        // Unless a layer of the same picture may still be taken in.
        let settled = info.inter_picture || target.spatial <= current.spatial;
        ends && spatial == current.spatial && settled
    }

    fn stream_of(&self, layer: Layer) -> u8 {
        match self.layering {
            Layering::Simulcast => layer.spatial,
            Layering::Svc => 0,
        }
    }

    /// The spatial layer within its stream.
    fn space(&self, layer: Layer) -> u8 {
        match self.layering {
            Layering::Simulcast => u8::MAX,
            Layering::Svc => layer.spatial,
        }
    }
}

/// The frames of the last while, by the numbers of the dependency descriptor.
#[derive(Clone, Copy, Debug, Default)]
struct Frames {
    newest: u16,
    /// Bit `n` for the frame numbered `n` less than the newest.
    seen: u64,
    kept: u64,
}

impl Frames {
    fn from(keyframe: &FrameDependency) -> Frames {
        Frames {
            newest: keyframe.number,
            seen: 1,
            kept: 1,
        }
    }

    /// Whether all that a frame newer than all before refers to was sent.
    fn decodable(&self, frame: &FrameDependency) -> bool {
        let ahead = frame.number.wrapping_sub(self.newest);
        let kept = match ahead {
            1..64 => self.kept << ahead,
            _ => return false,
        };
        !frame.far_reference && frame.references & !kept == 0
    }

    /// Whether a frame is sent: as its earlier packets were, or else if it is `wanted`.
    fn keep(&mut self, frame: &FrameDependency, wanted: bool) -> bool {
        let ahead = frame.number.wrapping_sub(self.newest);
        if ahead != 0 && ahead < 0x8000 {
            self.newest = frame.number;
            self.seen = self.seen.checked_shl(ahead.into()).unwrap_or(0);
            self.kept = self.kept.checked_shl(ahead.into()).unwrap_or(0);
        }
        let age = self.newest.wrapping_sub(frame.number);
        if age >= 64 {
            return false;
        }
        let bit = 1 << age;
        if self.seen & bit == 0 {
            self.seen |= bit;
            if wanted {
                self.kept |= bit;
            }
        }
        self.kept & bit != 0
    }
}
