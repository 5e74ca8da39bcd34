//! Who is it that asks?

use super::rights::{Right, Role};

/// The tenant that owns the data directory itself.
pub const DEFAULT_TENANT: &str = "default";

/// Which knowledge bases somebody may know of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Scope {
    /// All of the tenant.
    #[default]
    All,
    /// These.
    Named(Vec<String>),
}

impl Scope {
    /// Whether a knowledge base is in it.
    pub fn covers(&self, kb: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.iter().any(|name| name == kb),
        }
    }

    /// The only knowledge base in it, where it names one alone.
    pub fn only(&self) -> Option<&str> {
        match self {
            Self::Named(names) if names.len() == 1 => names.first().map(String::as_str),
            _ => None,
        }
    }
}

/// Who it is, found out from what they presented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The tenant whose data they may see.
    pub tenant: String,
    /// The id of the key or person; `None` on a server without keys and people.
    pub id: Option<String>,
    /// How they are named in histories and at the desk, never empty: a key without a name is
    /// called by its id.
    pub name: String,
    /// What they are for.
    pub role: Role,
    /// Which knowledge bases they may know of.
    pub scope: Scope,
    /// The id of the session that a person came with; `None` for keys.
    pub session: Option<String>,
    /// Whether what they show stands in pages, where anybody may read it.
    pub is_public: bool,
}

impl Identity {
    /// Whoever reaches a server without keys and people: it listens to its own machine
    /// only, and who sits there may do everything.
    pub fn of_the_machine() -> Self {
        Self {
            tenant: DEFAULT_TENANT.to_owned(),
            id: None,
            name: "http".to_owned(),
            role: Role::Admin,
            scope: Scope::All,
            session: None,
            is_public: false,
        }
    }

    /// Whether it is a person, who is who they are whatever a request says.
    pub fn is_person(&self) -> bool {
        self.session.is_some()
    }

    /// Whether they have a right.
    pub fn may(&self, right: Right) -> bool {
        let here = right != Right::Operator || (self.tenant == DEFAULT_TENANT && self.scope == Scope::All);
        here && self.role.may(right)
    }
}
