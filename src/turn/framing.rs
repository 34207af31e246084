//! Where a message ends on TCP (RFC 8656, sections 3.2 and 12.5): STUN messages tell their length, channel data
//! too, padded to a multiple of four.

/// Longest frame that is taken, over UDP too. No message that TURN needs is longer, and media is shorter than
/// an Ethernet frame.
pub(super) const MAX_FRAME: usize = 4096;

const STUN_HEADER: usize = 20;
const CHANNEL_HEADER: usize = 4;
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// The first frame of what was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// Bytes of the frame.
    pub(super) len: usize,
    /// Bytes up to the next one.
    pub(super) padded: usize,
}

/// What was received is no TURN; where the next frame would begin cannot be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FramingError;

/// What sort of frame it is, by its first two bits (RFC 8656, section 12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Stun,
    Channel,
    Neither,
}

impl Kind {
    pub(super) fn of(frame: &[u8]) -> Self {
        match frame.first() {
            Some(0..=0x3f) if frame.len() >= STUN_HEADER && frame[4..8] == MAGIC_COOKIE => {
                Self::Stun
            }
            Some(0x40..=0x7f) if frame.len() >= CHANNEL_HEADER => Self::Channel,
            _ => Self::Neither,
        }
    }
}

/// Finds the first frame; `None` is that more has to come.
pub(super) fn first_frame(received: &[u8]) -> Result<Option<Frame>, FramingError> {
    let &[first, _, high, low, ref rest @ ..] = received else {
        return match received.first() {
            Some(0x80..) => Err(FramingError),
            _ => Ok(None),
        };
    };
    let told = usize::from(u16::from_be_bytes([high, low]));
    let frame = match first {
        0..=0x3f => {
            let cookie = &rest[..rest.len().min(4)];
            if told % 4 != 0 || !MAGIC_COOKIE.starts_with(cookie) {
                return Err(FramingError);
            }
            let len = STUN_HEADER + told;
            Frame { len, padded: len }
        }
        0x40..=0x7f => {
            let len = CHANNEL_HEADER + told;
            Frame {
                len,
                padded: len.next_multiple_of(4),
            }
        }
        _ => return Err(FramingError),
    };
    if frame.len > MAX_FRAME {
        return Err(FramingError);
    }
    Ok((received.len() >= frame.padded).then_some(frame))
}

/// Zeroes that a frame needs behind it on TCP.
pub(super) fn padding(frame: &[u8]) -> &'static [u8] {
    &[0; 3][..frame.len().next_multiple_of(4) - frame.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stun(body: usize) -> Vec<u8> {
        let mut message = vec![0, 1];
        message.extend((body as u16).to_be_bytes());
        message.extend(MAGIC_COOKIE);
        message.extend([7; 12]);
        message.extend(vec![0; body]);
        message
    }

    #[test]
    fn a_frame_is_whole_or_waited_for() {
        for frame in [stun(8), vec![0x40, 0, 0, 3, 1, 2, 3, 0]] {
            for end in 0..frame.len() {
                assert_eq!(first_frame(&frame[..end]), Ok(None), "{end}");
            }
            let mut two = frame.clone();
            two.extend(&frame);
            let first = first_frame(&two).expect("good").expect("whole");
            assert_eq!(first.padded, frame.len());
        }
        let channel = first_frame(&[0x40, 0, 0, 3, 1, 2, 3, 0]);
        assert_eq!(channel, Ok(Some(Frame { len: 7, padded: 8 })));
        assert_eq!(padding(&[0; 7]), [0]);
        assert!(padding(&[0; 8]).is_empty());
    }

    #[test]
    fn what_is_no_turn_is_told_at_once() {
        for wrong in [
            &b"\x16\x03\x01\x02\x00\x01\x00"[..],
            b"\x80",
            b"GET / HTTP/1.1\r\n",
            &stun(3),
            &stun(MAX_FRAME),
            &[0x40, 0, 0xff, 0xff],
            &[0, 1, 0, 0, 9],
        ] {
            assert_eq!(first_frame(wrong), Err(FramingError), "{wrong:?}");
        }
    }

    #[test]
    fn frames_are_told_apart() {
        assert_eq!(Kind::of(&stun(0)), Kind::Stun);
        assert_eq!(Kind::of(&[0x40, 0, 0, 0]), Kind::Channel);
        for neither in [&[][..], &[0; 20], &[0x40], &[0x80; 40]] {
            assert_eq!(Kind::of(neither), Kind::Neither);
        }
    }
}
