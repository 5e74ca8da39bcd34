//! How does nobody on the way hear what a PostgreSQL server is told?
//!
//! libpq is built in without OpenSSL, which would want Perl to be built. So what an address
//! says of encryption (`sslmode` and the files that go with it, in libpq's own words) is done
//! here, by rustls: libpq speaks to a socket in a folder that only this user may enter, and
//! what comes there goes on to the server encrypted. It is told why when it does not.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
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
use crate::trust::{self, Authorities, Belief};

/// What asks a PostgreSQL server whether it speaks TLS: its length, and a number for it.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// No greeting of libpq is longer.
const GREETING: usize = 10_000;

/// What a server says that takes nobody now: libpq then asks the next one, if any is named.
const NO_CONNECTION: &str = "57P03";

/// PostgreSQL's port.
const PORT: u16 = 5432;

/// Where libpq finds the way: as long as this is held.
pub(super) struct Way {
    /// The address that libpq is given.
    pub(super) url: String,
    /// Ends the way when it goes.
    _open: oneshot::Sender<()>,
    _folder: TempDir,
}

/// What an address says.
#[derive(Debug, PartialEq)]
struct Address {
    /// User and password, as they stand there.
    who: Option<String>,
    servers: Vec<(String, u16)>,
    database: String,
    /// What does not concern encryption, as it stands there.
    rest: Vec<(String, String)>,
    mode: Mode,
    files: Files,
}

/// How much is made sure of, by libpq's names.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mode {
    Require,
    VerifyCa,
    VerifyFull,
}

#[derive(Debug, Default, PartialEq)]
struct Files {
    root: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
}

impl Way {
    /// The way to the servers of an address that wants encryption; `None` for one that does not.
    ///
    /// # Errors
    /// When what it says cannot be done.
    pub(super) fn of(url: &str) -> Result<Option<Self>> {
        let refused = |why: String| Error::Refused(format!("the address of the database: {why}"));
        let Some(address) = Address::read(url).map_err(refused)? else { return Ok(None) };
        let config = Arc::new(address.config().map_err(refused)?);
        let folder = tempfile::Builder::new()
            .prefix("zhida-pg-")
            .tempdir()
            .map_err(|e| Error::io("make a folder for sockets (TMPDIR) in", std::env::temp_dir(), e))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| Error::internal("postgres-tls", e))?;
        let patience = address.patience();
        let mut doors = Vec::new();
        for (number, (host, port)) in (1u16..).zip(&address.servers) {
            let name = ServerName::try_from(host.clone())
                .map_err(|e| refused(format!("{host:?} is no name of a server: {e}")))?;
            let socket = folder.path().join(format!(".s.PGSQL.{number}"));
            let listener = {
                let _in_it = runtime.enter();
                UnixListener::bind(&socket).map_err(|e| Error::io("listen on", &socket, e))?
            };
            let config = Arc::clone(&config);
            let server = Target { host: host.clone(), port: *port, name, config, patience };
            doors.push((listener, Arc::new(server)));
        }
        let url = address.through(folder.path(), doors.len());
        let (open, closed) = oneshot::channel::<()>();
        std::thread::Builder::new()
            .name("postgres-tls".to_owned())
            .spawn(move || {
                runtime.block_on(async move {
                    for (listener, server) in doors {
                        tokio::spawn(wait(listener, server));
                    }
                    // It is never sent, and ends when nobody holds the way any more.
                    let _ = closed.await;
                });
            })
            .map_err(|e| Error::internal("postgres-tls", e))?;
        Ok(Some(Self { url, _open: open, _folder: folder }))
    }
}

