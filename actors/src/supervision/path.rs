//! Where a child stands in the tree.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// The ids from the root down to a child, joined by `/`: `root/rooms/demo/ana/stt`.
///
/// An id may be any text (room and participant names come from users): `/` and `%` inside an id are
/// percent-escaped, so that a path always splits back into the ids it was made of.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChildPath(Arc<str>);

impl ChildPath {
    /// The path of a root supervisor.
    pub fn root(id: &str) -> ChildPath {
        ChildPath(escape(id).into())
    }

    /// A path as it is printed, for instance from a request to kill a child.
    pub fn parse(text: &str) -> ChildPath {
        ChildPath(text.trim_matches('/').into())
    }

    /// The path of this one's child `id`.
    pub fn join(&self, id: &str) -> ChildPath {
        ChildPath(format!("{}/{}", self.0, escape(id)).into())
    }

    /// The supervisor's path; `None` for the root.
    pub fn parent(&self) -> Option<ChildPath> {
        self.0
            .rsplit_once('/')
            .map(|(parent, _)| ChildPath(parent.into()))
    }

    /// The escaped ids from the root down.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An id as one segment of a path.
pub(crate) fn escape(id: &str) -> String {
    let mut escaped = String::with_capacity(id.len());
    for character in id.chars() {
        match character {
            '/' => escaped.push_str("%2F"),
            '%' => escaped.push_str("%25"),
            other => escaped.push(other),
        }
    }
    escaped
}

impl fmt::Display for ChildPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ChildPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for ChildPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_with_a_slash_stays_one_segment() {
        let path = ChildPath::root("root").join("a/b").join("50%");
        assert_eq!(path.as_str(), "root/a%2Fb/50%25");
        assert_eq!(path.segments().count(), 3);
        assert_eq!(
            path.parent().map(|p| p.to_string()),
            Some("root/a%2Fb".into())
        );
        assert_eq!(ChildPath::parse("/root/a%2Fb/50%25/"), path);
    }
}
