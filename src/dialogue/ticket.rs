//! What becomes of a question that a customer has left behind?

use serde::{Deserialize, Serialize};

/// The longest note on a ticket, in characters.
pub const NOTE_CHARS: usize = 4_000;

/// The most notes on a ticket.
pub const NOTES: usize = 1_000;

/// How far a ticket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = TicketState)]
pub enum TicketState {
    /// Somebody must look at it.
    Open,
    /// Somebody waits for the customer or for others.
    Pending,
    /// It is answered.
    Solved,
    /// It is done with.
    Closed,
}

impl TicketState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Open, Self::Pending, Self::Solved, Self::Closed];

    /// The word in interfaces.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Pending => "pending",
            Self::Solved => "solved",
            Self::Closed => "closed",
        }
    }

    /// The word for people.
    pub fn in_chinese(self) -> &'static str {
        match self {
            Self::Open => "待处理",
            Self::Pending => "等待回音",
            Self::Solved => "已解决",
            Self::Closed => "已关闭",
        }
    }

    /// The one with a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether it may go on like this: a ticket that is done with is only opened again.
    pub fn may_become(self, next: Self) -> bool {
        self != Self::Closed || matches!(next, Self::Open | Self::Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_closed_can_only_be_opened() {
        assert!(TicketState::Closed.may_become(TicketState::Open));
        assert!(!TicketState::Closed.may_become(TicketState::Solved));
        assert!(TicketState::Solved.may_become(TicketState::Closed));
        assert!(TicketState::ALL.into_iter().all(|state| TicketState::named(state.name()) == Some(state)));
    }
}