impl Address {
    /// What an address says; `None` where it wants no encryption.
    fn read(url: &str) -> std::result::Result<Option<Self>, String> {
        let after = url.split_once("://").map_or(url, |(_, after)| after);
        let (place, query) = after.split_once('?').unwrap_or((after, ""));
        let (mut mode, mut files, mut rest) = (None, Files::default(), Vec::new());
        for (name, value) in query.split('&').filter_map(|one| one.split_once('=')) {
            let said = decoded(value)?;
            match name {
                "sslmode" => mode = Some(said),
                "sslrootcert" => files.root = Some(said),
                "sslcert" => files.certificate = Some(said),
                "sslkey" => files.key = Some(said),
                _ => rest.push((name.to_owned(), value.to_owned())),
            }
        }
        let mode = match mode.as_deref() {
            // Encryption that gives way to whoever asks for none is none.
            None | Some("disable" | "allow" | "prefer") => return Ok(None),
            // As with libpq: who names an authority wants it asked.
            Some("require") if files.root.is_none() => Mode::Require,
            Some("require" | "verify-ca") => Mode::VerifyCa,
            Some("verify-full") => Mode::VerifyFull,
            Some(other) => {
                return Err(format!(
                    "sslmode={other} is none of disable, allow, prefer, require, verify-ca and verify-full"
                ));
            }
        };
        if let Some((name, _)) =
            rest.iter().find(|(name, _)| matches!(name.as_str(), "host" | "hostaddr" | "port"))
        {
            return Err(format!("with sslmode the server is named before the database, not by {name}="));
        }
        if rest.iter().any(|(name, value)| name == "channel_binding" && value == "require") {
            return Err(
                "channel_binding=require cannot be kept; sslmode=verify-full makes sure of the server"
                    .to_owned(),
            );
        }
        let (place, database) = place.split_once('/').unwrap_or((place, ""));
        let (who, hosts) = match place.rsplit_once('@') {
            Some((who, hosts)) => (Some(who.to_owned()), hosts),
            None => (None, place),
        };
        let servers = hosts.split(',').map(server).collect::<std::result::Result<Vec<_>, _>>()?;
        Ok(Some(Self { who, servers, database: database.to_owned(), rest, mode, files }))
    }

    /// How TLS is spoken to its servers.
    fn config(&self) -> std::result::Result<ClientConfig, String> {
        let read = |what: &str, path: &str| {
            std::fs::read(path).map_err(|e| format!("{what}={path} cannot be read: {e}"))
        };
        let authorities = |otherwise: &str| match self.files.root.as_deref() {
            Some("system") => Ok(Authorities::of_the_world()),
            Some(path) => Authorities::none()
                .and(&read("sslrootcert", path)?)
                .map_err(|why| format!("sslrootcert={path} {why}")),
            None => Err(format!(
                "sslmode={otherwise} wants sslrootcert=FILE (the authority of the server's certificate, PEM) or sslrootcert=system"
            )),
        };
        let belief = match self.mode {
            Mode::Require => Belief::Anybody,
            Mode::VerifyCa if self.files.root.as_deref() == Some("system") => {
                return Err(
                    "sslrootcert=system believes every site of the web: use sslmode=verify-full with it"
                        .to_owned(),
                );
            }
            Mode::VerifyCa => Belief::AnyName(authorities("verify-ca")?),
            Mode::VerifyFull => Belief::Named(authorities("verify-full")?),
        };
        match (&self.files.certificate, &self.files.key) {
            (None, None) => trust::client(belief, None),
            (Some(chain), Some(key)) => {
                let (chain, key) = (read("sslcert", chain)?, read("sslkey", key)?);
                trust::client(belief, Some(trust::Identity { chain: &chain, key: &key }))
            }
            _ => Err("sslcert and sslkey go together".to_owned()),
        }
    }

    /// A number that libpq would have kept to by itself.
    fn number(&self, wanted: &str) -> Option<u64> {
        self.rest.iter().find(|(name, _)| name == wanted)?.1.parse().ok().filter(|number| *number > 0)
    }

    fn patience(&self) -> Patience {
        Patience {
            connect: Duration::from_secs(self.number("connect_timeout").unwrap_or(10)),
            silence: self.number("tcp_user_timeout").map(Duration::from_millis),
            idle: self.number("keepalives_idle").map(Duration::from_secs),
        }
    }

    /// The address by which libpq finds so many sockets in a folder.
    fn through(&self, folder: &Path, sockets: usize) -> String {
        let who = self.who.as_ref().map(|who| format!("{who}@")).unwrap_or_default();
        let folder = utf8_percent_encode(&folder.display().to_string(), NON_ALPHANUMERIC).to_string();
        let hosts = vec![folder; sockets].join(",");
        let ports = (1..=sockets).map(|number| number.to_string()).collect::<Vec<_>>().join(",");
        let rest: String = self.rest.iter().map(|(name, value)| format!("&{name}={value}")).collect();
        format!("postgres://{who}/{}?host={hosts}&port={ports}&sslmode=disable{rest}", self.database)
    }
}

