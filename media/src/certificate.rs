//! The server's own certificate: what `a=fingerprint` promises and DTLS proves.

use std::fmt;
use std::sync::Arc;

use rtc_crypto::RTCCryptoProvider;
use rtc_crypto::providers::RingProvider;

/// A self-signed ECDSA P-256 certificate with its key. One serves all workers of a process.
pub struct Certificate {
    pub(crate) dtls: rtc_dtls::crypto::Certificate,
    pub(crate) provider: Arc<dyn RTCCryptoProvider>,
    fingerprint: String,
}

/// Why no certificate could be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot generate the DTLS certificate: {0}")]
pub struct GenerateCertificateError(String);

impl Certificate {
    /// Generates a key and signs a certificate with it.
    ///
    /// # Errors
    ///
    /// If the operating system gives no randomness.
    pub fn generate() -> Result<Certificate, GenerateCertificateError> {
        let provider = RingProvider::default();
        // The name is not looked at: peers compare fingerprints. rcgen's default is P-256.
        let dtls = rtc_dtls::crypto::Certificate::generate_self_signed(
            vec!["hive".to_owned()],
            provider.crypto(),
        )
        .map_err(|error| GenerateCertificateError(error.to_string()))?;
        let der = dtls
            .certificate
            .first()
            .ok_or_else(|| GenerateCertificateError("the chain is empty".to_owned()))?;
        let fingerprint = fingerprint(&ring::digest::SHA256, der);
        Ok(Certificate {
            dtls,
            provider: Arc::new(provider),
            fingerprint,
        })
    }

    /// The SHA-256 fingerprint as `a=fingerprint` writes it: upper-case hex pairs with colons.
    pub fn fingerprint_sha256(&self) -> &str {
        &self.fingerprint
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

/// The fingerprint of a DER certificate (RFC 8122 §5).
pub(crate) fn fingerprint(algorithm: &'static ring::digest::Algorithm, der: &[u8]) -> String {
    let digest = ring::digest::digest(algorithm, der);
    let pairs: Vec<String> = digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    pairs.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_certificate_is_its_own() {
        let one = Certificate::generate().unwrap();
        let two = Certificate::generate().unwrap();
        assert_eq!(one.fingerprint_sha256().len(), 32 * 3 - 1);
        assert_ne!(one.fingerprint_sha256(), two.fingerprint_sha256());
        assert!(!format!("{one:?}").contains("PRIVATE"));
    }
}
