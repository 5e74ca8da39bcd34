//! How does tampering with the record of changes show?
//!
//! Every record holds the hash of the one before it and its own, which is taken
//! over all that it says. Whoever alters, removes or reorders a record breaks a
//! link; whoever cuts off the end leaves a chain that is shorter than the heads
//! that were noted elsewhere: beside the database, in the log, or on paper.

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::moment;

/// Something that was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deed {
    /// The id of the key or person; `None` on the machine itself.
    pub who: Option<String>,
    /// How they are named.
    pub name: String,
    /// From which address, or `cli`.
    pub from: String,
    /// The id of the request.
    pub request: Option<String>,
    /// What was done, such as `publish_kb`.
    pub action: String,
    /// To what, such as `/v1/kbs/demo/releases`.
    pub object: String,
    /// The state before, such as `revision 12, release 3`; never its text.
    pub before: Option<String>,
    /// The state after.
    pub after: Option<String>,
    /// Why, in the words of whoever did it.
    pub reason: Option<String>,
}

/// A deed in its place in the chain of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its number in the tenant, from 1 on.
    pub seq: i64,
    /// When, in milliseconds since 1970 (UTC).
    pub at: i64,
    /// What was done.
    pub deed: Deed,
    /// The hash of the link before it; empty for the first.
    pub previous: String,
    /// Its own hash, SHA-256 in hex.
    pub hash: String,
}

/// A link as interfaces tell it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = AuditRecord)]
pub struct Told {
    /// Its number in the tenant, from 1 on.
    pub seq: i64,
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// The id of the key or person; `null` on a server without keys and on the machine itself.
    pub who: Option<String>,
    /// How they are named.
    pub name: String,
    /// From which address, or `cli`.
    pub from: String,
    /// The id of the request (`x-request-id`).
    pub request: Option<String>,
    /// What was done: the operation's id, or the command.
    pub action: String,
    /// To what.
    pub object: String,
    /// The state before.
    pub before: Option<String>,
    /// The state after.
    pub after: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The hash of the record before it.
    pub previous: String,
    /// SHA-256 over the record and `previous`, in hex.
    pub hash: String,
}

impl Link {
    /// The link that follows another one, or the first.
    pub fn after(last: Option<(i64, &str)>, tenant: &str, at: i64, deed: Deed) -> Self {
        let (seq, previous) = last.map_or((1, ""), |(seq, hash)| (seq + 1, hash));
        let hash = hash(previous, tenant, seq, at, &deed);
        Self { seq, at, deed, previous: previous.to_owned(), hash }
    }

    /// As interfaces tell it.
    pub fn told(self) -> Told {
        let Deed { who, name, from, request, action, object, before, after, reason } = self.deed;
        Told {
            seq: self.seq,
            at: moment::told(self.at),
            who,
            name,
            from,
            request,
            action,
            object,
            before,
            after,
            reason,
            previous: self.previous,
            hash: self.hash,
        }
    }
}

fn hash(previous: &str, tenant: &str, seq: i64, at: i64, deed: &Deed) -> String {
    let mut hasher = Sha256::new();
    let mut put = |field: Option<&str>| {
        // Lengths before texts: no two records spell the same bytes.
        let text = field.unwrap_or_default();
        hasher.update([u8::from(field.is_some())]);
        hasher.update((text.len() as u64).to_be_bytes());
        hasher.update(text.as_bytes());
    };
    let Deed { who, name, from, request, action, object, before, after, reason } = deed;
    put(Some(previous));
    put(Some(tenant));
    for field in [Some(name), Some(from), Some(action), Some(object)] {
        put(field.map(String::as_str));
    }
    for field in [who, request, before, after, reason] {
        put(field.as_deref());
    }
    hasher.update(seq.to_be_bytes());
    hasher.update(at.to_be_bytes());
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is known of a chain from elsewhere: the hash of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The link's number.
    pub seq: i64,
    /// Its hash.
    pub hash: String,
}

/// Looks at a chain from its first link to its last.
pub struct Check<'a> {
    tenant: &'a str,
    /// Where the chain begins: behind what was taken away when it was old.
    last: Head,
    /// What must be in it, by number.
    heads: Vec<Head>,
    faults: Vec<String>,
}

