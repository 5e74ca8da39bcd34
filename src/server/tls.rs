//! How is a connection encrypted?
//!
//! By rustls, with a certificate that is read anew when its files change. A new
//! file that is broken, or does not fit its key, keeps the old one and says so.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::server::TlsStream;
use x509_cert::der::Decode as _;

use crate::error::{Error, Result};

/// How long a client may take to agree on a key.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Clients that agree at a time; others wait to be accepted.
const HANDSHAKES: usize = 256;

/// A certificate with its key, in files that may change.
#[derive(Debug)]
pub struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    current: ArcSwap<CertifiedKey>,
    /// The files as they were when they were read last.
    seen: Mutex<Stamps>,
    /// Whether they could not be used then.
    is_refused: AtomicBool,
}

type Stamps = [Option<(SystemTime, u64)>; 2];

impl Certificate {
    /// Reads a certificate chain and its key from PEM files.
    ///
    /// # Errors
    /// When a file cannot be read, holds none, or the two do not fit.
    pub fn read(chain: &Path, key: &Path) -> Result<Arc<Self>> {
        let seen = stamps(chain, key);
        let current = certified(chain, key)?;
        Ok(Arc::new(Self {
            chain: chain.to_path_buf(),
            key: key.to_path_buf(),
            current: ArcSwap::from_pointee(current),
            seen: Mutex::new(seen),
            is_refused: AtomicBool::new(false),
        }))
    }

    /// The file of the chain.
    pub(super) fn file(&self) -> &Path {
        &self.chain
    }

    /// Whether the files have changed and cannot be used, so that the certificate from before
    /// goes on until it has expired.
    pub(super) fn is_refused(&self) -> bool {
        self.is_refused.load(Ordering::Relaxed)
    }

    /// Until when the certificate is valid, in seconds since 1970 (UTC); `None` when it
    /// does not tell.
    pub(super) fn expires(&self) -> Option<i64> {
        let current = self.current.load();
        let own = x509_cert::Certificate::from_der(current.cert.first()?).ok()?;
        let until = own.tbs_certificate.validity.not_after.to_unix_duration();
        i64::try_from(until.as_secs()).ok()
    }

    /// Reads the files anew if they have changed.
    pub(super) fn look(&self) {
        let now = stamps(&self.chain, &self.key);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now {
            return;
        }
        *seen = now;
        let read = certified(&self.chain, &self.key);
        self.is_refused.store(read.is_err(), Ordering::Relaxed);
        match read {
            Ok(new) => {
                self.current.store(Arc::new(new));
                tracing::info!(file = %self.chain.display(), "the new certificate is used from now on");
            }
            Err(error) => tracing::error!(%error, "the new certificate is not used; the old one stays"),
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

fn stamps(chain: &Path, key: &Path) -> Stamps {
    [chain, key].map(|path| {
        let found = fs::metadata(path).ok()?;
        Some((found.modified().ok()?, found.len()))
    })
}

fn certified(chain: &Path, key: &Path) -> Result<CertifiedKey> {
    let wrong =
        |path: &Path, why: &dyn std::fmt::Display| Error::Refused(format!("{}: {why}", path.display()));
    let read = |path: &Path| fs::read(path).map_err(|e| Error::io("read", path, e));
    let certificates = CertificateDer::pem_slice_iter(&read(chain)?)
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|e| wrong(chain, &format!("--tls-cert is no certificate in PEM: {e}")))?;
    if certificates.is_empty() {
        return Err(wrong(chain, &"--tls-cert holds no certificate (-----BEGIN CERTIFICATE-----)"));
    }
    let private = PrivateKeyDer::from_pem_slice(&read(key)?)
        .map_err(|e| wrong(key, &format!("--tls-key is no private key in PEM: {e}")))?;
    // It also compares the two.
    CertifiedKey::from_der(certificates, private, &ring::default_provider())
        .map_err(|e| wrong(key, &format!("--tls-key does not fit {}: {e}", chain.display())))
}

/// Accepts encrypted connections.
pub(super) struct Encrypted {
    local: SocketAddr,
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
}

impl Encrypted {
    /// Encrypts what a listener accepts. A client that takes its time keeps
    /// nobody waiting.
    pub(super) fn new(listener: TcpListener, certificate: Arc<Certificate>) -> Result<Self> {
        let failed = |e: &dyn std::fmt::Display| Error::internal("tls", e);
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| failed(&e))?
            .with_no_client_auth()
            .with_cert_resolver(certificate);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let local = listener.local_addr().map_err(|e| failed(&e))?;
        let (done, ready) = mpsc::channel(HANDSHAKES);
        tokio::spawn(accept(listener, TlsAcceptor::from(Arc::new(config)), done));
        Ok(Self { local, ready })
    }
}

async fn accept(
    mut listener: TcpListener,
    acceptor: TlsAcceptor,
    done: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    let turns = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        let Ok(turn) = Arc::clone(&turns).acquire_owned().await else { return };
        let (stream, from) = tokio::select! {
            // axum's own: it waits when descriptors run out.
            accepted = Listener::accept(&mut listener) => accepted,
            () = done.closed() => return,
        };
        let (acceptor, done) = (acceptor.clone(), done.clone());
        tokio::spawn(async move {
            let agreed = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await;
            drop(turn);
            match agreed {
                // It fails when the server has stopped.
                Ok(Ok(stream)) => drop(done.send((stream, from)).await),
                Ok(Err(error)) => tracing::debug!(%error, "a client did not agree on encryption"),
                Err(_) => tracing::debug!("a client was too slow to agree on encryption"),
            }
        });
    }
}

impl Listener for Encrypted {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(ready) => ready,
            // Nobody accepts any more; serving ends by its signal.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        Ok(self.local)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_tells_until_when_it_is_valid() {
        let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/tls");
        let read = Certificate::read(&place.join("one.crt"), &place.join("one.key")).expect("a certificate");
        assert_eq!(read.expires(), Some(EXPIRES));
    }

    /// As OpenSSL tells it of that file.
    const EXPIRES: i64 = 4_949_407_648;
}
