//! What waits to be written to a client on TCP.

use std::{
    collections::VecDeque,
    io,
    time::{Duration, Instant},
};

use super::framing;

/// Bytes that may wait: a second of video in good quality.
const MAX_QUEUED: usize = 256 * 1024;

/// What waited so long is of no use any more, as in the media workers' own queues: a jitter buffer gave it up, or
/// the sender of what is reliable sends it again.
const MAX_AGE: Duration = Duration::from_secs(1);

/// Frames in order. A client that reads too slowly loses the oldest, as it would lose datagrams, but never a part of
/// one: the stream would make no sense from there on.
#[derive(Debug, Default)]
pub(super) struct FrameQueue {
    /// Frames with their padding, and when they came.
    frames: VecDeque<(Instant, Vec<u8>)>,
    /// Bytes of the first frame that are written.
    written: usize,
    /// Bytes of all frames.
    len: usize,
}

impl FrameQueue {
    /// Adds a frame, for which old ones may have to go. Gives how many went.
    pub(super) fn push(&mut self, now: Instant, frame: &[u8]) -> u64 {
        let padding = framing::padding(frame);
        let size = frame.len() + padding.len();
        let mut dropped = self.drop_stale(now);
        while self.len + size > MAX_QUEUED && self.drop_oldest() {
            dropped += 1;
        }
        let mut padded = Vec::with_capacity(size);
        padded.extend_from_slice(frame);
        padded.extend_from_slice(padding);
        self.len += size;
        self.frames.push_back((now, padded));
        dropped
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Writes as much as `write` takes at once. Gives how many frames were too old to be written.
    ///
    /// # Errors
    ///
    /// What `write` says, except that it would block.
    pub(super) fn write(
        &mut self,
        now: Instant,
        mut write: impl FnMut(&[u8]) -> io::Result<usize>,
    ) -> io::Result<u64> {
        let dropped = self.drop_stale(now);
        while let Some((_, frame)) = self.frames.front() {
            match write(&frame[self.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.written += count;
                    if self.written == frame.len() {
                        self.len -= frame.len();
                        self.written = 0;
                        self.frames.pop_front();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(dropped)
    }

    /// The place of the oldest frame that has not been begun.
    fn oldest(&self) -> usize {
        usize::from(self.written > 0)
    }

    fn drop_stale(&mut self, now: Instant) -> u64 {
        let mut dropped = 0;
        while let Some((at, _)) = self.frames.get(self.oldest()) {
            if now.saturating_duration_since(*at) <= MAX_AGE {
                break;
            }
            self.drop_oldest();
            dropped += 1;
        }
        dropped
    }

    fn drop_oldest(&mut self) -> bool {
        let gone = self.frames.remove(self.oldest());
        self.len -= gone.as_ref().map_or(0, |(_, frame)| frame.len());
        gone.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Channel data of 1001 bytes, which takes three of padding.
    fn frame(number: u16) -> Vec<u8> {
        let mut frame = vec![0x40, 0, 3, 229];
        frame.extend(number.to_be_bytes());
        frame.resize(4 + 997, 7);
        frame
    }

    fn numbers(mut stream: &[u8]) -> Vec<u16> {
        let mut numbers = Vec::new();
        while let Some(frame) = framing::first_frame(stream).expect("whole frames") {
            assert_eq!((frame.len, frame.padded), (1001, 1004));
            numbers.push(u16::from_be_bytes([stream[4], stream[5]]));
            stream = &stream[frame.padded..];
        }
        assert!(stream.is_empty());
        numbers
    }

    /// Writes into `taken` until `room` bytes were.
    fn drain(queue: &mut FrameQueue, now: Instant, taken: &mut Vec<u8>, mut room: usize) -> u64 {
        let write = |bytes: &[u8]| -> io::Result<usize> {
            let count = bytes.len().min(room);
            if count == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            taken.extend_from_slice(&bytes[..count]);
            room -= count;
            Ok(count)
        };
        queue.write(now, write).expect("it is open")
    }

    #[test]
    fn what_fits_is_written_in_order_whatever_the_pieces() {
        let now = Instant::now();
        for room in [1, 999, 1004, 1005, 50_000] {
            let (mut queue, mut taken) = (FrameQueue::default(), Vec::new());
            for number in 0..10 {
                assert_eq!(queue.push(now, &frame(number)), 0);
            }
            while !queue.is_empty() {
                assert_eq!(drain(&mut queue, now, &mut taken, room), 0);
            }
            assert_eq!(numbers(&taken), (0..10).collect::<Vec<_>>());
            assert_eq!(queue.len, 0);
        }
    }

    #[test]
    fn a_reader_that_stops_loses_the_oldest_frames_and_never_a_part_of_one() {
        let now = Instant::now();
        let (mut queue, mut taken) = (FrameQueue::default(), Vec::new());
        queue.push(now, &frame(0));
        drain(&mut queue, now, &mut taken, 500);
        let dropped: u64 = (1..2000)
            .map(|number| queue.push(now, &frame(number)))
            .sum();
        assert!(queue.len <= MAX_QUEUED);
        drain(&mut queue, now, &mut taken, usize::MAX);
        let numbers = numbers(&taken);
        assert_eq!(numbers[0], 0, "it was begun");
        assert_eq!(numbers[1..], (dropped as u16 + 1..2000).collect::<Vec<_>>());
        assert!(numbers.len() > 250);
    }

    #[test]
    fn what_waited_too_long_is_not_sent() {
        let start = Instant::now();
        let (mut queue, mut taken) = (FrameQueue::default(), Vec::new());
        for number in 0..3 {
            queue.push(start, &frame(number));
        }
        drain(&mut queue, start, &mut taken, 1);
        let later = start + MAX_AGE + Duration::from_millis(1);
        assert_eq!(queue.push(later, &frame(3)), 2);
        drain(&mut queue, later, &mut taken, usize::MAX);
        assert_eq!(numbers(&taken), [0, 3]);
        let (mut queue, mut taken) = (FrameQueue::default(), Vec::new());
        queue.push(start, &frame(0));
        assert_eq!(drain(&mut queue, later, &mut taken, usize::MAX), 1);
        assert!(taken.is_empty() && queue.is_empty());
    }

    #[test]
    fn a_connection_that_failed_says_so() {
        let now = Instant::now();
        let mut queue = FrameQueue::default();
        let broken = |_: &[u8]| -> io::Result<usize> { Err(io::ErrorKind::BrokenPipe.into()) };
        assert!(queue.write(now, broken).is_ok());
        queue.push(now, &frame(0));
        assert!(queue.write(now, broken).is_err());
    }
}