impl<'a> Check<'a> {
    /// A chain that begins behind a link (`seq` 0 and no hash: at the first), and
    /// in which the heads must be found.
    pub fn new(tenant: &'a str, begins: Head, mut heads: Vec<Head>) -> Self {
        heads.retain(|head| head.seq > begins.seq);
        heads.sort_by_key(|head| head.seq);
        Self { tenant, last: begins, heads, faults: Vec::new() }
    }

    /// The next link.
    pub fn see(&mut self, link: &Link) {
        let expected = self.last.seq + 1;
        if link.seq != expected {
            self.faults.push(format!("record {expected} is missing; {} follows {}", link.seq, self.last.seq));
        } else if link.previous != self.last.hash {
            self.faults.push(format!(
                "record {} does not follow the record before it: that one, or it, was replaced",
                link.seq
            ));
        }
        if hash(&link.previous, self.tenant, link.seq, link.at, &link.deed) != link.hash {
            self.faults.push(format!("record {} was altered", link.seq));
        }
        for head in self.heads.iter().filter(|head| head.seq == link.seq) {
            if head.hash != link.hash {
                self.faults
                    .push(format!("record {} is not the one that was noted when it was made", link.seq));
                break;
            }
        }
        self.last = Head { seq: link.seq, hash: link.hash.clone() };
    }

    /// What is wrong, and the last link.
    pub fn end(mut self) -> (Vec<String>, Head) {
        if let Some(noted) = self.heads.iter().map(|head| head.seq).filter(|seq| *seq > self.last.seq).max() {
            self.faults.push(format!(
                "the end was cut off: record {noted} was noted when it was made, and the last one is {}",
                self.last.seq
            ));
        }
        (self.faults, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain() -> Vec<Link> {
        let mut links: Vec<Link> = Vec::new();
        for action in ["import_kb", "publish_kb", "create_key", "delete_kb"] {
            let deed = Deed { name: "王芳".into(), action: action.into(), ..Deed::default() };
            let last = links.last().map(|link| (link.seq, link.hash.as_str()));
            let link = Link::after(last, "default", 1_000 + links.len() as i64, deed);
            links.push(link);
        }
        links
    }

    fn faults(links: &[Link], heads: Vec<Head>) -> Vec<String> {
        let mut check = Check::new("default", Head { seq: 0, hash: String::new() }, heads);
        links.iter().for_each(|link| check.see(link));
        check.end().0
    }

    #[test]
    fn every_kind_of_tampering_shows() {
        let sound = chain();
        let head = Head { seq: 4, hash: sound[3].hash.clone() };
        assert!(faults(&sound, vec![head.clone()]).is_empty());
        let mut altered = chain();
        altered[1].deed.name = "李雷".into();
        assert_eq!(faults(&altered, vec![]), ["record 2 was altered"]);
        let mut moved = chain();
        moved[1].deed.who = Some(String::new());
        assert!(!faults(&moved, vec![]).is_empty(), "nothing and an empty text differ");
        let mut removed = chain();
        removed.remove(1);
        assert!(faults(&removed, vec![])[0].starts_with("record 2 is missing"));
        let mut swapped = chain();
        swapped.swap(1, 2);
        assert!(!faults(&swapped, vec![]).is_empty());
        // Somebody who recomputes the hash of what they altered breaks the next link.
        let mut forged = chain();
        forged[1].deed.object = "/v1/kbs/other".into();
        let last = (forged[0].seq, forged[0].hash.clone());
        forged[1] = Link::after(Some((last.0, &last.1)), "default", forged[1].at, forged[1].deed.clone());
        assert!(faults(&forged, vec![])[0].starts_with("record 3 does not follow"));
        // The end, and a whole forged chain, show against what was noted elsewhere.
        assert!(faults(&sound[..2], vec![]).is_empty());
        assert!(faults(&sound[..2], vec![head.clone()])[0].starts_with("the end was cut off"));
        let other = Link::after(Some((3, &sound[2].hash)), "default", 9, Deed::default());
        let forged = [&sound[..3], &[other]].concat();
        assert_eq!(faults(&forged, vec![head]), ["record 4 is not the one that was noted when it was made"]);
        // A chain of another tenant is another chain.
        let mut check = Check::new("acme", Head { seq: 0, hash: String::new() }, vec![]);
        sound.iter().for_each(|link| check.see(link));
        assert_eq!(check.end().0.len(), 4);
    }
}
