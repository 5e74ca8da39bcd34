//! How does what libpq says to a socket get to a server?
//!
//! Encrypted, by a thread of its own. Whoever cannot be reached is told of in a server's own
//! words, so that libpq passes them on, and asks the next server if there is one.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::error::{Error, Result};

/// What asks a PostgreSQL server whether it speaks TLS: its length, and a number for it.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// No greeting of libpq is longer.
const GREETING: usize = 10_000;

/// What a server says that takes nobody now: libpq then asks the next one, if any is named.
const NO_CONNECTION: &str = "57P03";

/// Sockets that lead to servers, as long as this is held.
pub(super) struct Relay {
    folder: TempDir,
    /// Ends it when it goes.
    _open: oneshot::Sender<()>,
}

impl Relay {
    /// One socket for each server, `.s.PGSQL.1` and so on, as libpq names them.
    pub(super) fn to(servers: Vec<Target>) -> Result<Self> {
        let failed = |e: std::io::Error| Error::internal("postgres-tls", e);
        let folder = tempfile::Builder::new()
            .prefix("zhida-pg-")
            .tempdir()
            .map_err(|e| Error::io("make a folder for sockets (TMPDIR) in", std::env::temp_dir(), e))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let mut doors = Vec::new();
        for (number, server) in (1u16..).zip(servers) {
            let socket = folder.path().join(format!(".s.PGSQL.{number}"));
            let inside = runtime.enter();
            let listener = UnixListener::bind(&socket).map_err(|e| Error::io("listen on", &socket, e))?;
            drop(inside);
            doors.push((listener, Arc::new(server)));
        }
        let (open, closed) = oneshot::channel::<()>();
        let run = move || {
            runtime.block_on(async move {
                for (listener, server) in doors {
                    tokio::spawn(wait(listener, server));
                }
                // It is never sent, and ends when nobody holds the relay any more.
                let _ = closed.await;
            });
        };
        std::thread::Builder::new().name("postgres-tls".to_owned()).spawn(run).map_err(failed)?;
        Ok(Self { folder, _open: open })
    }

    /// Where the sockets are: only this user may enter it.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// A server that is spoken to.
pub(super) struct Target {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) name: ServerName<'static>,
    pub(super) config: Arc<ClientConfig>,
    pub(super) patience: Patience,
}

/// How long what is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For a connection, its encryption included.
    pub(super) connect: Duration,
    /// For a sign that what was sent has come.
    pub(super) silence: Option<Duration>,
    /// Before a connection that says nothing is tried.
    pub(super) idle: Option<Duration>,
}

async fn wait(listener: UnixListener, server: Arc<Target>) {
    loop {
        match listener.accept().await {
            Ok((inside, _)) => drop(tokio::spawn(carry(inside, Arc::clone(&server)))),
            Err(error) => {
                tracing::warn!(%error, "no connection to the database can be taken on");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn carry(mut inside: UnixStream, server: Arc<Target>) {
    let reached = tokio::time::timeout(server.patience.connect, server.reach()).await;
    match reached.unwrap_or_else(|_| Err("it does not answer".to_owned())) {
        // How a connection ends, whoever uses it sees.
        Ok(mut outside) => drop(tokio::io::copy_bidirectional(&mut inside, &mut outside).await),
        // Nobody may be there to hear it.
        Err(why) => drop(refuse(&mut inside, &format!("{}:{}: {why}", server.host, server.port)).await),
    }
}

impl Target {
    async fn reach(&self) -> std::result::Result<TlsStream<TcpStream>, String> {
        let mut stream =
            TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|e| e.to_string())?;
        self.be_patient(&stream).map_err(|e| e.to_string())?;
        stream.write_all(&SSL_REQUEST).await.map_err(|e| e.to_string())?;
        match stream.read_u8().await.map_err(|e| e.to_string())? {
            b'S' => {}
            b'N' => return Err("it does not speak TLS (ssl = on in its postgresql.conf)".to_owned()),
            _ => return Err("it is no PostgreSQL server".to_owned()),
        }
        let connector = TlsConnector::from(Arc::clone(&self.config));
        connector.connect(self.name.clone(), stream).await.map_err(|e| format!("TLS: {e}"))
    }

    fn be_patient(&self, stream: &TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let socket = SockRef::from(stream);
        if let Some(idle) = self.patience.idle {
            socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(idle))?;
        }
        #[cfg(target_os = "linux")]
        socket.set_tcp_user_timeout(self.patience.silence)?;
        Ok(())
    }
}

/// Says why in the words of a server, after the greeting, which libpq sends first.
async fn refuse(inside: &mut UnixStream, why: &str) -> std::io::Result<()> {
    let length = inside.read_u32().await? as usize;
    let mut greeting = vec![0; length.saturating_sub(4).min(GREETING)];
    inside.read_exact(&mut greeting).await?;
    let mut fields = Vec::new();
    for (kind, text) in [(b'S', "FATAL"), (b'V', "FATAL"), (b'C', NO_CONNECTION), (b'M', why)] {
        fields.push(kind);
        fields.extend(text.bytes().filter(|byte| *byte != 0));
        fields.push(0);
    }
    fields.push(0);
    let mut message = vec![b'E'];
    message.extend(u32::try_from(fields.len() + 4).unwrap_or(u32::MAX).to_be_bytes());
    message.extend(fields);
    inside.write_all(&message).await?;
    inside.shutdown().await
}
