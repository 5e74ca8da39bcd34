//! Which columns do the files of events have?

use crate::events::record::{Doing, Event, Kind};
use crate::events::wanted::Wanted;

/// How a field of an event becomes a cell and comes back.
pub(super) enum Cell {
    Text(fn(&Event) -> Option<&str>, fn(&mut Event, String)),
    Number(fn(&Event) -> Option<i64>, fn(&mut Event, i64)),
    Real(fn(&Event) -> Option<f64>, fn(&mut Event, f64)),
    Truth(fn(&Event) -> Option<bool>, fn(&mut Event, bool)),
    /// The list of candidates as JSON.
    Candidates,
}

/// A column of the files.
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What stands in it.
    pub about: &'static str,
    pub(super) cell: Cell,
    /// Holds words, and is read only when they are wanted.
    wordy: bool,
}

impl Column {
    /// Its type in the words of Parquet.
    pub fn kind(&self) -> &'static str {
        match (&self.cell, self.name) {
            (_, "at") => "TIMESTAMP(MILLIS, UTC)",
            (Cell::Text(..) | Cell::Candidates, _) => "STRING",
            (Cell::Number(..), _) => "INT64",
            (Cell::Real(..), _) => "DOUBLE",
            (Cell::Truth(..), _) => "BOOLEAN",
        }
    }

    /// Whether every row has a value.
    pub fn is_required(&self) -> bool {
        ["kind", "at", "kb"].contains(&self.name)
    }

    pub(super) fn is_wanted(&self, wanted: &Wanted<'_>) -> bool {
        match self.cell {
            Cell::Candidates => wanted.candidates,
            _ => !self.wordy || wanted.texts,
        }
    }

    pub(super) fn declared(&self) -> String {
        let kind = match (&self.cell, self.name) {
            (_, "at") => return "required int64 at (TIMESTAMP(MILLIS,true));".to_owned(),
            (Cell::Text(..) | Cell::Candidates, name) => ("binary", name, " (STRING)"),
            (Cell::Number(..), name) => ("int64", name, ""),
            (Cell::Real(..), name) => ("double", name, ""),
            (Cell::Truth(..), name) => ("boolean", name, ""),
        };
        let need = if self.is_required() { "required" } else { "optional" };
        format!("{need} {} {}{};", kind.0, kind.1, kind.2)
    }
}

macro_rules! text {
    ($field:ident, $about:literal) => {
        text!($field, $about, false)
    };
    ($field:ident, $about:literal, $wordy:literal) => {
        Column {
            name: stringify!($field),
            about: $about,
            cell: Cell::Text(|event| event.$field.as_deref(), |event, value| event.$field = Some(value)),
            wordy: $wordy,
        }
    };
}

macro_rules! plain {
    ($cell:ident, $field:ident, $about:literal) => {
        Column {
            name: stringify!($field),
            about: $about,
            cell: Cell::$cell(|event| event.$field, |event, value| event.$field = Some(value)),
            wordy: false,
        }
    };
}

static COLUMNS: [Column; 28] = [
    Column {
        name: "kind",
        about: "decision, feedback, agent, ended, lost",
        cell: Cell::Text(
            |event| Some(event.kind.name()),
            |event, value| event.kind = Kind::named(&value).unwrap_or_default(),
        ),
        wordy: false,
    },
    Column {
        name: "at",
        about: "when; SQL wants the name in quotes",
        cell: Cell::Number(|event| Some(event.at), |event, value| event.at = value),
        wordy: false,
    },
    Column {
        name: "kb",
        about: "the knowledge base; empty for lost events",
        cell: Cell::Text(|event| Some(&event.kb), |event, value| event.kb = value),
        wordy: false,
    },
    text!(trace_id, "the decision's id; for feedback, that of the decision it is about"),
    text!(release, "the release that answered, 12 or 12+3"),
    text!(conversation, "the conversation's id"),
    text!(customer, "the customer's id, where the channel knows one"),
    text!(channel, "web, wechat, …"),
    text!(key, "the id of the key that asked"),
    text!(text, "what was typed, as the settings let it be stored", true),
    text!(normalized, "the text in the form that the matchers compare", true),
    text!(decision, "answer, clarify, handoff"),
    text!(reason, "why"),
    text!(entry, "the best candidate's entry, whatever the decision; of a proposal, the one that was sent"),
    text!(topic, "that entry's topic"),
    plain!(Real, confidence, "the probability that the entry is right, 0..1"),
    Column {
        name: "candidates",
        about: "the best five as JSON: [{\"entry\",\"confidence\"}]",
        cell: Cell::Candidates,
        wordy: true,
    },
    plain!(Number, offered, "how many of them were shown to choose from"),
    plain!(Number, generation, "the generation that decided, 1 or 2"),
    plain!(Number, micros, "microseconds from text to decision"),
    text!(rule, "the rule that spoke"),
    text!(reading, "how the message was read in its conversation: chosen, rejected, …"),
    text!(chosen, "the offered entry that was taken"),
    plain!(Truth, solved, "feedback: whether it helped"),
    plain!(Number, rating, "feedback: stars, 1 to 5"),
    text!(comment, "feedback: own words", true),
    Column {
        name: "doing",
        about: "agent: claimed, replied, proposal, returned, closed",
        cell: Cell::Text(
            |event| event.doing.map(Doing::name),
            |event, value| event.doing = Doing::named(&value),
        ),
        wordy: false,
    },
    text!(agent, "which agent"),
];

/// The count of lost events stands apart from what the others tell.
static COUNT: Column = plain!(Number, count, "lost: how many events could not be stored");

/// The columns of the files, in their order.
pub fn columns() -> impl Iterator<Item = &'static Column> {
    COLUMNS.iter().chain(std::iter::once(&COUNT))
}
