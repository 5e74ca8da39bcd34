//! Where is an engine?

use std::fmt;

use crate::error::{Error, Result};

/// The port that Milvus listens on unless it is told otherwise.
const PORT: u16 = 19530;

/// The address of a Milvus: `milvus://host:port/database`, `milvus+tls://…` for an
/// encrypted connection. Without a port it is Milvus' own, without a database `default`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    encrypted: bool,
    host: String,
    port: u16,
    database: String,
}

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// When it is none; what is said of it repeats no secret.
    pub fn read(text: &str) -> Result<Self> {
        let refused = |why: &str| {
            Error::Refused(format!(
                "--candidates: {why}; an address is milvus://HOST[:PORT][/DATABASE], or milvus+tls://… for an encrypted connection"
            ))
        };
        let (encrypted, rest) = match text.split_once("://") {
            Some(("milvus", rest)) => (false, rest),
            Some(("milvus+tls", rest)) => (true, rest),
            _ => return Err(refused("it begins neither with milvus:// nor with milvus+tls://")),
        };
        let (place, database) = rest.split_once('/').unwrap_or((rest, ""));
        if place.contains('@') {
            return Err(refused(
                "names and tokens stand in the file of --candidates-token-file, never in it",
            ));
        }
        // An address of version 6 has colons of its own, and brackets.
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                let port = port.parse().map_err(|_| refused(&format!("{port:?} is no port")))?;
                (host, port)
            }
            _ => (place, PORT),
        };
        if host.is_empty() || host.contains([' ', '?', '#']) {
            return Err(refused("it names no host"));
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !database.chars().all(is_name) {
            return Err(refused(&format!(
                "{database:?} is no name of a database: letters, digits and underscores"
            )));
        }
        Ok(Self { encrypted, host: host.to_owned(), port, database: database.to_owned() })
    }

    /// As the SDK wants it.
    #[cfg(feature = "milvus")]
    pub(super) fn url(&self) -> String {
        let scheme = if self.encrypted { "https" } else { "http" };
        format!("{scheme}://{}:{}", self.host, self.port)
    }

    /// The database; empty for the one that is there always.
    #[cfg(feature = "milvus")]
    pub(super) fn database(&self) -> &str {
        &self.database
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.encrypted { "milvus+tls" } else { "milvus" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)?;
        if self.database.is_empty() { Ok(()) } else { write!(f, "/{}", self.database) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_in_full() {
        let shown = |text: &str| Address::read(text).map(|address| address.to_string()).unwrap();
        assert_eq!(shown("milvus://m.example"), "milvus://m.example:19530");
        assert_eq!(shown("milvus+tls://m.example:443/faq_1"), "milvus+tls://m.example:443/faq_1");
        assert_eq!(shown("milvus://[::1]:7/x"), "milvus://[::1]:7/x");
        assert_eq!(shown("milvus://[::1]"), "milvus://[::1]:19530");
    }

    #[test]
    fn what_is_none_is_refused_without_its_secret() {
        let bad = ["http://m:1", "milvus://", "milvus://m:port", "milvus://m/a-b", "milvus://root:hush@m:1"];
        for text in bad {
            let told = Address::read(text).unwrap_err().to_string();
            assert!(told.starts_with("--candidates: ") && !told.contains("hush"), "{told}");
        }
    }
}
