//! Who is at the other end, is the way there encrypted, and is it our own page?
//!
//! The other end of the connection, unless that is a proxy that the operator
//! trusts: then what it says of its own other end, and so on, from the right to
//! the left. What a stranger writes into the same header is never believed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::{Extensions, HeaderMap, HeaderName, Uri, header};
use ipnet::IpNet;

use super::origins::is_own;

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

/// In which header proxies say for whom they speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProxyHeader {
    /// `X-Forwarded-For`, with `X-Forwarded-Proto`.
    #[default]
    XForwardedFor,
    /// `Forwarded`, RFC 7239.
    Forwarded,
}

/// Which proxies are believed.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// Their networks.
    pub networks: Vec<IpNet>,
    /// Where they write. One only: a proxy that writes the other one leaves this
    /// one as the stranger sent it.
    pub header: ProxyHeader,
    /// Our own address as browsers see it, when a proxy calls us by another one.
    pub public_url: Option<String>,
}

/// Reads our own address: whom it is told must get here by it.
///
/// # Errors
/// When it is none of the web, or says more than where that is.
pub fn own_address(text: &str) -> Result<String, String> {
    let parsed: Option<Uri> = text.parse().ok();
    let is_one = parsed.is_some_and(|url| {
        let is_web = url.scheme_str().is_some_and(|scheme| matches!(scheme, "http" | "https"));
        is_web && url.host().is_some_and(|host| !host.is_empty()) && url.query().is_none()
    });
    if is_one && !text.contains(['@', '#']) {
        return Ok(text.to_owned());
    }
    Err("the address of this server is a scheme and a host, such as https://faq.example".to_owned())
}

/// Whoever sends a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Client {
    /// From where.
    pub(super) address: IpAddr,
    /// Whether what is sent back is encrypted all the way that we know of.
    pub(super) is_encrypted: bool,
    /// Whether no page of another site has a browser send it.
    pub(super) is_own_page: bool,
}

impl Client {
    /// Who sends a request that has come through the door.
    pub(super) fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().copied().unwrap_or(Self::nobody())
    }

    /// Nobody in particular.
    pub(super) fn nobody() -> Self {
        Self { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), is_encrypted: false, is_own_page: false }
    }
}

impl Proxies {
    /// Who sends a request over a connection.
    pub(super) fn client(&self, extensions: &Extensions, headers: &HeaderMap, is_encrypted: bool) -> Client {
        let peer = extensions
            .get::<ConnectInfo<Peer>>()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(Peer(peer))| peer.ip().to_canonical());
        self.behind(peer, headers, is_encrypted)
    }

    /// Whether a request comes from a page of ours, or from no page at all.
    fn is_own_page(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        let Some(origin) = text(headers, &header::ORIGIN) else { return true };
        let forwarded = values(headers, "x-forwarded-host").pop().filter(|_| self.trusts(peer));
        let public = self.public_url.as_deref().map(|url| url.trim_end_matches('/'));
        is_own(origin, text(headers, &header::HOST))
            || is_own(origin, forwarded.as_deref())
            || public.is_some_and(|public| public.eq_ignore_ascii_case(origin))
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }

    fn behind(&self, peer: IpAddr, headers: &HeaderMap, is_encrypted: bool) -> Client {
        let mut client = Client { address: peer, is_encrypted, is_own_page: self.is_own_page(peer, headers) };
        if !self.trusts(peer) {
            return client;
        }
        let hops = match self.header {
            ProxyHeader::XForwardedFor => {
                // The last one is what our proxy said.
                let proto = values(headers, "x-forwarded-proto").pop();
                client.is_encrypted |= proto.is_some_and(|proto| proto.eq_ignore_ascii_case("https"));
                values(headers, "x-forwarded-for").iter().map(|hop| address(hop)).collect()
            }
            ProxyHeader::Forwarded => {
                let elements = values(headers, "forwarded");
                let proto = elements.last().and_then(|element| part(element, "proto"));
                client.is_encrypted |= proto.is_some_and(|proto| proto.eq_ignore_ascii_case("https"));
                elements.iter().map(|element| address(&part(element, "for")?)).collect::<Vec<_>>()
            }
        };
        for hop in hops.into_iter().rev() {
            // `unknown` and names made up by proxies: whoever said so is the last known one.
            let Some(address) = hop else { break };
            client.address = address;
            if !self.trusts(address) {
                break;
            }
        }
        client
    }
}

/// A header as text.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("not visible"))
}

/// The elements of a header that may come in several lines, in order.
fn values(headers: &HeaderMap, name: &str) -> Vec<String> {
    let lines = headers.get_all(name).iter().map(|line| line.to_str().unwrap_or("unreadable"));
    lines.flat_map(|line| line.split(',')).map(|value| value.trim().to_owned()).collect()
}

