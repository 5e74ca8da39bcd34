//! Which entries are asked for most, and which one after which?
//!
//! Only answers count, and only by the entry that answered: what is shown of it is
//! the entry's own question, never a customer's words. A conversation counts once
//! for an entry, however often it asks; what was pressed and not typed does not
//! count, or whatever is shown first would stay the most asked for ever.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use super::{Days, Event, Kind, Log, Wanted};
use crate::error::Result;

/// An entry follows another one only within so many milliseconds.
const APART: i64 = 30 * 60 * 1000;

/// In so many conversations two entries must follow each other, or it is chance.
const TOGETHER: u64 = 5;

/// So many times as often as after any other question.
const LIFT: f64 = 2.0;

/// The most entries that are named after one.
const NAMED: usize = 3;

/// Answers of a conversation that are remembered; longer ones are tests or worse.
const REMEMBERED: usize = 50;

/// Reasons for an answer that no entry gave.
const NO_ENTRY: [&str; 3] = ["small_talk", "closed", "withdrawn"];

/// What customers ask for.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Habits {
    /// Conversations with an answer; a question without one counts as one.
    pub conversations: u64,
    /// Every entry that was asked for, the most asked first.
    pub most: Vec<Often>,
    /// By entry: what is asked after it, the most telling first.
    pub next: BTreeMap<String, Vec<Next>>,
}

/// How often an entry was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Often {
    /// Its id.
    pub entry: String,
    /// In how many conversations.
    pub conversations: u64,
}

/// An entry that is asked for after another one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Next {
    /// Its id.
    pub entry: String,
    /// In how many conversations both were asked for, in this order.
    pub together: u64,
    /// How many times as often as in any conversation.
    pub lift: f64,
}

/// Puts habits together from decisions, in the order in which they happened.
#[derive(Default)]
pub struct Gathering {
    /// By conversation: what was answered and when, each entry once.
    talks: HashMap<String, Vec<(String, i64)>>,
    /// Questions without a conversation, by entry.
    alone: HashMap<String, u64>,
}

impl Gathering {
    /// Takes an event; only answers count.
    pub fn take(&mut self, event: &Event) {
        let answered = event.kind == Kind::Decision && event.decision.as_deref() == Some("answer");
        let typed = event.reading.as_deref() != Some("chosen");
        let given = event.reason.as_deref().is_some_and(|reason| !NO_ENTRY.contains(&reason));
        let Some(entry) = event.entry.as_ref().filter(|entry| answered && given && !entry.is_empty()) else {
            return;
        };
        let Some(conversation) = &event.conversation else {
            if typed {
                *self.alone.entry(entry.clone()).or_default() += 1;
            }
            return;
        };
        let talk = self.talks.entry(conversation.clone()).or_default();
        if typed && talk.len() < REMEMBERED && talk.iter().all(|(known, _)| known != entry) {
            talk.push((entry.clone(), event.at));
        }
    }

    /// What they add up to.
    pub fn finish(self) -> Habits {
        let mut counts: HashMap<&str, u64> = HashMap::new();
        let mut pairs: HashMap<(&str, &str), u64> = HashMap::new();
        for (entry, count) in &self.alone {
            *counts.entry(entry).or_default() += count;
        }
        for talk in self.talks.values() {
            for (place, (entry, at)) in talk.iter().enumerate() {
                *counts.entry(entry).or_default() += 1;
                let later = talk[place + 1..].iter().filter(|(_, later)| later.saturating_sub(*at) <= APART);
                let later: HashSet<&str> = later.map(|(entry, _)| entry.as_str()).collect();
                for next in later {
                    *pairs.entry((entry, next)).or_default() += 1;
                }
            }
        }
        let talks = self.talks.values().filter(|talk| !talk.is_empty()).count() as u64;
        let conversations = talks + self.alone.values().sum::<u64>();
        let mut most: Vec<Often> = counts
            .iter()
            .map(|(entry, &conversations)| Often { entry: (*entry).to_owned(), conversations })
            .collect();
        most.sort_by(|a, b| b.conversations.cmp(&a.conversations).then_with(|| a.entry.cmp(&b.entry)));
        let mut next: BTreeMap<String, Vec<Next>> = BTreeMap::new();
        for ((entry, other), together) in pairs {
            // P(other after entry) against P(other).
            let expected = counts[entry] as f64 * counts[other] as f64 / conversations.max(1) as f64;
            let lift = together as f64 / expected;
            if together >= TOGETHER && lift >= LIFT {
                let one = Next { entry: other.to_owned(), together, lift };
                next.entry(entry.to_owned()).or_default().push(one);
            }
        }
        for list in next.values_mut() {
            list.sort_by(|a, b| b.together.cmp(&a.together).then_with(|| a.entry.cmp(&b.entry)));
            list.truncate(NAMED);
        }
        Habits { conversations, most, next }
    }
}

