//! How long must somebody wait who guesses passwords?
//!
//! Failures are counted by name and by address, whether there is such a person
//! or not. A few are free; each one more doubles the wait, up to a quarter of an
//! hour: guessing becomes hopeless, and nobody is locked out for good by others
//! who fail under their name. A one-time link opens the door meanwhile.

use std::net::IpAddr;

use sha2::{Digest as _, Sha256};

use super::throttle::network;

/// The longest wait, in milliseconds.
const LONGEST: i64 = 15 * 60_000;
/// Failures are forgotten after so many milliseconds without another one.
pub const FORGOTTEN: i64 = 24 * 3_600_000;

/// Whose failures are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose<'a> {
    /// Of whoever signs in under a name in a tenant.
    Name {
        /// The tenant.
        tenant: &'a str,
        /// The name, as it is stored.
        name: &'a str,
    },
    /// Of whoever signs in from a network.
    Address(IpAddr),
}

impl Whose<'_> {
    /// Failures that cost nothing: a slip, or an office behind one address.
    pub const fn free(self) -> i64 {
        match self {
            Self::Name { .. } => 5,
            Self::Address(_) => 20,
        }
    }

    /// Under what it is stored: a hash, for people type passwords into the wrong field.
    pub fn label(self) -> String {
        let text = match self {
            Self::Name { tenant, name } => format!("name\n{tenant}\n{name}"),
            Self::Address(address) => format!("address\n{}", network(address)),
        };
        Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// When the next attempt may be made after some failures, of which the last was
    /// at a moment; both in milliseconds since 1970 (UTC).
    pub fn until(self, failures: i64, last: i64) -> i64 {
        match failures - self.free() {
            more if more < 0 => last,
            more => last + 1_000_i64.saturating_mul(1 << more.min(20)).min(LONGEST),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_end() {
        let name = Whose::Name { tenant: "default", name: "王芳" };
        let waits: Vec<i64> = (1..=16).map(|failures| name.until(failures, 0) / 1_000).collect();
        assert_eq!(waits, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
        assert_eq!(name.until(i64::MAX, 0), LONGEST);
        let address = Whose::Address(IpAddr::from([10, 0, 0, 1]));
        assert_eq!((address.until(19, 0), address.until(20, 0)), (0, 1_000));
        let labels = [name.label(), address.label(), Whose::Name { tenant: "acme", name: "王芳" }.label()];
        assert!(labels.iter().all(|label| label.len() == 64 && !label.contains("王芳")));
        assert!(labels[0] != labels[2]);
        let v6 = |text: &str| Whose::Address(text.parse().expect("an address")).label();
        assert_eq!(v6("2001:db8::1"), v6("2001:db8::2"), "one customer has a network of 64 bits");
    }
}
