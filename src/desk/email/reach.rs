//! How is a mail server reached, and how is it told apart from another one?
//!
//! A name is looked up anew for every connection and all of its addresses are looked at,
//! as for every other machine that is called; its certificate is that of the name.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::channels::email::Settings;
use crate::desk::addresses::Reach;
use crate::trust::{self, Authorities, Belief};

/// How long a connection may take to stand.
pub(super) const CONNECT: Duration = Duration::from_secs(15);

/// The addresses of a server, all of which may be called.
///
/// # Errors
/// Why not, in words.
pub(super) fn addresses(reach: Reach, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let found: Vec<SocketAddr> =
        (host, port).to_socket_addrs().map_err(|e| format!("the name {host} is not known: {e}"))?.collect();
    if let Some((address, why)) = found.iter().find_map(|one| Some((one.ip(), reach.refuses(one.ip())?))) {
        return Err(format!("{host}: {address} {why}"));
    }
    if found.is_empty() { Err(format!("the name {host} has no address")) } else { Ok(found) }
}

/// How TLS is spoken: with the roots of the world, or with an authority of one's own.
///
/// # Errors
/// When that cannot be read.
pub(super) fn tls(
    settings: &Settings,
    host: &str,
) -> Result<(Arc<ClientConfig>, ServerName<'static>), String> {
    let mut authorities = Authorities::of_the_world();
    if let Some(own) = settings.authority.as_deref().filter(|own| !own.is_empty()) {
        authorities = authorities.and(own.as_bytes()).map_err(|why| format!("`authority` {why}"))?;
    }
    let config = trust::client(Belief::Named(authorities), None)?;
    let name = ServerName::try_from(host.to_owned()).map_err(|e| format!("{host:?} is no name: {e}"))?;
    Ok((Arc::new(config), name))
}

/// What is wrong with a connection, so that it can be mended.
pub(super) fn words(host: &str, port: u16, why: &str) -> String {
    let lower = why.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let advice = if has(&["certificate", "unknownissuer", "notvalidforname"]) {
        "its certificate is not believed; is the host the name in the certificate? an authority of your own goes into `authority`"
    } else if has(&["invalidcontenttype", "corrupt message", "invalid message", "wrong version"]) {
        "it does not speak TLS there from the first byte on; is it the port for STARTTLS?"
    } else if has(&["refused"]) {
        "nobody listens there; is the port right?"
    } else if has(&["timed out", "timeout", "elapsed"]) {
        "nobody replies there; are host and port right, and does a firewall let us out?"
    } else if has(&["535", "authenticationfailed", "authentication failed", "login", "534", "credentials"]) {
        "user or password are wrong; many providers want a password of its own for programs (授权码)"
    } else {
        return format!("{host}:{port}: {why}");
    };
    format!("{host}:{port}: {advice} ({why})")
}
