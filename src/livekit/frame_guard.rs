//! A look at WebSocket frames' headers (RFC 6455, section 5.2) before their content is kept.
//!
//! actix-web's codec compares a frame's length with the limit only once the whole frame has arrived, so
//! that a client could announce a frame of a terabyte and have it kept in memory as far as it sends it.
//! This looks at each header as it passes. What comes after a header that cannot be is thrown away, so
//! that the connection can still be closed in order.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::Stream;

/// Why a frame is not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadFrame {
    /// Its length is above the limit.
    TooLarge,
    /// It is none.
    Malformed,
}

/// Longest header: two bytes, eight of length, four of mask.
const MAX_HEADER: usize = 14;
/// Longest content of a control frame.
const MAX_CONTROL: u64 = 125;

/// Lets a client's bytes through while they are frames of at most `limit` bytes.
pub(super) struct FrameGuard<S, F> {
    bytes: S,
    limit: u64,
    /// Told once; None afterwards.
    refuse: Option<F>,
    header: Vec<u8>,
    /// Bytes of the present frame that are still to come.
    content: u64,
}

impl<S, F> FrameGuard<S, F> {
    /// `refuse` is told of the first bad frame.
    pub(super) fn new(bytes: S, limit: usize, refuse: F) -> Self {
        Self {
            bytes,
            limit: limit as u64,
            refuse: Some(refuse),
            header: Vec::with_capacity(MAX_HEADER),
            content: 0,
        }
    }

    fn inspect(&mut self, mut chunk: &[u8]) -> Result<(), BadFrame> {
        while !chunk.is_empty() {
            if self.content > 0 {
                let skip = usize::try_from(self.content)
                    .map_or(chunk.len(), |content| content.min(chunk.len()));
                chunk = &chunk[skip..];
                self.content -= skip as u64;
                continue;
            }
            self.header.push(chunk[0]);
            chunk = &chunk[1..];
            if let Some(content) = content_length(&self.header, self.limit)? {
                self.content = content;
                self.header.clear();
            }
        }
        Ok(())
    }
}

/// Bytes of content after this header; None while it is incomplete.
fn content_length(header: &[u8], limit: u64) -> Result<Option<u64>, BadFrame> {
    let &[first, second, ref rest @ ..] = header else {
        return Ok(None);
    };
    let (is_last, reserved, opcode) = (first & 0x80 != 0, first & 0x70, first & 0x0f);
    let is_control = opcode & 0x8 != 0;
    let is_known = matches!(opcode, 0..=2 | 8..=10);
    // Clients mask (section 5.1); no extension was agreed upon that would use the reserved bits.
    if second & 0x80 == 0 || reserved != 0 || !is_known || (is_control && !is_last) {
        return Err(BadFrame::Malformed);
    }
    let (length, length_bytes) = match second & 0x7f {
        126 if rest.len() < 2 => return Ok(None),
        126 => (u64::from(u16::from_be_bytes([rest[0], rest[1]])), 2),
        127 if rest.len() < 8 => return Ok(None),
        127 => {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&rest[..8]);
            (u64::from_be_bytes(bytes), 8)
        }
        short => (u64::from(short), 0),
    };
    if is_control && length > MAX_CONTROL {
        return Err(BadFrame::Malformed);
    }
    if length > limit {
        return Err(BadFrame::TooLarge);
    }
    const MASK: usize = 4;
    Ok((rest.len() == length_bytes + MASK).then_some(length))
}

impl<S, F, E> Stream for FrameGuard<S, F>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    F: FnOnce(BadFrame) + Unpin,
{
    type Item = Result<Bytes, E>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            let chunk = match Pin::new(&mut this.bytes).poll_next(cx) {
                Poll::Ready(Some(Ok(chunk))) => chunk,
                other => return other,
            };
            if this.refuse.is_none() {
                continue;
            }
            match this.inspect(&chunk) {
                Ok(()) => return Poll::Ready(Some(Ok(chunk))),
                Err(bad) => {
                    if let Some(refuse) = this.refuse.take() {
                        refuse(bad);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt, StreamExt, stream};

    /// Feeds `bytes` in pieces of `piece`: how many came through, and what was bad.
    fn guard(bytes: &[u8], piece: usize) -> (usize, Option<BadFrame>) {
        let chunks: Vec<Result<Bytes, ()>> = bytes
            .chunks(piece)
            .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
            .collect();
        let mut bad = None;
        let passed = FrameGuard::new(stream::iter(chunks), 1000, |why| bad = Some(why))
            .map(|chunk| chunk.map_or(0, |chunk| chunk.len()))
            .fold(0, |sum, len| std::future::ready(sum + len))
            .now_or_never()
            .expect("the stream is ready");
        (passed, bad)
    }

    fn frame(first: u8, length: u64, content: usize) -> Vec<u8> {
        let mut frame = vec![first];
        match length {
            0..=125 => frame.push(0x80 | length as u8),
            126..=0xffff => {
                frame.push(0x80 | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            _ => {
                frame.push(0x80 | 127);
                frame.extend(length.to_be_bytes());
            }
        }
        frame.extend([1, 2, 3, 4]);
        frame.extend(vec![0; content]);
        frame
    }

    #[test]
    fn good_frames_pass_however_they_are_cut() {
        let bytes = [
            frame(0x82, 0, 0),
            frame(0x89, 125, 125),
            frame(0x02, 126, 126),
            frame(0x00, 5, 5),
            frame(0x80, 1000, 1000),
            frame(0x88, 2, 2),
        ]
        .concat();
        for piece in [1, 2, 3, 7, 100, 10_000] {
            assert_eq!(guard(&bytes, piece), (bytes.len(), None), "{piece}");
        }
    }

    #[test]
    fn a_bad_header_is_the_last_thing_that_is_looked_at() {
        let unmasked = vec![0x82, 1, 0];
        for (bytes, why) in [
            (frame(0x82, 1001, 0), BadFrame::TooLarge),
            (frame(0x82, 1 << 40, 5000), BadFrame::TooLarge),
            (frame(0x82, u64::MAX, 5000), BadFrame::TooLarge),
            (unmasked, BadFrame::Malformed),
            (frame(0xc2, 1, 1), BadFrame::Malformed),
            (frame(0x83, 1, 1), BadFrame::Malformed),
            (frame(0x89, 126, 126), BadFrame::Malformed),
            (frame(0x09, 1, 1), BadFrame::Malformed),
        ] {
            let good = frame(0x82, 3, 3);
            let (passed, bad) = guard(&[good.clone(), bytes].concat(), 1);
            assert_eq!(bad, Some(why));
            assert!(
                (good.len()..good.len() + MAX_HEADER).contains(&passed),
                "{passed}"
            );
        }
    }
}
