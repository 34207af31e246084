//! Messages out of fragments (RFC 6455, section 5.4): browsers cut large ones into pieces.

use actix_http::ws::Item;
use bytes::{Bytes, BytesMut};

/// What a fragment was.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Assembled {
    /// The last of a message.
    Whole(Bytes),
    /// Not the last.
    Part,
    /// Of a text.
    Text,
    /// It makes the message larger than it may be.
    TooLarge,
}

/// The pieces of the message that is under way.
#[derive(Debug)]
pub(super) struct Assembly {
    limit: usize,
    parts: BytesMut,
}

impl Assembly {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            parts: BytesMut::new(),
        }
    }

    /// The fragments come in order: the codec sees to it.
    pub(super) fn push(&mut self, fragment: Item) -> Assembled {
        let (part, is_last) = match fragment {
            Item::FirstText(_) => return Assembled::Text,
            Item::FirstBinary(part) => {
                self.parts.clear();
                (part, false)
            }
            Item::Continue(part) => (part, false),
            Item::Last(part) => (part, true),
        };
        if self.parts.len() + part.len() > self.limit {
            self.parts = BytesMut::new();
            return Assembled::TooLarge;
        }
        self.parts.extend_from_slice(&part);
        if is_last {
            Assembled::Whole(self.parts.split().freeze())
        } else {
            Assembled::Part
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn fragments_make_a_message_up_to_the_limit() {
        let mut assembly = Assembly::new(5);
        assert_eq!(
            assembly.push(Item::FirstBinary(bytes("ab"))),
            Assembled::Part
        );
        assert_eq!(assembly.push(Item::Continue(bytes("cd"))), Assembled::Part);
        assert_eq!(
            assembly.push(Item::Last(bytes("e"))),
            Assembled::Whole(bytes("abcde"))
        );
        assembly.push(Item::FirstBinary(bytes("abc")));
        assert_eq!(assembly.push(Item::Last(bytes("def"))), Assembled::TooLarge);
        assert_eq!(assembly.push(Item::FirstText(bytes("a"))), Assembled::Text);
    }
}
