//! Which machines may be called?
//!
//! Whoever may add a webhook could have the server call what only the server can
//! reach. So a name is looked up anew for every attempt, all of its addresses are
//! looked at, and the connection goes to one of those that were looked at.
//! Receivers inside the house must be allowed one by one; what a cloud tells its
//! machines about themselves stays out of reach all the same.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;
use ureq::{Agent, Timeout};

/// Which addresses a receiver may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Those of the internet.
    Public,
    /// Those inside the house too.
    Private,
}

/// An address that must not be called.
#[derive(Debug, thiserror::Error)]
#[error("{address} {why}")]
pub(super) struct Forbidden {
    address: IpAddr,
    why: &'static str,
}

const INSIDE: &str = "is inside this house; allow it with `private`, if that is meant";
const NEVER: &str = "is never called: it belongs to this machine's cloud, or to no machine";

impl Reach {
    /// Why an address must not be called, if it must not.
    pub(super) fn refuses(self, address: IpAddr) -> Option<&'static str> {
        let address = plain(address);
        let (never, inside) = match address {
            IpAddr::V4(address) => (never_v4(address), inside_v4(address)),
            IpAddr::V6(address) => (never_v6(address), inside_v6(address)),
        };
        if never {
            Some(NEVER)
        } else if inside && self == Self::Public {
            Some(INSIDE)
        } else {
            None
        }
    }
}

/// The address that an address of version 6 stands for: mapped, translated and
/// tunnelled ones lead to one of version 4.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else { return address };
    let [a, b, c, d, e, f, g, h] = six.segments();
    let four = |high: u16, low: u16| {
        let ([one, two], [three, four]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(one, two, three, four))
    };
    match [a, b, c, d, e, f] {
        // ::ffff:1.2.3.4, ::ffff:0:1.2.3.4 and ::1.2.3.4; the last but for ::1 and ::.
        [0, 0, 0, 0, 0, 0xffff] | [0, 0, 0, 0, 0xffff, 0] => four(g, h),
        [0, 0, 0, 0, 0, 0] if (g, h) != (0, 0) && (g, h) != (0, 1) => four(g, h),
        // NAT64.
        [0x64, 0xff9b, 0, 0, 0, 0] => four(g, h),
        // 6to4.
        [0x2002, high, low, ..] => four(high, low),
        _ => address,
    }
}

fn never_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, d] = address.octets();
    address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        // Alibaba Cloud's and Oracle's words about a machine.
        || [a, b, c, d] == [100, 100, 100, 200]
        || (a, b, c) == (192, 0, 0)
        || (a, b, c) == (192, 88, 99)
}

fn inside_v4(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    address.is_loopback()
        || address.is_private()
        // Shared by a provider's customers.
        || (a == 100 && (64..128).contains(&b))
        || (a == 198 && (18..20).contains(&b))
}

fn never_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    address.is_unspecified()
        || address.is_multicast()
        || (a & 0xffc0) == 0xfe80
        || (a & 0xffc0) == 0xfec0
        || (a, b) == (0x2001, 0x0db8)
        || (a, b) == (0x2001, 0)
        || (a == 0x64 && b == 0xff9b)
        || a == 0x0100
        // Amazon's words about a machine.
        || address == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)
}

fn inside_v6(address: Ipv6Addr) -> bool {
    let [a, ..] = address.segments();
    address.is_loopback() || (a & 0xfe00) == 0xfc00
}

/// How long a name is looked up when an address is set up.
const LOOKED_UP: Duration = Duration::from_secs(2);

/// Why what is at an address must not be called, as far as that shows now: what a name is
/// the name of may change, so every call looks again. A name that nobody knows at this
/// moment is none to refuse.
pub fn reach_fault(url: &str, reach: Reach) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let timeout = NextTimeout { after: LOOKED_UP.into(), reason: Timeout::Resolve, ..NextTimeout::default() };
    let config = Agent::config_builder().build();
    match Checked::new(reach).resolve(&uri, &config, timeout) {
        Err(ureq::Error::Other(why)) if why.is::<Forbidden>() => Some(why.to_string()),
        _ => None,
    }
}

/// Looks names up and refuses what must not be called.
#[derive(Debug)]
pub(super) struct Checked {
    reach: Reach,
    inner: DefaultResolver,
}

impl Checked {
    pub(super) fn new(reach: Reach) -> Self {
        Self { reach, inner: DefaultResolver::default() }
    }
}

impl Resolver for Checked {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.inner.resolve(uri, config, timeout)?;
        // One that is forbidden among others is an attempt to get there.
        for address in &found[..] {
            if let Some(why) = self.reach.refuses(address.ip()) {
                return Err(ureq::Error::Other(Box::new(Forbidden { address: address.ip(), why })));
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(reach: Reach, address: &str) -> bool {
        reach.refuses(address.parse().unwrap_or_else(|e| panic!("{address}: {e}"))).is_some()
    }

    #[test]
    fn the_house_is_closed_unless_it_is_opened() {
        for address in [
            "127.0.0.1",
            "127.8.8.8",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "198.18.0.1",
            "::1",
            "fc00::1",
            "fd12:3456::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "2002:7f00:1::",
            "2002:c0a8:101::1",
        ] {
            assert!(refused(Reach::Public, address), "{address}");
            assert!(!refused(Reach::Private, address), "{address}");
        }
    }

    #[test]
    fn some_are_never_called() {
        for address in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "100.100.100.200",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "240.0.0.1",
            "192.0.2.1",
            "2001:db8::1",
            "2001::1",
        ] {
            assert!(refused(Reach::Public, address), "{address}");
            assert!(refused(Reach::Private, address), "{address}");
        }
    }

    #[test]
    fn an_address_is_refused_where_it_is_set_up() {
        for url in ["http://127.0.0.1:9/in", "https://localhost/", "http://[::1]/", "http://10.1.2.3/"] {
            assert!(reach_fault(url, Reach::Public).is_some_and(|why| why.contains("private")), "{url}");
            assert_eq!(reach_fault(url, Reach::Private), None, "{url}");
        }
        assert!(reach_fault("http://169.254.169.254/", Reach::Private).is_some());
        // What nobody knows may be known when it is called.
        for url in ["https://nobody.invalid/", "https://1.1.1.1/", "no address"] {
            assert_eq!(reach_fault(url, Reach::Public), None, "{url}");
        }
    }

    #[test]
    fn the_internet_is_open() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "114.114.114.114",
            "2400:3200::1",
            "2606:4700::1",
        ] {
            assert!(!refused(Reach::Public, address), "{address}");
        }
    }
}
