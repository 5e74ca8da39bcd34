//! What do the handoff rules know of a message?

use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::context::Context;
use crate::decide::{Reason, anger, handoff};
use crate::kb::Entry;
use crate::text::Normalized;

/// Everything that a rule may look at. [`Self::of`] knows the text; whoever
/// knows more sets the fields.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// What the customer wrote.
    pub text: &'a str,
    /// Where: `web`, `wechat`, …
    pub channel: Option<&'a str>,
    /// What the client says of the customer, such as `{"vip": true}`.
    pub fields: Option<&'a Map<String, Value>>,
    /// How the conversation stands; `None` outside of one.
    pub standing: Option<Standing>,
    /// The entry that is about to be answered; `None` before the search, and
    /// when none is.
    pub entry: Option<&'a Entry>,
    /// How many customers wait for a person; `None` when nobody counts them.
    pub queue: Option<usize>,
    /// The moment.
    pub now: OffsetDateTime,
    /// The text's normal forms.
    pub(super) normalized: Normalized,
}

/// How a conversation stands. Before the search the message does not count;
/// after it, it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// Messages in a row that got no answer.
    pub misses: u32,
    /// How often the last question was asked again, in a row.
    pub repeats: u32,
}

impl From<&Context> for Standing {
    fn from(context: &Context) -> Self {
        Self { misses: context.misses, repeats: context.repeats }
    }
}

impl<'a> Facts<'a> {
    /// What a text alone says.
    pub fn of(text: &'a str) -> Self {
        Self {
            text,
            channel: None,
            fields: None,
            standing: None,
            entry: None,
            queue: None,
            now: OffsetDateTime::now_utc(),
            normalized: Normalized::new(text),
        }
    }

    /// The text in the form in which spellings are equal.
    pub fn written(&self) -> &str {
        &self.normalized.written
    }

    /// Whether the customer asks for a person, as the engine hears it.
    pub fn asks_for_person(&self) -> bool {
        let core = |text: &str| Normalized::new(text).core;
        handoff::heard(self.text, &self.normalized.core, core) == Some(Reason::Requested)
    }

    /// Whether the customer is angry at the service.
    pub fn is_angry(&self) -> bool {
        anger::is_angry(self.text)
    }
}
