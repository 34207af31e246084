//! Names for the things the media plane keeps.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

id!(
    /// One peer connection: a publisher or a listener. Chosen by the caller, unique in a worker.
    PeerId,
    "peer-"
);
id!(
    /// One track that can be forwarded: a publisher's microphone or a language channel. Chosen by
    /// the media plane, unique in the process.
    TrackId,
    "track-"
);
id!(
    /// A room: the set of peers that hear each other. Chosen by the caller.
    RoomId,
    "room-"
);

impl TrackId {
    /// A name no other track of this process has, whichever worker it lives on.
    pub(crate) fn fresh() -> TrackId {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        TrackId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}
