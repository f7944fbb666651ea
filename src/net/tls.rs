//! TLS for connections that go out: rustls with ring, TLS 1.2 and 1.3, roots inside the binary.
//!
//! Certificates and keys are read and checked when the settings are, at start-up; the default
//! configuration (120 roots) is built at the first connection. `tls.insecure` accepts any
//! certificate, yet signatures of the handshake are still verified. No revocation lists.

use std::cell::OnceCell;
use std::io;
use std::sync::Arc;

use futures_rustls::TlsConnector;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::Resumption;
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature, CryptoProvider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::ClientConfig;

mod suites;

/// Largest certificate or key file; Debian's whole bundle has 220 KB.
const PEM_BYTES_MAX: u64 = 1024 * 1024;

/// Sessions remembered for resumption, per connector; a connector has one peer.
const SESSIONS_MAX: usize = 2;

/// How to speak TLS to one peer.
pub struct Tls {
    server_name: ServerName<'static>,
    alpn: Vec<Vec<u8>>,
    config: OnceCell<Arc<rustls::ClientConfig>>,
}

impl Tls {
    /// Checks the settings; reads the files they name.
    pub fn new(host: &str, config: &ClientConfig, alpn: &[&str]) -> Result<Tls, String> {
        let name = config.tls_server_name.as_deref().unwrap_or(host);
        let name = name.strip_suffix('.').unwrap_or(name);
        let server_name = ServerName::try_from(name.to_owned())
            .map_err(|_| format!("tls.server_name: `{name}` is not a valid server name"))?;
        let alpn: Vec<Vec<u8>> = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let tls = Tls { server_name, alpn, config: OnceCell::new() };
        if config.has_tls_keys() {
            // Built at once, since only building finds a key that does not fit its certificate.
            let _ = tls.config.set(build(config, &tls.alpn)?);
        }
        Ok(tls)
    }

    pub(super) fn server_name(&self) -> ServerName<'static> {
        self.server_name.clone()
    }

    pub(super) fn connector(&self) -> Result<TlsConnector, String> {
        if self.config.get().is_none() {
            let _ = self.config.set(build(&ClientConfig::default(), &self.alpn)?);
        }
        match self.config.get() {
            Some(config) => Ok(TlsConnector::from(Arc::clone(config))),
            None => Err("no TLS configuration".to_owned()),
        }
    }
}

fn build(config: &ClientConfig, alpn: &[Vec<u8>]) -> Result<Arc<rustls::ClientConfig>, String> {
    let provider = Arc::new(suites::provider());
    let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| error.to_string())?;
    let builder = if config.tls_insecure {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AcceptAny(provider)))
    } else {
        builder.with_root_certificates(roots(config.tls_ca.as_deref())?)
    };
    let mut built = match (&config.tls_cert, &config.tls_key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(cert), Some(key)) => {
            let chain = certificates("tls.cert", cert)?;
            let key = PrivateKeyDer::from_pem_slice(&pem("tls.key", key)?)
                .map_err(|error| format!("tls.key: no usable private key ({error:?})"))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| format!("tls.cert, tls.key: {error}"))?
        }
        (Some(_), None) => return Err("tls.cert: needs tls.key= too".to_owned()),
        (None, Some(_)) => return Err("tls.key: needs tls.cert= too".to_owned()),
    };
    built.alpn_protocols = alpn.to_vec();
    built.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
    Ok(Arc::new(built))
}

fn roots(tls_ca: Option<&str>) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    match tls_ca {
        None => store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(ca) => {
            for (number, certificate) in certificates("tls.ca", ca)?.into_iter().enumerate() {
                store
                    .add(certificate)
                    .map_err(|error| format!("tls.ca: certificate {}: {error}", number + 1))?;
            }
        }
    }
    Ok(store)
}

fn certificates(key: &str, setting: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = pem(key, setting)?;
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match parsed {
        Ok(list) if list.is_empty() => Err(format!("{key}: holds no PEM certificate")),
        Ok(list) => Ok(list),
        Err(error) => Err(format!("{key}: not valid PEM ({error:?})")),
    }
}

/// The PEM text of a setting that is a file's name or the text itself.
fn pem(key: &str, setting: &str) -> Result<Vec<u8>, String> {
    if setting.contains("-----BEGIN") {
        return Ok(setting.as_bytes().to_vec());
    }
    let size = std::fs::metadata(setting)
        .map_err(|error| format!("{key}: neither PEM text nor a readable file ({error})"))?
        .len();
    if size > PEM_BYTES_MAX {
        return Err(format!("{key}: the file is larger than {PEM_BYTES_MAX} bytes"));
    }
    std::fs::read(setting).map_err(|error| format!("{key}: cannot read the file ({error})"))
}

