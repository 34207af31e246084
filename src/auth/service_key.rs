//! Keys of services: they issue tokens and see the supervision tree.

use subtle::{Choice, ConstantTimeEq};

use crate::config::Secret;

/// The accepted service keys.
#[derive(Clone, Debug, Default)]
pub struct ServiceKeys(Vec<Secret>);

impl ServiceKeys {
    /// The keys of the configuration.
    pub fn new(keys: &[Secret]) -> Self {
        Self(keys.to_vec())
    }

    /// Whether there is any key.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `offered` is one of the keys. Takes the same time wherever they differ, and looks at all of
    /// them; only their lengths can be told from outside.
    pub fn accept(&self, offered: &str) -> bool {
        self.0
            .iter()
            .fold(Choice::from(0), |found, key| {
                found | key.expose().as_bytes().ct_eq(offered.as_bytes())
            })
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_of_the_keys_is_accepted_and_nothing_else() {
        let keys = ServiceKeys::new(&[Secret::new("first-key"), Secret::new("other-key")]);
        assert!(keys.accept("first-key") && keys.accept("other-key"));
        for wrong in ["", "first", "first-key ", "FIRST-KEY", "first-keyother-key"] {
            assert!(!keys.accept(wrong), "{wrong}");
        }
        assert!(!ServiceKeys::default().accept(""));
    }
}
