//! What has happened in this conversation, and whose turn is it?
//!
//! A message of a conversation is read in the light of its [`Context`]: as the
//! choice of a question that was offered ("第二个"), as a question that leaves
//! out what was said before ("那要多久呢"), as small talk, or, most of the time, as
//! a question that stands for itself. [`take_turn`] says which, and what comes of
//! it, and gives back the context for the next message. Without a context it
//! adds nothing to what [`Engine::answer`] says to a question.
//!
//! [`service`] is a knowledge base's way to serve, as one document: its
//! [`voice`], its [`hours`], its [`ticket_form`] and its handoff [`rules`], which
//! [`ruling`] puts around the engine.
//!
//! A [`conversation`] has an owner; a [`handoff`] is how it comes to a person and
//! back, with a [`summary`] for them; a [`ticket`] is a question that was left
//! behind. Nothing here knows a clock, a database or HTTP.

mod choice;
mod condition;
mod context;
pub mod conversation;
mod document;
mod facts;
mod followup;
pub mod handoff;
pub mod hours;
mod light;
pub mod patch;
mod reading;
mod rule_test;
pub mod rules;
pub mod ruling;
pub mod service;
mod small_talk;
pub mod summary;
pub mod ticket;
pub mod ticket_form;
pub mod told;
mod turn;
pub mod voice;
pub mod withdrawal;

pub use context::{Answered, Context};
pub use facts::{Facts, Standing};
pub use light::Light;
pub use reading::{Named, Reading, Unclear};
pub use rule_test::{TestOutcome, TestReport};
pub use service::Service;
pub use small_talk::Topic;
pub use voice::Voice;

use crate::decide::Reason;
use crate::engine::{Engine, Options, Outcome, Trace};
use crate::error::Result;
use crate::events::habits::Habits;

/// What a customer sends.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// The words.
    pub text: &'a str,
    /// The id of a question that was shown, when the customer pressed it.
    pub choice: Option<&'a str>,
    /// How it is to be answered.
    pub options: Options<'a>,
    /// How the knowledge base speaks: what small talk it has, what it shows
    /// at the beginning.
    pub voice: &'a Voice,
    /// What customers ask for, where somebody counts it.
    pub habits: Option<&'a Habits>,
}

/// What came of a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// What to do.
    pub outcome: Outcome,
    /// What every stage saw, if that was asked for.
    pub trace: Option<Trace>,
    /// How the message was read.
    pub reading: Reading,
    /// Entries worth showing below the answer, by their position: those that
    /// its author names as related and that may be given now.
    pub related: Vec<usize>,
    /// What was looked at in the light of the turn before, if anything was.
    pub light: Option<Light>,
    /// What the conversation knows afterwards.
    pub context: Context,
}

impl Turn {
    /// The same turn of somebody who waits for a person: "谢谢" ends nothing, and "在吗" is
    /// answered with the word that they are waited for.
    #[must_use]
    pub fn of_one_who_waits(self) -> Self {
        if !matches!(self.reading, Reading::Ended | Reading::SmallTalk(_)) {
            return self;
        }
        let reading = Reading::Waiting;
        let trace = self.trace.map(|trace| Trace { reading: Some(reading.traced()), ..trace });
        Self {
            outcome: Outcome { reason: Reason::SmallTalk, ..self.outcome },
            context: Context { ended: false, ..self.context },
            trace,
            reading,
            ..self
        }
    }
}

/// Whether a message only points at what was shown or said before ("第一个", "都不是"): out
/// of its conversation it asks nothing. `written` puts a text into the form in which
/// spellings are equal.
pub fn only_points(text: &str, written: &dyn Fn(&str) -> String) -> bool {
    choice::pointer(text, written).is_some()
}

/// Reads a message in the light of a conversation and decides what to do.
///
/// # Errors
/// As [`Engine::answer`]; and [`crate::error::QuestionError::NotOffered`] when `choice` names
/// no question that was shown in this conversation and no entry that may be given now.
pub fn take_turn(engine: &Engine, context: &Context, message: &Message<'_>, explain: bool) -> Result<Turn> {
    turn::Reader { engine, context, message, explain }.turn()
}
