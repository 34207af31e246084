//! The last packets of a track, kept to answer a subscriber's NACK.

/// A ring of recent packets by extended sequence number. Buffers are reused, so a warm ring does not
/// allocate.
#[derive(Debug)]
pub struct PacketCache {
    entries: Box<[Entry]>,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    seq: u64,
    packet: Vec<u8>,
}

impl PacketCache {
    /// A ring of `capacity` packets; 64 of Opus are 1.3 s, 1024 of video at 5 Mbit/s 2 s. Its memory
    /// is that of the largest packet each place ever had: 1.2 MiB for those of video.
    pub fn new(capacity: usize) -> PacketCache {
        PacketCache {
            entries: vec![Entry::default(); capacity.max(1)].into_boxed_slice(),
        }
    }

    /// Keeps a decrypted RTP packet.
    pub fn insert(&mut self, seq: u64, packet: &[u8]) {
        let at = self.place(seq);
        let entry = &mut self.entries[at];
        // A late packet must not push out the newer one that took its place.
        if !entry.packet.is_empty() && entry.seq > seq {
            return;
        }
        entry.seq = seq;
        entry.packet.clear();
        // Growing by halves would take up to twice as much.
        entry.packet.reserve_exact(packet.len());
        entry.packet.extend_from_slice(packet);
    }

    /// The packet numbered `seq`, if it is still kept.
    pub fn get(&self, seq: u64) -> Option<&[u8]> {
        let entry = &self.entries[self.place(seq)];
        (entry.seq == seq && !entry.packet.is_empty()).then_some(&entry.packet[..])
    }

    fn place(&self, seq: u64) -> usize {
        (seq % self.entries.len() as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_newest_and_only_those() {
        let mut cache = PacketCache::new(4);
        for seq in 10..16u64 {
            cache.insert(seq, &[seq as u8]);
        }
        assert_eq!(cache.get(11), None);
        assert_eq!(cache.get(12), Some(&[12][..]));
        assert_eq!(cache.get(15), Some(&[15][..]));
        cache.insert(11, &[11]);
        assert_eq!(cache.get(11), None);
        assert_eq!(cache.get(15), Some(&[15][..]));
    }
}
