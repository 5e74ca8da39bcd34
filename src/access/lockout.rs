//! How long must somebody wait who guesses passwords?
//!
//! Failures are counted by name and network together, by name alone and by network alone,
//! whether there is such a person or not. A few are free; each one more doubles the wait, up
//! to six hours for a name in a network, else up to a quarter of an hour. So guessing becomes
//! hopeless, and who fails under the name of somebody else, again and again from one
//! network, locks the name there and nowhere else. A one-time link opens the door meanwhile.

use std::net::IpAddr;

use sha2::{Digest as _, Sha256};

use super::throttle::network;

/// The longest wait, in milliseconds.
const LONGEST: i64 = 15 * 60_000;
/// The longest wait for a name in one network, in milliseconds.
const LONGEST_HERE: i64 = 6 * 3_600_000;
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
    /// The same from one network.
    Here {
        /// The tenant.
        tenant: &'a str,
        /// The name, as it is stored.
        name: &'a str,
        /// Where they sign in from.
        address: IpAddr,
    },
    /// Of whoever signs in from a network.
    Address(IpAddr),
}

impl Whose<'_> {
    /// Failures that cost nothing: a slip, or an office behind one address.
    pub const fn free(self) -> i64 {
        match self {
            Self::Here { .. } => 5,
            Self::Name { .. } => 50,
            Self::Address(_) => 20,
        }
    }

    /// Under what it is stored: a hash, for people type passwords into the wrong field. Those
    /// of a name in a network begin as that of the name does.
    pub fn label(self) -> String {
        let hashed = |text: String| -> String {
            Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
        };
        let address = |address| hashed(format!("address\n{}", network(address)));
        match self {
            Self::Name { tenant, name } => hashed(format!("name\n{tenant}\n{name}")),
            Self::Here { tenant, name, address: from } => {
                format!("{}-{}", Self::Name { tenant, name }.label(), address(from))
            }
            Self::Address(from) => address(from),
        }
    }

    /// When the next attempt may be made after some failures, of which the last was
    /// at a moment; both in milliseconds since 1970 (UTC).
    pub fn until(self, failures: i64, last: i64) -> i64 {
        match failures - self.free() {
            more if more < 0 => last,
            more => {
                let longest = if matches!(self, Self::Here { .. }) { LONGEST_HERE } else { LONGEST };
                last + 1_000_i64.saturating_mul(1 << more.min(20)).min(longest)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_end() {
        let name = Whose::Name { tenant: "default", name: "王芳" };
        let here = |last: u8| {
            let address = IpAddr::from([10, 0, 0, last]);
            Whose::Here { tenant: "default", name: "王芳", address }
        };
        let waits: Vec<i64> = (1..=16).map(|failures| here(1).until(failures, 0) / 1_000).collect();
        assert_eq!(waits, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048]);
        assert_eq!((here(1).until(i64::MAX, 0), name.until(i64::MAX, 0)), (LONGEST_HERE, LONGEST));
        // From one network there are too few attempts to lock the name for all others.
        let (mut at, mut failures) = (0, 0);
        while at < 7 * FORGOTTEN {
            failures += 1;
            at = here(1).until(failures, at).max(at + 1);
        }
        assert!(failures < name.free(), "{failures} in a week");
        assert!(here(1).label().starts_with(&name.label()) && here(1).label() != here(2).label());
        let address = Whose::Address(IpAddr::from([10, 0, 0, 1]));
        assert_eq!((address.until(19, 0), address.until(20, 0)), (0, 1_000));
        let labels = [name.label(), address.label(), Whose::Name { tenant: "acme", name: "王芳" }.label()];
        assert!(labels.iter().all(|label| label.len() == 64 && !label.contains("王芳")));
        assert!(labels[0] != labels[2]);
        let v6 = |text: &str| Whose::Address(text.parse().expect("an address")).label();
        assert_eq!(v6("2001:db8::1"), v6("2001:db8::2"), "one customer has a network of 64 bits");
    }
}
