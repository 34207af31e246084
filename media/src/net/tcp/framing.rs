//! Datagrams in a stream: each after its length in 16 bits (RFC 4571).

use crate::engine::MAX_DATAGRAM;

/// Bytes of the length before each frame.
pub(super) const PREFIX: usize = 2;

/// The stream holds a frame that no datagram of ours can be: its sender speaks something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {0} bytes is longer than any datagram")]
pub(crate) struct FrameTooLong(pub(crate) usize);

/// Finds the frames in what was read. It holds one frame at most.
#[derive(Debug, Default)]
pub(crate) struct Deframer {
    /// The frame that was begun last, with its length.
    frame: Vec<u8>,
}

impl Deframer {
    /// The next frame of what `stream` holds; `None` if the rest of it is still to come. Frames without
    /// content, which keep a connection alive, are passed over.
    ///
    /// # Errors
    ///
    /// [`FrameTooLong`], after which the stream makes no sense any more.
    pub(crate) fn next(&mut self, stream: &mut &[u8]) -> Result<Option<&mut [u8]>, FrameTooLong> {
        if self.missing()? == 0 {
            self.frame.clear();
        }
        loop {
            // Of a frame whose length is not known yet, the length is missing.
            let missing = self.missing()?;
            if missing == 0 {
                if self.frame.len() > PREFIX {
                    return Ok(Some(&mut self.frame[PREFIX..]));
                }
                self.frame.clear();
                continue;
            }
            let (taken, rest) = stream.split_at(missing.min(stream.len()));
            if taken.is_empty() {
                return Ok(None);
            }
            self.frame.extend_from_slice(taken);
            *stream = rest;
        }
    }

    /// How many bytes of the frame, or else of its length, are still to come.
    fn missing(&self) -> Result<usize, FrameTooLong> {
        let Some(prefix) = self.frame.first_chunk::<PREFIX>() else {
            return Ok(PREFIX - self.frame.len());
        };
        let len = usize::from(u16::from_be_bytes(*prefix));
        if len > MAX_DATAGRAM {
            return Err(FrameTooLong(len));
        }
        Ok(PREFIX + len - self.frame.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(frames: &[&[u8]]) -> Vec<u8> {
        let mut stream = Vec::new();
        for frame in frames {
            stream.extend((frame.len() as u16).to_be_bytes());
            stream.extend(*frame);
        }
        stream
    }

    fn read(stream: &[u8], piece: usize) -> Result<Vec<Vec<u8>>, FrameTooLong> {
        let mut deframer = Deframer::default();
        let mut frames = Vec::new();
        for mut piece in stream.chunks(piece) {
            while let Some(frame) = deframer.next(&mut piece)? {
                frames.push(frame.to_vec());
            }
            assert!(piece.is_empty());
        }
        Ok(frames)
    }

    #[test]
    fn frames_are_whole_however_they_arrive() {
        let largest = vec![7; MAX_DATAGRAM];
        let frames: [&[u8]; 4] = [b"a", b"bcd", &largest, b"e"];
        let stream = framed(&frames);
        for piece in [1, 2, 3, 5, 100, 1501, stream.len()] {
            assert_eq!(read(&stream, piece).unwrap(), frames, "{piece} at a time");
        }
    }

    #[test]
    fn empty_frames_are_passed_over() {
        let stream = framed(&[b"", b"a", b"", b"", b"b", b""]);
        for piece in [1, 2, stream.len()] {
            assert_eq!(read(&stream, piece).unwrap(), [b"a", b"b"]);
        }
    }

    #[test]
    fn a_frame_that_is_too_long_is_refused_by_its_length_alone() {
        for hostile in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01", &[0xFF; 9]] {
            let mut stream = framed(&[b"good"]);
            stream.extend(hostile);
            for piece in [1, stream.len()] {
                assert!(read(&stream, piece).is_err(), "{hostile:?}");
            }
        }
        let just_over = (MAX_DATAGRAM as u16 + 1).to_be_bytes();
        assert_eq!(read(&just_over, 2), Err(FrameTooLong(MAX_DATAGRAM + 1)));
        // And it stays refused.
        let mut deframer = Deframer::default();
        let mut stream = &just_over[..];
        assert!(deframer.next(&mut stream).is_err());
        assert!(deframer.next(&mut &b"\0\x01a"[..]).is_err());
    }

    #[test]
    fn what_is_not_complete_waits() {
        let mut deframer = Deframer::default();
        for piece in [&b"\0"[..], b"\x03a", b"b"] {
            assert_eq!(deframer.next(&mut &*piece), Ok(None));
        }
        assert_eq!(deframer.next(&mut &b"c"[..]).unwrap().unwrap(), b"abc");
    }
}
