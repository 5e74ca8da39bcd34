//! How often was something asked, by day, knowledge base, channel and key?

use std::collections::BTreeMap;

use super::day::Day;
use super::record::{Event, Kind};

/// What is counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell {
    /// The day, +08:00.
    pub day: Day,
    /// The knowledge base; empty of what was lost.
    pub kb: String,
    /// The channel; empty where none was said.
    pub channel: String,
    /// The key's id; empty where none was needed.
    pub key: String,
}

/// Whoever asks says what the channel is called; longer names are no keys of a table.
const CHANNEL: usize = 100;

/// Refuses a name of a channel that is not counted as it is.
///
/// # Errors
/// What such a name is.
pub fn check_channel(channel: &str) -> std::result::Result<(), String> {
    if shortened(channel) == channel {
        return Ok(());
    }
    Err(format!("`channel` is at most {CHANNEL} characters in one line"))
}

/// The name of a channel as it is counted under.
fn shortened(channel: &str) -> String {
    channel.chars().filter(|c| !c.is_control()).take(CHANNEL).collect()
}

/// How much it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Messages that the robot decided on ([`Event::is_question`]).
    pub questions: u64,
    /// Of them: answered.
    pub answered: u64,
    /// Events that could not be stored, and are in no other number.
    pub lost: u64,
}

/// Counts of many cells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<Cell, Count>);

impl Tally {
    /// The kinds of events that count.
    pub(super) const KINDS: [Kind; 2] = [Kind::Decision, Kind::Lost];

    /// Counts an event, if its kind does.
    pub(super) fn add(&mut self, event: &Event) {
        let count = match event.kind {
            Kind::Decision if !event.is_question() => return,
            Kind::Decision => Count {
                questions: 1,
                answered: u64::from(event.decision.as_deref() == Some("answer")),
                lost: 0,
            },
            Kind::Lost => {
                Count { lost: u64::try_from(event.count.unwrap_or(0)).unwrap_or(0), ..Count::default() }
            }
            Kind::Feedback | Kind::Agent | Kind::Ended => return,
        };
        let cell = Cell {
            day: Day::of(event.at),
            kb: event.kb.clone(),
            channel: shortened(event.channel.as_deref().unwrap_or_default()),
            key: event.key.clone().unwrap_or_default(),
        };
        self.put(cell, count);
    }

    /// Adds to a cell.
    pub fn put(&mut self, cell: Cell, more: Count) {
        let count = self.0.entry(cell).or_default();
        count.questions += more.questions;
        count.answered += more.answered;
        count.lost += more.lost;
    }

    /// Says how much there is of a cell.
    pub(super) fn set(&mut self, cell: &Cell, count: Count) {
        self.0.insert(cell.clone(), count);
    }

    /// Adds all of another one.
    pub(super) fn join(&mut self, other: &Self) {
        for (cell, count) in &other.0 {
            self.put(cell.clone(), *count);
        }
    }

    /// How much there is of a cell.
    pub fn get(&self, cell: &Cell) -> Count {
        self.0.get(cell).copied().unwrap_or_default()
    }

    /// The cells, in their order.
    pub fn rows(&self) -> impl Iterator<Item = (&Cell, &Count)> {
        self.0.iter()
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets what happened before a day.
    pub(super) fn forget_before(&mut self, day: Day) {
        self.0.retain(|cell, _| cell.day >= day);
    }
}
