//! Who has the word in a conversation, and what was said?

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::kb::{Image, Link};

/// The longest name that a client may give a conversation, in characters.
pub const ID_CHARS: usize = 128;

/// The longest message of anybody in a conversation, in characters.
pub const TEXT_CHARS: usize = 4_000;

/// The most bytes of what a client says of its customer, as JSON.
pub const CUSTOMER_BYTES: usize = 4_096;

/// Who answers the customer's next message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    /// The robot.
    Bot,
    /// Nobody yet: a person was asked for. The robot goes on giving answers that
    /// it is sure of.
    Queued,
    /// A person; the robot is silent.
    Agent,
    /// Nobody: a person has ended it. The next message begins anew with the robot.
    Closed,
}

impl Owner {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Bot, Self::Queued, Self::Agent, Self::Closed];

    /// The word in interfaces.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bot => "bot",
            Self::Queued => "queued",
            Self::Agent => "agent",
            Self::Closed => "closed",
        }
    }

    /// The one with a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|owner| owner.name() == name)
    }
}

/// Whose line it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = LineRole)]
pub enum Role {
    /// The customer's.
    Customer,
    /// The robot's.
    Bot,
    /// A person's at the desk.
    Agent,
    /// Nobody's: the word has gone to somebody else.
    Event,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Customer, Self::Bot, Self::Agent, Self::Event];

    /// The word in interfaces.
    pub fn name(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Bot => "bot",
            Self::Agent => "agent",
            Self::Event => "event",
        }
    }

    /// The one with a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// A picture that somebody showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Picture {
    /// Names it within its conversation.
    pub id: String,
    /// Its media type: `image/jpeg`, `image/png`, `image/gif` or `image/webp`.
    pub kind: String,
    /// How many bytes it has.
    pub bytes: usize,
    /// What its file was called.
    pub name: String,
}

/// Something that was said.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its number in the conversation, from 1 on; numbers grow, whatever the clock does.
    pub seq: i64,
    /// Whose it is.
    pub role: Role,
    /// The words; of an event the new owner.
    pub text: String,
    /// When, in milliseconds since 1970 (UTC).
    pub at: i64,
    /// Who, when a person said it.
    pub author: Option<String>,
    /// Names the robot's decision.
    pub trace_id: Option<String>,
    /// The robot's decision.
    pub decision: Option<String>,
    /// What stood beside the words, such as questions to choose from.
    pub data: Option<Value>,
    /// The client's name for the message.
    pub client_id: Option<String>,
}

impl Line {
    /// The pictures that an answer showed beside its words.
    pub fn images(&self) -> Vec<Image> {
        self.beside("images")
    }

    /// The links that an answer showed beside its words.
    pub fn links(&self) -> Vec<Link> {
        self.beside("links")
    }

    fn beside<T: serde::de::DeserializeOwned>(&self, name: &str) -> Vec<T> {
        let list = self.data.as_ref().and_then(|data| data.get(name)).cloned();
        list.and_then(|list| serde_json::from_value(list).ok()).unwrap_or_default()
    }

    /// The picture that it shows.
    pub fn picture(&self) -> Option<Picture> {
        serde_json::from_value(self.data.as_ref()?.get("picture")?.clone()).ok()
    }
}

/// The customer's id, if what is known of the customer has one: `{"id": "9"}`.
pub fn customer_id(fields: &Map<String, Value>) -> Option<String> {
    match fields.get("id")? {
        Value::String(id) => Some(id.clone()).filter(|id| !id.is_empty()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

/// Whether a client may give a conversation a name: 1 to 128 characters, visible
/// at both ends and none of them a control character.
pub fn is_sound_id(id: &str) -> bool {
    (1..=ID_CHARS).contains(&id.chars().count()) && id.trim() == id && !id.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        assert!(Owner::ALL.into_iter().all(|owner| Owner::named(owner.name()) == Some(owner)));
        assert!(Role::ALL.into_iter().all(|role| Role::named(role.name()) == Some(role)));
    }

    #[test]
    fn ids_are_visible_and_short() {
        assert!(is_sound_id("u-42") && is_sound_id("微信:张三") && is_sound_id("a b"));
        assert!(is_sound_id(&"字".repeat(128)) && !is_sound_id(&"字".repeat(129)));
        for id in ["", " ", " a", "a\n", "\u{0}"] {
            assert!(!is_sound_id(id), "{id:?}");
        }
    }
}
