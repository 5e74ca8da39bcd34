//! How does a customer's data go for good?
//!
//! A request is written down first, in `data/events/forget.json`: from that
//! moment every reader applies it, and every process that writes events begins
//! another segment within a second or so. Then the files are rewritten beside
//! their place and renamed. When no file is left that may hold what was asked
//! for, the request goes too: it names the customer.
//!
//! An event is not removed but made nobody's: texts, comment and customer go,
//! the conversation gets another name that leads nowhere and still keeps its
//! turns together, and how the message was read in it goes. So counts and
//! invoices stay what they were.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::customers::Key;
use super::day::Day;
use super::record::Event;
use crate::disk::write_whole;
use crate::error::{Error, Result};

/// Whose data, or which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// Of a conversation.
    Conversation(String),
    /// Of a customer.
    Customer(String),
    /// The texts of all events before this moment in Unix milliseconds.
    TextBefore(i64),
}

impl Whose {
    /// The texts of all events before a day.
    pub fn texts_before(day: Day) -> Self {
        Self::TextBefore(day.start())
    }
}

/// What was asked for and is not done in all files yet.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Requests(Vec<Request>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Request {
    whose: Whose,
    /// What happens later is not meant.
    at: i64,
    /// What the new name of a conversation is drawn from; gone with the request.
    salt: String,
}

/// The file of the requests; its change also asks other processes to begin another segment.
pub(super) fn path(events: &Path) -> PathBuf {
    events.join("forget.json")
}

impl Requests {
    pub(super) fn read(events: &Path) -> Result<Self> {
        let path = path(events);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| {
                Error::Refused(format!("{}: {e}; nothing can be read before it is mended", path.display()))
            }),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(e) => Err(Error::io("read", &path, e)),
        }
    }

    /// Writes them, or removes the file when there is none.
    pub(super) fn write(&self, events: &Path) -> Result<()> {
        let path = path(events);
        if self.0.is_empty() {
            return match fs::remove_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("write", &path, e)),
                _ => Ok(()),
            };
        }
        let bytes = serde_json::to_vec(self).map_err(|e| Error::internal("events", e))?;
        write_whole(&path, &bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether any of them may concern events of a day.
    pub(super) fn may_concern(&self, day: Day) -> bool {
        self.0.iter().any(|request| match request.whose {
            // A day's folder holds some events of the evening before.
            Whose::TextBefore(moment) => moment > day.plus(-1).start(),
            Whose::Conversation(_) | Whose::Customer(_) => request.at >= day.plus(-1).start(),
        })
    }

    /// The columns without which they concern nobody.
    pub(super) fn columns(&self) -> &'static [&'static str] {
        if self.0.iter().all(|request| matches!(request.whose, Whose::TextBefore(_))) {
            &["text", "normalized", "comment"]
        } else {
            &["text", "normalized", "comment", "conversation", "customer"]
        }
    }

    /// One more, of what happened until a moment. Of a customer, whatever they are kept under.
    pub(super) fn add(&mut self, whose: Whose, at: i64, key: Option<&Key>) {
        if let (Whose::Customer(id), Some(key)) = (&whose, key) {
            self.one(Whose::Customer(key.name(id)), at);
        }
        self.one(whose, at);
    }

    fn one(&mut self, whose: Whose, at: i64) {
        self.0.push(Request { whose, at, salt: uuid::Uuid::now_v7().simple().to_string() });
    }

    /// Those that others had asked for before a moment, and that are done.
    pub(super) fn done_before(&mut self, moment: i64) {
        self.0.retain(|request| request.at > moment);
    }

    /// What a customer said in an event, if it is to be forgotten whose it is; not where
    /// texts go by their age alone.
    pub(super) fn words(&self, event: &Event) -> Vec<String> {
        let is_somebodys = self.0.iter().any(|request| request.is_of_somebody(event));
        let texts = [&event.text, &event.normalized].into_iter().flatten();
        if is_somebodys { texts.cloned().collect() } else { Vec::new() }
    }

    /// Makes an event nobody's, if it is meant; says whether anything changed.
    pub(super) fn apply(&self, event: &mut Event) -> bool {
        let mut changed = false;
        for request in &self.0 {
            changed |= request.apply(event);
        }
        changed
    }
}

