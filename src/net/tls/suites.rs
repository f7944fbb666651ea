//! What is offered to servers: AES-GCM over ECDHE, and nothing for QUIC.
//!
//! Every TLS 1.3 server has TLS_AES_128_GCM_SHA256 (RFC 8446, section 9.1), and those of TLS 1.2
//! that have ChaCha20-Poly1305 (RFC 7905) have AES-GCM (RFC 5289) beside it. Processors that tasks
//! run on have instructions for AES. Leaving ChaCha20-Poly1305 and QUIC's header protection out of
//! the lists leaves their code out of the binary.

use rustls::crypto::ring::cipher_suite as ring;
use rustls::crypto::{CipherSuiteCommon, CryptoProvider};
use rustls::{SupportedCipherSuite, Tls13CipherSuite};

static TLS13_AES_256: Tls13CipherSuite = without_quic(&ring::TLS13_AES_256_GCM_SHA384);
static TLS13_AES_128: Tls13CipherSuite = without_quic(&ring::TLS13_AES_128_GCM_SHA256);

/// ring's provider with these suites, in order of preference: rustls' own order.
pub(super) fn provider() -> CryptoProvider {
    let cipher_suites = vec![
        SupportedCipherSuite::Tls13(&TLS13_AES_256),
        SupportedCipherSuite::Tls13(&TLS13_AES_128),
        ring::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        ring::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        ring::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        ring::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ];
    CryptoProvider { cipher_suites, ..rustls::crypto::ring::default_provider() }
}

const fn without_quic(suite: &SupportedCipherSuite) -> Tls13CipherSuite {
    match suite {
        SupportedCipherSuite::Tls13(suite) => Tls13CipherSuite {
            common: CipherSuiteCommon {
                suite: suite.common.suite,
                hash_provider: suite.common.hash_provider,
                confidentiality_limit: suite.common.confidentiality_limit,
            },
            hkdf_provider: suite.hkdf_provider,
            aead_alg: suite.aead_alg,
            quic: None,
        },
        // The compiler runs this, for the constants above.
        SupportedCipherSuite::Tls12(_) => panic!("not a suite of TLS 1.3"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_are_offered() {
        let provider = provider();
        let suites = provider.cipher_suites.iter();
        let names: Vec<_> = suites.map(|suite| format!("{:?}", suite.suite())).collect();
        let expected = [
            "TLS13_AES_256_GCM_SHA384",
            "TLS13_AES_128_GCM_SHA256",
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        ];
        assert_eq!(names, expected);
        let groups: Vec<_> = provider.kx_groups.iter().map(|g| format!("{:?}", g.name())).collect();
        assert_eq!(groups, ["X25519", "secp256r1", "secp384r1"]);
    }
}