/// A part of an element of `Forwarded`, such as `for=192.0.2.1;proto=https`.
fn part(element: &str, wanted: &str) -> Option<String> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// An address with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let whole = text.parse::<IpAddr>().ok();
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    whole.or_else(bare).or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_server_is_whole() {
        for sound in ["https://faq.example", "http://10.0.0.1:8080/", "https://faq.example/help"] {
            assert_eq!(own_address(sound).as_deref(), Ok(sound));
        }
        for wrong in ["", "foo", "faq.example", "/help", "ftp://faq.example", "https://", "https://a b"] {
            assert!(own_address(wrong).is_err(), "{wrong}");
        }
        for wrong in ["https://me:hush@faq.example", "https://faq.example?a=1", "https://faq.example#a"] {
            assert!(own_address(wrong).is_err(), "{wrong}");
        }
    }

    fn seen(header: ProxyHeader, peer: &str, lines: &[(&'static str, &str)]) -> (String, bool) {
        let networks = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().expect("a network")).to_vec();
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().expect("a value"));
        }
        let peer = peer.parse().expect("an address");
        let client = Proxies { networks, header, public_url: None }.behind(peer, &headers, false);
        (client.address.to_string(), client.is_encrypted)
    }

    #[test]
    fn only_what_trusted_proxies_say_is_believed() {
        let told = |peer: &str, lines: &[(&'static str, &str)]| seen(ProxyHeader::XForwardedFor, peer, lines);
        let plain = |text: &str| (text.to_owned(), false);
        // A stranger says what they like.
        assert_eq!(told("203.0.113.9", &[("x-forwarded-for", "1.1.1.1")]), plain("203.0.113.9"));
        assert_eq!(told("10.0.0.1", &[]), plain("10.0.0.1"));
        assert_eq!(told("10.0.0.1", &[("x-forwarded-for", "203.0.113.9")]), plain("203.0.113.9"));
        // What stands left of the first stranger is the stranger's.
        let chain = [("x-forwarded-for", "6.6.6.6, 203.0.113.9, 10.0.0.7")];
        assert_eq!(told("10.0.0.1", &chain), plain("203.0.113.9"));
        let lines = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "203.0.113.9:4711")];
        assert_eq!(told("10.0.0.1", &lines), plain("203.0.113.9"));
        assert_eq!(told("10.0.0.1", &[("x-forwarded-for", "6.6.6.6, unknown")]), plain("10.0.0.1"));
        assert_eq!(told("10.0.0.1", &[("x-forwarded-for", "10.0.0.3, 10.0.0.2")]), plain("10.0.0.3"));
        // The other header is not looked at.
        assert_eq!(told("10.0.0.1", &[("forwarded", "for=6.6.6.6;proto=https")]), plain("10.0.0.1"));
        let proto = [("x-forwarded-for", "203.0.113.9"), ("x-forwarded-proto", "http, https")];
        assert_eq!(told("10.0.0.1", &proto), ("203.0.113.9".to_owned(), true));
        assert_eq!(told("203.0.113.9", &proto), plain("203.0.113.9"));
    }

    #[test]
    fn our_own_page_is_known_under_every_name_that_we_have() {
        let own = |peer: [u8; 4], lines: &[(&'static str, &'static str)]| {
            let networks = vec!["10.0.0.0/8".parse().expect("a network")];
            let public_url = Some("https://faq.example/".to_owned());
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.insert(*name, value.parse().expect("a value"));
            }
            let proxies = Proxies { networks, public_url, ..Proxies::default() };
            proxies.behind(peer.into(), &headers, false).is_own_page
        };
        let (proxy, stranger) = ([10, 0, 0, 1], [203, 0, 113, 9]);
        assert!(own(stranger, &[]) && own(stranger, &[("origin", "https://faq.example")]));
        assert!(own(stranger, &[("origin", "http://a.example:1"), ("host", "a.example:1")]));
        assert!(!own(stranger, &[("origin", "https://evil.example"), ("host", "faq.example")]));
        assert!(!own(stranger, &[("origin", "null"), ("host", "null")]));
        // A proxy that calls us by another name says by which one it was called.
        let lines =
            [("origin", "https://b.example"), ("host", "inside:8080"), ("x-forwarded-host", "b.example")];
        assert!(own(proxy, &lines) && !own(stranger, &lines));
    }

    #[test]
    fn forwarded_is_read_as_the_standard_has_it() {
        let told = |value: &str| seen(ProxyHeader::Forwarded, "fd00::1", &[("forwarded", value)]);
        assert_eq!(told("for=203.0.113.9;proto=https"), ("203.0.113.9".to_owned(), true));
        assert_eq!(told("For=\"[2001:db8::9]:4711\""), ("2001:db8::9".to_owned(), false));
        assert_eq!(told("for=6.6.6.6, for=203.0.113.9, for=10.0.0.9"), ("203.0.113.9".to_owned(), false));
        assert_eq!(told("for=203.0.113.9, for=_hidden"), ("fd00::1".to_owned(), false));
        assert_eq!(told("by=10.0.0.9"), ("fd00::1".to_owned(), false));
    }
}
