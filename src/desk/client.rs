//! How are other machines called?
//!
//! By one plain request: no redirects, which could lead anywhere, no proxy out of
//! the environment, a time for every part of it, and no more of the reply than is needed.

use std::time::Duration;

use ureq::http::{Request, Uri};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Timeout};

use super::addresses::{Checked, Reach};

/// Of a reply no more is read, in bytes.
const REPLY: u64 = 256 * 1024;

/// How much of a faulty reply is told, in characters.
const TOLD: usize = 200;

/// How long the parts of a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Until the connection stands.
    pub connect: Duration,
    /// The whole call.
    pub whole: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), whole: Duration::from_secs(15) }
    }
}

/// A call.
#[derive(Debug, Clone)]
pub(super) struct Call<'a> {
    pub(super) method: &'a str,
    pub(super) url: &'a str,
    pub(super) headers: Vec<(&'a str, String)>,
    /// JSON.
    pub(super) body: Option<String>,
}

/// What was replied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Replied {
    pub(super) status: u16,
    pub(super) body: String,
    /// Seconds after which to come again, when it says so.
    pub(super) again: Option<u64>,
}

/// Why there was no reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failed {
    /// It must not be called.
    Refused(String),
    /// It could not be reached or did not reply in time.
    Unreached(String),
}

impl Replied {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The status with the beginning of the reply, for people.
    pub(super) fn told(&self) -> String {
        let text: String = self.body.split_whitespace().collect::<Vec<_>>().join(" ");
        let text: String = text.chars().take(TOLD).collect();
        let note = if (300..400).contains(&self.status) { " (redirects are not followed)" } else { "" };
        format!("HTTP {}{note} {text}", self.status).trim_end().to_owned()
    }
}

/// Calls other machines.
#[derive(Debug)]
pub(super) struct Client {
    public: Agent,
    private: Agent,
    patience: Patience,
}

impl Client {
    pub(super) fn new(patience: Patience) -> Self {
        let agent = |reach| {
            let config = Agent::config_builder()
                .proxy(None)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .http_status_as_error(false)
                .timeout_connect(Some(patience.connect))
                .timeout_global(Some(patience.whole))
                // Every attempt looks the name up anew.
                .max_idle_connections(0)
                .user_agent(concat!("zhida/", env!("CARGO_PKG_VERSION")))
                .build();
            Agent::with_parts(config, DefaultConnector::default(), Checked::new(reach))
        };
        Self { public: agent(Reach::Public), private: agent(Reach::Private), patience }
    }

    pub(super) fn call(&self, reach: Reach, call: &Call<'_>) -> Result<Replied, Failed> {
        let agent = match reach {
            Reach::Public => &self.public,
            Reach::Private => &self.private,
        };
        let mut request = Request::builder().method(call.method).uri(call.url);
        if call.body.is_some() {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        let sent = match &call.body {
            Some(body) => request
                .body(body.clone())
                .map_err(|e| Failed::Refused(e.to_string()))
                .and_then(|request| agent.run(request).map_err(|e| failed(&e, self.patience))),
            None => request
                .body(())
                .map_err(|e| Failed::Refused(e.to_string()))
                .and_then(|request| agent.run(request).map_err(|e| failed(&e, self.patience))),
        };
        let mut response = sent?;
        let header = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let again = header.and_then(|value| value.trim().parse().ok());
        let status = response.status().as_u16();
        // A reply that is too long or broken has a status all the same.
        let body = response.body_mut().with_config().limit(REPLY).read_to_vec().unwrap_or_default();
        Ok(Replied { status, body: String::from_utf8_lossy(&body).into_owned(), again })
    }
}

fn failed(error: &ureq::Error, patience: Patience) -> Failed {
    match error {
        ureq::Error::Other(why) if why.is::<super::addresses::Forbidden>() => {
            Failed::Refused(format!("not called: {why}"))
        }
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => Failed::Refused(error.to_string()),
        ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => {
            Failed::Unreached(format!("no connection within {:?}", patience.connect))
        }
        ureq::Error::Timeout(_) => Failed::Unreached(format!("no reply within {:?}", patience.whole)),
        other => Failed::Unreached(other.to_string()),
    }
}

/// The longest address, in bytes.
const URL_BYTES: usize = 2_000;

/// What is wrong with the address of a receiver, if anything is.
pub fn address_fault(url: &str) -> Option<String> {
    if url.len() > URL_BYTES {
        return Some(format!("the address has {} bytes; the limit is {URL_BYTES}", url.len()));
    }
    let uri: Uri = match url.parse() {
        Ok(uri) => uri,
        Err(e) => return Some(format!("{url:?} is no address: {e}")),
    };
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Some("the address begins with https:// or http://".to_owned());
    }
    match uri.authority() {
        Some(authority) if authority.as_str().contains('@') => {
            Some("the address holds a name or password; put them elsewhere".to_owned())
        }
        Some(authority) if authority.host().is_empty() => Some("the address names no machine".to_owned()),
        Some(_) => None,
        None => Some("the address names no machine".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_name_a_machine_and_no_password() {
        assert_eq!(address_fault("https://desk.example/hooks?x=1"), None);
        assert_eq!(address_fault("http://[::1]:8080/"), None);
        for url in [
            "",
            "desk.example",
            "ftp://desk.example/",
            "https://a:b@desk.example/",
            "https:///x",
            "https://a b/",
        ] {
            assert!(address_fault(url).is_some(), "{url}");
        }
        assert!(address_fault(&format!("https://a.example/{}", "x".repeat(2_000))).is_some());
    }
}
