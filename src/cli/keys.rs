//! `hive keys`.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::{TryRngCore, rngs::OsRng};

use crate::config::Secret;

/// A fresh API key with its secret, and a service key.
pub(super) struct Keys {
    api_key: String,
    api_secret: Secret,
    service_key: Secret,
}

/// Makes keys from the operating system's randomness: 256 bits a secret.
pub(super) fn make() -> Keys {
    let name: [u8; 6] = random();
    // Lower case only, so that HIVE__AUTH__KEYS__<KEY> can name it.
    let api_key = format!("hive{}", name.map(|byte| format!("{byte:02x}")).concat());
    Keys {
        api_key,
        api_secret: secret(),
        service_key: secret(),
    }
}

fn secret() -> Secret {
    Secret::new(URL_SAFE_NO_PAD.encode(random::<32>()))
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    OsRng
        .try_fill_bytes(&mut bytes)
        .expect("the operating system has randomness, or nothing here is safe");
    bytes
}

impl Keys {
    /// As the configuration wants them.
    pub(super) fn to_yaml(&self) -> String {
        let Self {
            api_key,
            api_secret,
            service_key,
        } = self;
        let (api_secret, service_key) = (api_secret.expose(), service_key.expose());
        format!(
            "# Secrets: keep this file readable for the service alone (chmod 600).\n\
             auth:\n  \
               # API key: secret. Signs participants' tokens; LiveKit's client libraries take the pair as it is.\n  \
               keys:\n    \
                 {api_key}: \"{api_secret}\"\n  \
               # For services that ask POST /auth/token/room for tokens, and for /supervision.\n  \
               service_keys:\n    \
                 - \"{service_key}\"\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn what_is_printed_is_a_working_configuration() {
        let config = config::parse("keys", &make().to_yaml(), []).expect("YAML");
        assert_eq!(config.complaints(), vec![]);
        assert_eq!(config.missing_keys(), None);
        assert_eq!(config.auth.service_keys.len(), 1);
    }

    #[test]
    fn no_two_keys_are_the_same() {
        let (a, b) = (make(), make());
        assert_ne!(a.api_key, b.api_key);
        assert_ne!(a.api_secret, b.api_secret);
        assert_ne!(a.api_secret, a.service_key);
    }
}
