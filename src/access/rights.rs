//! What may each role do?

use serde::{Deserialize, Serialize};

/// What a key or a person is for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A bot or a page: asks questions and says what became of the answers.
    Ask,
    /// A person who takes over conversations.
    Agent,
    /// Somebody who keeps a knowledge base.
    Author,
    /// Whoever is responsible for the tenant.
    Admin,
}

/// What a route needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Right {
    /// Nothing: probes, the description of the interface, the pages themselves.
    Public,
    /// To be somebody: who one is, one's own password and sessions.
    Own,
    /// To ask, and to go on with one's own conversation.
    Ask,
    /// To see what customers said and to answer them.
    Agent,
    /// To read and change drafts, to publish and to take back.
    Author,
    /// To change who may do what, where events are sent, and what is kept.
    Admin,
    /// To see and change what belongs to no single tenant: [`Right::Admin`] of the
    /// tenant that owns the data directory.
    Operator,
}

/// The table: which rights a role has. `Public` needs no role, and `Operator`
/// needs an admin of the right tenant, which [`super::Identity::may`] looks at.
const TABLE: [(Role, &[Right]); 4] = [
    (Role::Ask, &[Right::Own, Right::Ask]),
    (Role::Agent, &[Right::Own, Right::Ask, Right::Agent]),
    (Role::Author, &[Right::Own, Right::Ask, Right::Author]),
    (Role::Admin, &[Right::Own, Right::Ask, Right::Agent, Right::Author, Right::Admin, Right::Operator]),
];

impl Role {
    /// Every role, from the least.
    pub const ALL: [Self; 4] = [Self::Ask, Self::Agent, Self::Author, Self::Admin];

    /// Its name in interfaces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Agent => "agent",
            Self::Author => "author",
            Self::Admin => "admin",
        }
    }

    /// The role with a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// The largest body that it may send, in bytes, whatever a route takes: only who
    /// keeps knowledge bases has files.
    pub const fn largest_body(self) -> u64 {
        match self {
            Self::Ask => 1 << 20,
            Self::Agent => 4 << 20,
            Self::Author | Self::Admin => 64 << 20,
        }
    }

    /// Whether it has a right.
    pub fn may(self, right: Right) -> bool {
        right == Right::Public || TABLE.iter().any(|(role, rights)| *role == self && rights.contains(&right))
    }
}

impl Right {
    /// Every right.
    pub const ALL: [Self; 7] =
        [Self::Public, Self::Own, Self::Ask, Self::Agent, Self::Author, Self::Admin, Self::Operator];

    /// Its name in the API's description (`x-zhida-right`).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Own => "own",
            Self::Ask => "ask",
            Self::Agent => "agent",
            Self::Author => "author",
            Self::Admin => "admin",
            Self::Operator => "operator",
        }
    }

    /// The roles that have it.
    pub fn roles(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| role.may(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_stands_in_the_table_once() {
        for role in Role::ALL {
            assert_eq!(TABLE.iter().filter(|(known, _)| *known == role).count(), 1, "{}", role.name());
            assert_eq!(Role::named(role.name()), Some(role));
            assert!(role.may(Right::Public) && role.may(Right::Own) && role.may(Right::Ask));
        }
        assert_eq!(Role::named("root"), None);
        assert!(!Role::Ask.may(Right::Agent) && !Role::Agent.may(Right::Author));
        assert!(!Role::Author.may(Right::Agent) && !Role::Author.may(Right::Admin));
    }
}