impl Request {
    /// Whether it asks to forget whose an event is.
    fn is_of_somebody(&self, event: &Event) -> bool {
        let theirs = match &self.whose {
            Whose::Conversation(id) => event.conversation.as_deref() == Some(id),
            Whose::Customer(id) => event.customer.as_deref() == Some(id),
            Whose::TextBefore(_) => false,
        };
        theirs && event.at <= self.at
    }

    fn apply(&self, event: &mut Event) -> bool {
        if let Whose::TextBefore(moment) = &self.whose {
            return event.at <= self.at && event.at < *moment && forget_texts(event);
        }
        let whole = self.is_of_somebody(event);
        if whole {
            forget_texts(event);
            event.customer = None;
            event.reading = None;
            event.conversation = event.conversation.take().map(|id| self.nobodys(&id));
        }
        whole
    }

    /// Another name for a conversation; without the salt nobody can tell which it was.
    fn nobodys(&self, id: &str) -> String {
        let digest = Sha256::new().chain_update(&self.salt).chain_update(id).finalize();
        let hex: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
        format!("forgotten-{hex}")
    }
}

/// Removes a customer's words from an event; says whether there were any.
fn forget_texts(event: &mut Event) -> bool {
    let Event { text, normalized, comment, .. } = event;
    // All of them, not only up to the first.
    [text, normalized, comment].map(|text| text.take().is_some()).contains(&true)
}

#[cfg(test)]
mod tests {
    use super::super::day::now;
    use super::*;

    fn event(conversation: &str) -> Event {
        Event {
            at: now() - 10,
            conversation: Some(conversation.to_owned()),
            customer: Some("u".to_owned()),
            text: Some("我叫王伟".to_owned()),
            entry: Some("return".to_owned()),
            ..Event::default()
        }
    }

    #[test]
    fn an_event_is_made_nobodys_and_still_counts() {
        let mut requests = Requests::default();
        requests.add(Whose::Conversation("c".to_owned()), now(), None);
        let (mut one, mut two, mut other) = (event("c"), event("c"), event("d"));
        assert!(requests.apply(&mut one) && requests.apply(&mut two));
        assert!(!requests.apply(&mut other));
        assert_eq!(one.conversation, two.conversation);
        assert_ne!(one.conversation.as_deref(), Some("c"));
        assert_eq!((one.text, one.customer, one.entry.as_deref()), (None, None, Some("return")));
        assert_eq!(other, event("d").clone().at(other.at));
        let mut later = Event { at: now() + 60_000, ..event("c") };
        assert!(!requests.apply(&mut later), "what happens later is not meant");
    }

    impl Event {
        fn at(self, at: i64) -> Self {
            Self { at, ..self }
        }
    }

    #[test]
    fn a_customer_takes_all_conversations_along() {
        let mut requests = Requests::default();
        requests.add(Whose::Customer("u".to_owned()), now(), None);
        let (mut one, mut two) = (event("c"), event("d"));
        assert!(requests.apply(&mut one) && requests.apply(&mut two));
        assert_ne!(one.conversation, two.conversation);
    }

    #[test]
    fn texts_go_and_the_rest_stays() {
        let mut requests = Requests::default();
        requests.add(Whose::texts_before(Day::today().plus(1)), now(), None);
        let mut one = event("c");
        assert!(requests.apply(&mut one));
        assert_eq!((one.text.clone(), one.conversation.as_deref()), (None, Some("c")));
        assert!(!requests.apply(&mut one), "there is nothing left to forget");
    }
}
