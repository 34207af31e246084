//! Packets that were sent at about the same time count as one, and its delay is its shortest.

/// What is sent within this many µs of the first packet is one group, as in libwebrtc.
const SEND_SPAN: i64 = 5_000;
/// Packets that a link held back and released at once have shorter and shorter delays, and arrive
/// within this many µs …
const BURST_STEP: i64 = 5_000;
/// … of each other, and within this many of the first.
const BURST_SPAN: i64 = 100_000;

/// The delay of one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// How long after the group before it was sent, in µs.
    pub(super) sent_after: i64,
    /// When it arrived, in µs of the receiver's clock.
    pub(super) arrival: i64,
    /// One-way delay, in µs, up to a constant.
    pub(super) delay: i64,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    sent: i64,
    sent_after: i64,
    first_arrival: i64,
    last_arrival: i64,
    /// Arrival and delay of the packet with the shortest.
    arrival: i64,
    delay: i64,
}

/// Groups packets by when they were sent (draft-ietf-rmcat-gcc-02 §5.2).
///
/// The draft takes the delay of a group's last packet, for it has a pacer in front. Here a keyframe
/// leaves at once, and its last packet waits for all the others: that is the frame's length, not
/// congestion. The shortest delay of a group tells whether the link was idle when the group came,
/// which the next group finds out all the same if it was not.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Groups {
    current: Option<Group>,
}

impl Groups {
    /// Takes note of a packet, in the order sent. Returns the group that it ends.
    pub(super) fn packet(&mut self, sent: i64, arrival: i64) -> Option<Sample> {
        let delay = arrival - sent;
        let Some(group) = &mut self.current else {
            self.current = Some(Group::new(sent, 0, arrival));
            return None;
        };
        // A late report of an earlier group.
        if sent < group.sent {
            return None;
        }
        let burst = delay < group.delay
            && arrival - group.last_arrival <= BURST_STEP
            && arrival - group.first_arrival < BURST_SPAN;
        if sent - group.sent <= SEND_SPAN || burst {
            group.last_arrival = arrival;
            if delay < group.delay {
                group.delay = delay;
                group.arrival = arrival;
            }
            return None;
        }
        let sample = Sample {
            sent_after: group.sent_after,
            arrival: group.arrival,
            delay: group.delay,
        };
        *group = Group::new(sent, sent - group.sent, arrival);
        Some(sample)
    }
}

impl Group {
    fn new(sent: i64, sent_after: i64, arrival: i64) -> Group {
        Group {
            sent,
            sent_after,
            first_arrival: arrival,
            last_arrival: arrival,
            arrival,
            delay: arrival - sent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_that_leaves_at_once_is_not_delayed_by_its_own_length() {
        let mut groups = Groups::default();
        let mut delays = Vec::new();
        for frame in 0..4 {
            for packet in 0..10 {
                let sent = frame * 33_000 + packet * 100;
                let arrival = frame * 33_000 + 20_000 + packet * 3_000;
                delays.extend(groups.packet(sent, arrival).map(|it| it.delay));
            }
        }
        assert_eq!(delays, [20_000; 3]);
    }

    #[test]
    fn a_frame_that_finds_the_link_busy_is_delayed() {
        let mut groups = Groups::default();
        let mut samples = Vec::new();
        for frame in 0..4 {
            for packet in 0..10 {
                // Each takes 40 ms to send, 33 ms after the one before.
                let arrival = frame * 40_000 + 20_000 + packet * 4_000;
                samples.extend(groups.packet(frame * 33_000, arrival));
            }
        }
        let delays: Vec<_> = samples.iter().map(|it| it.delay).collect();
        assert_eq!(delays, [20_000, 27_000, 34_000]);
        assert_eq!(samples[2].sent_after, 33_000);
        assert_eq!(samples[2].arrival, 100_000);
    }

    #[test]
    fn what_a_link_held_back_is_one_group_with_the_delay_of_the_last() {
        let mut groups = Groups::default();
        groups.packet(0, 20_000);
        // Held for 60 ms, then all at once.
        let held = groups.packet(10_000, 90_000).unwrap();
        assert_eq!(held.delay, 20_000);
        for at in 2..6 {
            assert_eq!(groups.packet(at * 10_000, 90_000 + at * 100), None);
        }
        let released = groups.packet(80_000, 100_000).unwrap();
        assert_eq!(released.delay, 90_500 - 50_000);
        // A late report changes nothing.
        assert_eq!(groups.packet(70_000, 90_700), None);
    }
}