/// What a TLS error means to the person who has to repair it; None when it is none.
pub(super) fn describe(error: &io::Error) -> Option<String> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(match error {
        rustls::Error::InvalidCertificate(reason) => describe_certificate(reason),
        rustls::Error::AlertReceived(alert) => format!("the peer refused TLS: {alert:?}"),
        rustls::Error::InvalidMessage(_) => {
            "the peer does not speak TLS on this port; is it http://?".to_owned()
        }
        other => other.to_string(),
    })
}

fn describe_certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::NotValidForNameContext { expected, presented } => {
            let shown: Vec<_> = presented.iter().take(3).map(String::as_str).collect();
            let expected = expected.to_str();
            format!("certificate not valid for name {expected}, only for {}", shown.join(", "))
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "certificate has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "certificate is not valid yet; is the clock right?".to_owned()
        }
        CertificateError::UnknownIssuer => {
            "certificate signed by an unknown authority; name it with tls.ca=".to_owned()
        }
        // webpki, which says this, is rustls' own business and no crate of ours.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "certificate is an authority's own (self-signed, CA:TRUE), which no server may show; \
             have one issued, or accept any with tls.insecure"
                .to_owned()
        }
        other => format!("certificate not accepted: {other:?}"),
    }
}

/// `tls.insecure`: any certificate will do.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad(change: impl FnOnce(&mut ClientConfig), message: &str) {
        let mut config = ClientConfig::default();
        change(&mut config);
        let error = Tls::new("localhost", &config, &[]).err().expect(message);
        assert!(error.contains(message) && !error.contains('\n'), "{error}");
    }

    #[test]
    fn settings_are_checked_before_any_connection() {
        let some = |text: &str| Some(text.to_owned());
        let broken = "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n";
        let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        bad(|c| c.tls_ca = some("/nonexistent/ca.pem"), "tls.ca: neither PEM text nor");
        bad(|c| c.tls_ca = some("/"), "tls.ca: cannot read");
        bad(|c| c.tls_ca = some("/dev/null"), "holds no PEM");
        bad(|c| c.tls_ca = some(broken), "not valid PEM");
        bad(|c| c.tls_ca = some(no_certificate), "certificate 1");
        bad(|c| c.tls_cert = some(no_certificate), "needs tls.key");
        bad(|c| c.tls_key = some("x"), "needs tls.cert");
        bad(|c| c.tls_server_name = some("a b"), "`a b` is not a valid server name");
        bad(
            |c| {
                c.tls_cert = some(no_certificate);
                c.tls_key = some(no_certificate);
            },
            "no usable private key",
        );
    }

    #[test]
    fn the_default_is_built_when_first_used() {
        let tls = Tls::new("example.com.", &ClientConfig::default(), &["h2"]).unwrap();
        assert!(tls.config.get().is_none());
        assert_eq!(tls.server_name().to_str(), "example.com");
        tls.connector().unwrap();
        assert_eq!(tls.config.get().unwrap().alpn_protocols, [b"h2"]);
        assert!(Tls::new("::1", &ClientConfig::default(), &[]).is_ok());
    }

    #[test]
    fn errors_are_explained() {
        let error = |reason: CertificateError| rustls::Error::InvalidCertificate(reason);
        let webpki = |words: &str| {
            CertificateError::Other(rustls::OtherError(Arc::new(io::Error::other(
                words.to_owned(),
            ))))
        };
        for (error, text) in [
            (error(CertificateError::Expired), "certificate has expired"),
            (error(CertificateError::NotValidYet), "is the clock right?"),
            (error(CertificateError::UnknownIssuer), "tls.ca="),
            (error(CertificateError::Revoked), "not accepted: Revoked"),
            (error(webpki("CaUsedAsEndEntity")), "self-signed"),
            (error(webpki("IssuerNotCrlSigner")), "IssuerNotCrlSigner"),
            (rustls::Error::DecryptError, "decrypt"),
        ] {
            let described = describe(&io::Error::new(io::ErrorKind::InvalidData, error));
            assert!(described.as_ref().is_some_and(|d| d.contains(text)), "{described:?}");
        }
        assert_eq!(describe(&io::ErrorKind::BrokenPipe.into()), None);
    }
}