fn decoded(text: &str) -> std::result::Result<String, String> {
    let text = percent_decode_str(text).decode_utf8().map_err(|_| format!("{text:?} is no text"))?;
    Ok(text.into_owned())
}

/// A host and its port.
fn server(text: &str) -> std::result::Result<(String, u16), String> {
    let (host, port) = match text.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((host, after)) => (host, after.strip_prefix(':')),
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        Some(port) => port.parse().map_err(|_| format!("{port:?} is no port"))?,
        None => PORT,
    };
    let host = decoded(host)?;
    if host.is_empty() || host.starts_with('/') {
        return Err("sslmode wants a server with a name: postgres://user:password@host:5432/zhida".to_owned());
    }
    Ok((host, port))
}

/// A server that is spoken to.
struct Target {
    host: String,
    port: u16,
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
    patience: Patience,
}

/// How long what is waited for.
#[derive(Debug, Clone, Copy)]
struct Patience {
    /// For a connection, its encryption included.
    connect: Duration,
    /// For a sign that what was sent has come.
    silence: Option<Duration>,
    /// Before a connection that says nothing is tried.
    idle: Option<Duration>,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> std::result::Result<Option<Address>, String> {
        Address::read(url)
    }

    #[test]
    fn an_address_says_what_is_encrypted_and_whom_it_believes() {
        for plain in [
            "postgres://me:hush@db:5432/zhida",
            "postgres:///zhida?host=/run/postgresql",
            "postgres://db/zhida?sslmode=prefer",
            "postgres://db/zhida?sslmode=disable&connect_timeout=3",
        ] {
            assert_eq!(read(plain), Ok(None), "{plain}");
        }
        let url = "postgresql://me:h%40sh@db.example,[::1]:6432/zhida?sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem&connect_timeout=3&options=-c%20x%3D1";
        let full = read(url).expect("an address").expect("encryption");
        assert_eq!(full.servers, [("db.example".to_owned(), 5432), ("::1".to_owned(), 6432)]);
        assert_eq!(full.mode, Mode::VerifyFull);
        assert_eq!(full.files.root.as_deref(), Some("/etc/ca.pem"));
        assert_eq!(
            full.through(Path::new("/tmp/a b"), 2),
            "postgres://me:h%40sh@/zhida?host=%2Ftmp%2Fa%20b,%2Ftmp%2Fa%20b&port=1,2&sslmode=disable&connect_timeout=3&options=-c%20x%3D1"
        );
        let mode = |query: &str| read(&format!("postgres://db/zhida?{query}")).map(|it| it.map(|it| it.mode));
        assert_eq!(mode("sslmode=require"), Ok(Some(Mode::Require)));
        assert_eq!(mode("sslmode=require&sslrootcert=ca.pem"), Ok(Some(Mode::VerifyCa)));
    }

    #[test]
    fn what_cannot_be_done_is_refused_with_what_to_do() {
        for (url, hint) in [
            ("postgres://db/zhida?sslmode=on", "sslmode=on is none of"),
            ("postgres:///zhida?host=db&sslmode=require", "not by host="),
            ("postgres:///zhida?sslmode=require", "wants a server with a name"),
            ("postgres://db:x/zhida?sslmode=require", "\"x\" is no port"),
            ("postgres://db/zhida?sslmode=require&channel_binding=require", "channel_binding"),
        ] {
            let why = read(url).expect_err(url);
            assert!(why.contains(hint), "{url}: {why}");
        }
        for (query, hint) in [
            ("sslmode=verify-full", "wants sslrootcert=FILE"),
            ("sslmode=verify-ca&sslrootcert=system", "use sslmode=verify-full"),
            ("sslmode=verify-full&sslrootcert=/nowhere.pem", "sslrootcert=/nowhere.pem cannot be read"),
            ("sslmode=require&sslcert=a.pem", "sslcert and sslkey go together"),
        ] {
            let address = read(&format!("postgres://db/zhida?{query}")).expect(query).expect(query);
            let why = address.config().expect_err(query);
            assert!(why.contains(hint), "{query}: {why}");
        }
    }
}