impl Habits {
    /// Those of a knowledge base in some days.
    ///
    /// # Errors
    /// When events cannot be read.
    pub fn read(log: &Log, kb: &str, days: Days) -> Result<Self> {
        let mut gathering = Gathering::default();
        let wanted = Wanted { days, kb: Some(kb), kinds: &[Kind::Decision], texts: false, candidates: false };
        log.read(&wanted, |event| gathering.take(&event))?;
        Ok(gathering.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(conversation: Option<&str>, entry: &str, at: i64) -> Event {
        Event {
            kind: Kind::Decision,
            at,
            kb: "shop".to_owned(),
            conversation: conversation.map(str::to_owned),
            decision: Some("answer".to_owned()),
            reason: Some("confident".to_owned()),
            entry: Some(entry.to_owned()),
            ..Event::default()
        }
    }

    fn told(events: impl IntoIterator<Item = Event>) -> Habits {
        let mut gathering = Gathering::default();
        events.into_iter().for_each(|event| gathering.take(&event));
        gathering.finish()
    }

    #[test]
    fn a_conversation_counts_once_for_an_entry_and_a_press_not_at_all() {
        let pressed = Event { reading: Some("chosen".to_owned()), ..answer(Some("c"), "press", 3) };
        let handed = Event { decision: Some("handoff".to_owned()), ..answer(Some("c"), "none", 4) };
        let greeted = Event { reason: Some("small_talk".to_owned()), ..answer(Some("c"), "hello", 5) };
        let habits = told([
            answer(Some("a"), "refund", 1),
            answer(Some("a"), "refund", 2),
            answer(Some("b"), "refund", 1),
            answer(Some("b"), "fee", 2),
            answer(None, "fee", 3),
            answer(None, "fee", 4),
            pressed,
            handed,
            greeted,
        ]);
        let most: Vec<(&str, u64)> =
            habits.most.iter().map(|often| (often.entry.as_str(), often.conversations)).collect();
        assert_eq!(most, [("fee", 3), ("refund", 2)]);
        assert_eq!(habits.conversations, 4);
        assert!(habits.next.is_empty(), "once is chance");
    }

    #[test]
    fn what_follows_often_and_more_than_elsewhere_is_named() {
        let talks = (0..40).flat_map(|talk| {
            let id = format!("t{talk}");
            let first = answer(Some(&id), if talk < 10 { "return" } else { "other" }, 0);
            let second = answer(Some(&id), if talk < 8 { "freight" } else { "hours" }, 60_000);
            // A question of the next day belongs to nothing.
            let late = answer(Some(&id), "late", 24 * 60 * 60_000);
            [first, second, late]
        });
        let habits = told(talks);
        let next: Vec<&str> = habits.next["return"].iter().map(|next| next.entry.as_str()).collect();
        assert_eq!(next, ["freight"]);
        assert_eq!(habits.next["return"][0].together, 8);
        assert!((habits.next["return"][0].lift - 4.0).abs() < 1e-9);
        assert!(!habits.next.contains_key("other"), "hours follows everything about as often");
        assert!(!habits.next.values().flatten().any(|next| next.entry == "late"));
    }
}
