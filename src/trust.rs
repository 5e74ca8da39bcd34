//! Whom does a client believe that a server is who it says it is?
//!
//! By rustls, which brings its own rules; the roots of the world come with the program,
//! so that what holds does not depend on the machine.

use std::sync::Arc;

use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{
    WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

/// Those who may say who somebody is.
#[derive(Debug, Clone)]
pub struct Authorities(RootCertStore);

impl Default for Authorities {
    fn default() -> Self {
        Self::of_the_world()
    }
}

impl Authorities {
    /// None yet.
    #[must_use]
    pub fn none() -> Self {
        Self(RootCertStore::empty())
    }

    /// Those that browsers believe.
    #[must_use]
    pub fn of_the_world() -> Self {
        Self(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })
    }

    /// And those of a file in PEM.
    ///
    /// # Errors
    /// Why it names none, in words.
    pub fn and(mut self, pem: &[u8]) -> Result<Self, String> {
        let before = self.0.len();
        for one in CertificateDer::pem_slice_iter(pem) {
            let one = one.map_err(|e| format!("cannot be read as PEM: {e}"))?;
            self.0.add(one).map_err(|e| format!("is no certificate: {e}"))?;
        }
        if self.0.len() == before {
            return Err("holds no certificate (-----BEGIN CERTIFICATE-----)".to_owned());
        }
        Ok(self)
    }
}

/// Whom a client believes.
#[derive(Debug, Clone)]
pub enum Belief {
    /// Whoever answers: nobody can listen, but anybody can answer.
    Anybody,
    /// Whoever one of these has spoken for, whatever the name.
    AnyName(Authorities),
    /// Who bears the name that was called, by the word of one of these.
    Named(Authorities),
}

/// What a client shows of itself: its certificates and the key, in PEM.
pub struct Identity<'a> {
    /// The certificate, and those that lead to an authority.
    pub chain: &'a [u8],
    /// The private key.
    pub key: &'a [u8],
}

/// How a client speaks TLS.
///
/// # Errors
/// What of it cannot be used, in words.
pub fn client(belief: Belief, identity: Option<Identity<'_>>) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?;
    let lenient = |inner| Lenient { inner, algorithms: provider.signature_verification_algorithms };
    let builder = match belief {
        Belief::Named(authorities) => builder.with_root_certificates(authorities.0),
        Belief::AnyName(authorities) => {
            let roots = Arc::new(authorities.0);
            let inner = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
                .build()
                .map_err(|e| e.to_string())?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(lenient(Some(inner))))
        }
        Belief::Anybody => builder.dangerous().with_custom_certificate_verifier(Arc::new(lenient(None))),
    };
    let Some(Identity { chain, key }) = identity else { return Ok(builder.with_no_client_auth()) };
    let chain = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| format!("the client's certificate cannot be read as PEM: {e}"))?;
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|e| format!("the client's key cannot be read as PEM (without a passphrase): {e}"))?;
    builder
        .with_client_auth_cert(chain, key)
        .map_err(|e| format!("the client's certificate and key do not fit: {e}"))
}

/// Believes more than the rules of the web do.
#[derive(Debug)]
struct Lenient {
    /// Who looks at everything but the name; `None` where anybody is believed.
    inner: Option<Arc<WebPkiServerVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(inner) = &self.inner else { return Ok(ServerCertVerified::assertion()) };
        match inner.verify_server_cert(certificate, between, name, ocsp, now) {
            // It looks at the name last: everything else was right.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
