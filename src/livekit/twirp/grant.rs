//! Which grant a method needs.

use super::error::{TwirpCode, TwirpError};
use crate::auth::VideoGrant;

/// What a token has to permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grant<'a> {
    /// `roomCreate`: rooms are made and deleted.
    Create,
    /// `roomList`: rooms are seen.
    List,
    /// `roomAdmin`, for this room.
    Admin(&'a str),
}

impl Grant<'_> {
    /// Refuses a token without the grant, as `unauthenticated`: LiveKit's word, which its libraries' callers
    /// look for, although Twirp has another one for callers who are known and may not.
    pub(super) fn check(self, video: &VideoGrant) -> Result<(), TwirpError> {
        let (granted, what) = match self {
            Grant::Create => (video.room_create, "roomCreate".to_owned()),
            Grant::List => (video.room_list, "roomList".to_owned()),
            Grant::Admin("") => {
                return Err(TwirpCode::InvalidArgument
                    .because("the request names no room")
                    .with("argument", "room"));
            }
            Grant::Admin(room) => (
                video.may_manage(room),
                format!("roomAdmin for the room {room}"),
            ),
        };
        if granted {
            Ok(())
        } else {
            Err(TwirpCode::Unauthenticated.because(format!("the token's video grant lacks {what}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_grant_is_its_own() {
        let create = VideoGrant {
            room_create: true,
            ..VideoGrant::default()
        };
        let list = VideoGrant {
            room_list: true,
            ..VideoGrant::default()
        };
        let admin = VideoGrant {
            room_admin: true,
            room: Some("r".to_owned()),
            ..VideoGrant::default()
        };
        let granted = |video: &VideoGrant| {
            [
                Grant::Create,
                Grant::List,
                Grant::Admin("r"),
                Grant::Admin("s"),
            ]
            .map(|grant| grant.check(video).is_ok())
        };
        assert_eq!(granted(&create), [true, false, false, false]);
        assert_eq!(granted(&list), [false, true, false, false]);
        assert_eq!(granted(&admin), [false, false, true, false]);
        assert_eq!(granted(&VideoGrant::default()), [false; 4]);
        let nameless = Grant::Admin("").check(&admin).map_err(|e| e.code());
        assert_eq!(nameless, Err(TwirpCode::InvalidArgument));
    }
}
