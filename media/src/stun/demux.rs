//! What a datagram is, before anything of it is trusted (RFC 7983).

/// The protocols that share the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatagramKind {
    /// A connectivity check.
    Stun,
    /// A DTLS record.
    Dtls,
    /// Protected media.
    Rtp,
    /// Protected media control.
    Rtcp,
    /// None of these.
    Unknown,
}

/// Classifies by the first bytes (RFC 7983 §7, RFC 5761 §4).
pub fn classify(datagram: &[u8]) -> DatagramKind {
    match datagram {
        [0..=3, ..] if datagram.len() >= 20 => DatagramKind::Stun,
        [20..=63, ..] if datagram.len() >= 13 => DatagramKind::Dtls,
        [128..=191, 192..=223, ..] if datagram.len() >= 8 => DatagramKind::Rtcp,
        [128..=191, ..] if datagram.len() >= 12 => DatagramKind::Rtp,
        _ => DatagramKind::Unknown,
    }
}

const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];
const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];
const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;

/// The user name fragments in a binding request: ours, then the peer's.
///
/// `None` unless the datagram is a well-formed binding request with a user name and a message
/// integrity attribute. Cheap, and the only thing done for a sender that does not know a ufrag.
pub fn binding_request_ufrags(datagram: &[u8]) -> Option<(&str, &str)> {
    let header: &[u8; 20] = datagram.first_chunk()?;
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header[..2] != BINDING_REQUEST
        || header[4..8] != MAGIC_COOKIE
        || length % 4 != 0
        || datagram.len() != 20 + length
    {
        return None;
    }
    let mut ufrags = None;
    let mut has_integrity = false;
    let mut rest = &datagram[20..];
    while !rest.is_empty() {
        let head: &[u8; 4] = rest.first_chunk()?;
        let kind = u16::from_be_bytes([head[0], head[1]]);
        let len = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let value = rest.get(4..4 + len)?;
        match kind {
            USERNAME if ufrags.is_none() => {
                ufrags = Some(std::str::from_utf8(value).ok()?.split_once(':')?);
            }
            // Only the first counts, and what follows it is not covered by it.
            MESSAGE_INTEGRITY => has_integrity |= len == 20,
            _ => {}
        }
        rest = rest.get(4 + len.next_multiple_of(4)..)?;
    }
    if has_integrity { ufrags } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(username: &[u8]) -> Vec<u8> {
        let mut attributes = vec![0, 6];
        attributes.extend((username.len() as u16).to_be_bytes());
        attributes.extend(username);
        attributes.resize(attributes.len().next_multiple_of(4), 0);
        attributes.extend([0, 8, 0, 20]);
        attributes.extend([0; 20]);
        let mut request = vec![0, 1];
        request.extend((attributes.len() as u16).to_be_bytes());
        request.extend(MAGIC_COOKIE);
        request.extend([9; 12]);
        request.extend(attributes);
        request
    }

    #[test]
    fn reads_both_fragments() {
        assert_eq!(
            binding_request_ufrags(&request(b"ours:theirs")),
            Some(("ours", "theirs"))
        );
        assert_eq!(binding_request_ufrags(&request(b"ours")), None);
        assert_eq!(binding_request_ufrags(&request(&[0xFF, b':', b'a'])), None);
    }

    #[test]
    fn refuses_every_truncation() {
        let request = request(b"ours:theirs");
        for len in 0..request.len() {
            assert_eq!(binding_request_ufrags(&request[..len]), None);
        }
    }

    #[test]
    fn tells_the_protocols_apart() {
        assert_eq!(classify(&request(b"a:b")), DatagramKind::Stun);
        assert_eq!(classify(&[22; 30]), DatagramKind::Dtls);
        assert_eq!(classify(&[0x80; 12]), DatagramKind::Rtp);
        let mut report = [0x80; 12];
        report[1] = 201;
        assert_eq!(classify(&report), DatagramKind::Rtcp);
        for junk in [&[][..], &[0x80], &[22], &[0, 1, 2], &[70; 40], &[255; 40]] {
            assert_eq!(classify(junk), DatagramKind::Unknown);
        }
    }
}
