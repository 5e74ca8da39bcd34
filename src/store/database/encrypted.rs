//! How does nobody on the way hear what a PostgreSQL server is told?
//!
//! libpq is built in without OpenSSL, which would want Perl to be built. So what an address
//! says of encryption (`sslmode` and the files that go with it, in libpq's own words) is done
//! here, by rustls: libpq speaks to a socket in a folder that only this user may enter, and
//! what comes there goes on to the server encrypted. It is told why when it does not.

#[cfg(unix)]
mod relay;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::error::{Error, Result};
use crate::trust::{self, Authorities, Belief};

/// PostgreSQL's port.
const PORT: u16 = 5432;

/// Where libpq finds the way: as long as this is held.
pub(super) struct Way {
    /// The address that libpq is given.
    pub(super) url: String,
    #[cfg(unix)]
    _relay: relay::Relay,
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
        #[cfg(unix)]
        {
            let config = Arc::new(address.config().map_err(refused)?);
            let mut servers = Vec::new();
            for (host, port) in &address.servers {
                let name = ServerName::try_from(host.clone())
                    .map_err(|e| refused(format!("{host:?} is no name of a server: {e}")))?;
                let (host, config) = (host.clone(), Arc::clone(&config));
                servers.push(relay::Target { host, port: *port, name, config, patience: address.patience() });
            }
            let sockets = servers.len();
            let relay = relay::Relay::to(servers)?;
            Ok(Some(Self { url: address.through(relay.folder(), sockets), _relay: relay }))
        }
        #[cfg(not(unix))]
        Err(refused("sslmode needs a system with Unix sockets; without it nothing is encrypted".to_owned()))
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
    #[cfg(unix)]
    fn number(&self, wanted: &str) -> Option<u64> {
        self.rest.iter().find(|(name, _)| name == wanted)?.1.parse().ok().filter(|number| *number > 0)
    }

    #[cfg(unix)]
    fn patience(&self) -> relay::Patience {
        relay::Patience {
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
