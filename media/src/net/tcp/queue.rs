//! What waits to be written to a connection.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};
use std::time::{Duration, Instant};

use super::framing::PREFIX;

/// Bytes that may wait: a second of video in good quality.
const MAX_QUEUED: usize = 256 * 1024;

/// What waited so long is of no use any more: a jitter buffer gave it up, or the sender of what is
/// reliable sends it again.
const MAX_AGE: Duration = Duration::from_secs(1);

/// A queue that grew larger than this gives its memory back when it is empty.
const KEPT: usize = 16 * 1024;

/// Frames in order. A peer that reads too slowly loses the oldest, as it would lose datagrams, but never
/// a part of one.
#[derive(Debug, Default)]
pub(super) struct FrameQueue {
    /// The rest of a frame whose start was written: it has to follow, or the stream makes no sense.
    begun: Vec<u8>,
    /// Frames with their lengths; those before `start` are gone.
    bytes: Vec<u8>,
    start: usize,
    /// When each frame came, and its size with its length.
    frames: VecDeque<(Instant, usize)>,
    /// Frames that were dropped, since they were last taken.
    pub(super) dropped: u64,
}

/// How writing ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// Bytes that were taken.
    pub(super) bytes: usize,
    /// Whether nothing is left.
    pub(super) all: bool,
}

impl FrameQueue {
    /// Adds a frame, for which old ones may have to go.
    pub(super) fn push(&mut self, now: Instant, frame: &[u8]) {
        self.drop_stale(now);
        let size = PREFIX + frame.len();
        while self.len() + size > MAX_QUEUED {
            self.drop_oldest();
        }
        let len = frame.len() as u16;
        self.bytes.extend_from_slice(&len.to_be_bytes());
        self.bytes.extend_from_slice(frame);
        self.frames.push_back((now, size));
    }

    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.begun.len() + self.bytes.len() - self.start
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes as much as is taken at once, which must not block.
    ///
    /// # Errors
    ///
    /// What `stream` says, except that it would block.
    pub(super) fn write(&mut self, now: Instant, stream: &mut impl Write) -> io::Result<Written> {
        self.drop_stale(now);
        let mut written = 0;
        while !self.is_empty() {
            let pieces = [&self.begun[..], &self.bytes[self.start..]].map(IoSlice::new);
            match stream.write_vectored(&pieces) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    let all = count == self.len();
                    written += count;
                    self.advance(count);
                    // A socket that takes less than it is given is full.
                    if !all {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(Written {
            bytes: written,
            all: self.is_empty(),
        })
    }

    fn advance(&mut self, count: usize) {
        let of_begun = count.min(self.begun.len());
        self.begun.drain(..of_begun);
        let mut count = count - of_begun;
        while count > 0 {
            let (_, size) = self.frames.pop_front().expect("what is written was queued");
            if count < size {
                self.begun
                    .extend_from_slice(&self.bytes[self.start + count..self.start + size]);
            }
            self.start += size;
            count = count.saturating_sub(size);
        }
        self.tidy();
    }

    fn drop_stale(&mut self, now: Instant) {
        while let Some((at, _)) = self.frames.front()
            && now.saturating_duration_since(*at) > MAX_AGE
        {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((_, size)) = self.frames.pop_front() {
            self.start += size;
            self.dropped += 1;
            self.tidy();
        }
    }

    /// Gives back the room of frames that are gone, when moving the rest costs no more than they did.
    fn tidy(&mut self) {
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.bytes.shrink_to(KEPT);
            self.start = 0;
        } else if self.start >= KEPT && self.start > self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::tcp::framing::Deframer;

    /// Takes as many bytes as it has room for.
    struct Stream {
        taken: Vec<u8>,
        room: usize,
    }

    impl Write for Stream {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.room);
            if count == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.taken.extend_from_slice(&bytes[..count]);
            self.room -= count;
            Ok(count)
        }

        fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
            let bytes: Vec<u8> = pieces
                .iter()
                .flat_map(|piece| piece.iter().copied())
                .collect();
            self.write(&bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn numbers(stream: &[u8]) -> Vec<u16> {
        let (mut deframer, mut stream) = (Deframer::default(), stream);
        let mut numbers = Vec::new();
        while let Some(frame) = deframer.next(&mut stream).unwrap() {
            assert_eq!(frame.len(), 1000);
            numbers.push(u16::from_be_bytes([frame[0], frame[1]]));
        }
        numbers
    }

    fn frame(number: u16) -> Vec<u8> {
        let mut frame = vec![0; 1000];
        frame[..2].copy_from_slice(&number.to_be_bytes());
        frame
    }

    #[test]
    fn what_fits_is_written_in_order_whatever_the_pieces() {
        let now = Instant::now();
        for room in [1, 2, 7, 999, 1003, 5000, 100_000] {
            let mut queue = FrameQueue::default();
            let mut stream = Stream {
                taken: Vec::new(),
                room: 0,
            };
            for number in 0..20 {
                queue.push(now, &frame(number));
            }
            let mut turns = 0;
            while !queue.is_empty() {
                stream.room = room;
                let written = queue.write(now, &mut stream).unwrap();
                assert!(written.bytes <= room && written.all == queue.is_empty());
                turns += 1;
            }
            assert_eq!(turns, (20 * 1002_usize).div_ceil(room));
            assert_eq!(numbers(&stream.taken), (0..20).collect::<Vec<_>>());
            assert_eq!(queue.dropped, 0);
        }
    }

    #[test]
    fn a_reader_that_stops_loses_the_oldest_frames_and_never_a_part_of_one() {
        let now = Instant::now();
        let mut queue = FrameQueue::default();
        let mut stream = Stream {
            taken: Vec::new(),
            room: 1500,
        };
        for number in 0..3 {
            queue.push(now, &frame(number));
        }
        assert!(!queue.write(now, &mut stream).unwrap().all);
        for number in 3..10_000 {
            queue.push(now, &frame(number));
            assert!(queue.len() <= MAX_QUEUED && queue.bytes.capacity() <= 4 * MAX_QUEUED);
        }
        stream.room = usize::MAX;
        assert!(queue.write(now, &mut stream).unwrap().all);
        let numbers = numbers(&stream.taken);
        // The second was begun before the reader stopped.
        assert_eq!(numbers[..2], [0, 1]);
        let first = 10_000 - (numbers.len() - 2) as u16;
        assert_eq!(numbers[2..], (first..10_000).collect::<Vec<_>>());
        assert_eq!(queue.dropped, u64::from(first) - 2);
        assert!(queue.bytes.capacity() <= KEPT);
    }

    #[test]
    fn what_waited_too_long_is_not_sent() {
        let start = Instant::now();
        let mut queue = FrameQueue::default();
        queue.push(start, &frame(0));
        queue.push(start + MAX_AGE, &frame(1));
        let mut stream = Stream {
            taken: Vec::new(),
            room: usize::MAX,
        };
        let later = start + MAX_AGE + Duration::from_millis(1);
        assert!(queue.write(later, &mut stream).unwrap().all);
        assert_eq!(numbers(&stream.taken), [1]);
    }

    #[test]
    fn a_connection_that_failed_says_so() {
        struct Broken;
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let now = Instant::now();
        let mut queue = FrameQueue::default();
        assert!(queue.write(now, &mut Broken).unwrap().all);
        queue.push(now, b"x");
        assert!(queue.write(now, &mut Broken).is_err());
    }
}
