//! What does the engine say to the scripted customer?

use rayon::prelude::*;
use serde::Serialize;

use super::script::{Script, ScriptedTurn, Split};
use crate::decide::Decision;
use crate::dialogue::{Context, Light, Message, Reading, Voice, take_turn};
use crate::engine::{Engine, Options, Outcome};
use crate::error::{Error, Result};
use crate::eval::dataset::Expect;
use crate::kb::EntryId;

/// What a decision came to, given what would have been right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The right entry was answered, or none where none is right.
    Right,
    /// The right entry was offered.
    Offered,
    /// Asked back without it, or handed off.
    Missed,
    /// A wrong entry was answered, or one at all where none is right.
    Wrong,
}

/// A message as it was played.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Played {
    /// The knowledge base.
    pub kb: String,
    /// The line of the conversation, counted from 1 …
    pub dialogue: usize,
    /// … and the place of the message in it.
    pub turn: usize,
    /// Whether the conversation was held back.
    pub split: Split,
    /// What was said.
    pub text: String,
    /// What is right.
    pub expect: Expect,
    /// How it is meant.
    pub meant: String,
    /// The groups of the turn.
    pub tags: Vec<String>,
    /// What was looked at in the light of the turn before.
    #[serde(skip)]
    pub light: Option<Light>,
    /// In the conversation.
    pub with: Reply,
    /// Alone.
    pub without: Reply,
}

/// What came of a message.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reply {
    /// How it was read.
    pub reading: &'static str,
    /// What was asked instead, in the light of what was said before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
    /// What was done.
    pub decision: Decision,
    /// Why.
    pub reason: &'static str,
    /// The entries that were answered, or offered.
    pub entries: Vec<EntryId>,
    /// What it came to.
    pub verdict: Verdict,
    /// From text to decision, in microseconds.
    pub micros: u64,
}

/// A played script: the turns that counted, and how many were left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Talk {
    /// Those that counted.
    pub turns: Vec<Played>,
    /// Turns about a list that was not shown, or not with what is wanted.
    pub left_out: usize,
}

/// Plays the scripts of a knowledge base on all cores; the talks stand in the
/// order of the scripts.
///
/// # Errors
/// When the engine fails on a message.
pub fn play(engine: &Engine, kb: &str, scripts: &[Script], options: Options<'_>) -> Result<Vec<Talk>> {
    let voice = Voice::default();
    let own: Vec<&Script> = scripts.iter().filter(|script| script.kb == kb).collect();
    own.par_iter().map(|script| Customer { engine, options, voice: &voice }.talk(script)).collect()
}

struct Customer<'a> {
    engine: &'a Engine,
    options: Options<'a>,
    voice: &'a Voice,
}

impl Customer<'_> {
    fn talk(&self, script: &Script) -> Result<Talk> {
        let mut talk = Talk::default();
        let mut context = Context::default();
        for (at, said) in script.turns.iter().enumerate() {
            let question = |id: &EntryId| {
                let at = self.engine.release().position(id);
                at.map_or_else(String::new, |at| self.engine.release().entries()[at].question.clone())
            };
            // A place may be named later too; that none is meant, only to a question.
            let asked = context.asked_back || said.choose.is_some() || !said.pick.is_empty();
            let listed = if asked { context.offered.as_slice() } else { &[] };
            let Some((text, expect)) = said.about(listed, question) else {
                talk.left_out += 1;
                continue;
            };
            let choice = said.press.then(|| expect.ids().first()).flatten().map(|id| id.0.as_str());
            let message =
                Message { text: &text, choice, options: self.options, voice: self.voice, habits: None };
            let all = said.pick.len() > 1;
            // The encoder keeps what it has just read, so whoever asks second is
            // spared it: alone first, and its time is added to a turn that needs it.
            let without = self.alone(&text, choice.is_some(), &expect, all)?;
            let clock = std::time::Instant::now();
            let turn = take_turn(self.engine, &context, &message, false)?;
            let micros = u64::try_from(clock.elapsed().as_micros()).unwrap_or(u64::MAX);
            let asked = match &turn.reading {
                Reading::InLight { text, .. } => Some(text.clone()),
                _ => None,
            };
            let spared = match turn.reading {
                Reading::AsIs | Reading::InLight { .. } => without.micros,
                _ => 0,
            };
            let micros = micros.saturating_add(spared);
            let with = self.reply(&turn.outcome, turn.reading.name(), asked, &expect, all, micros);
            context = turn.context;
            if with.verdict != Verdict::Right
                && expect.is_inside()
                && let Some(next) = script.turns.get(at + 1)
                && !next.is_about_a_list()
            {
                context = self.there(&context, &expect)?;
            }
            talk.turns.push(Played {
                kb: script.kb.clone(),
                dialogue: script.line,
                turn: at + 1,
                split: script.split,
                text,
                expect,
                meant: said.reading.clone(),
                tags: tags(said),
                light: turn.light,
                with,
                without,
            });
        }
        Ok(talk)
    }

    /// The context of a customer who got to the right answer all the same.
    fn there(&self, context: &Context, expect: &Expect) -> Result<Context> {
        let offered = context.offered.iter().find(|id| expect.accepts(id)).filter(|_| context.asked_back);
        let wanted = offered.or_else(|| expect.ids().first());
        let Some(at) = wanted.and_then(|id| self.engine.release().position(id)) else {
            return Ok(context.clone());
        };
        let entry = &self.engine.release().entries()[at];
        let choice = offered.map(|id| id.0.as_str());
        let message =
            Message { text: &entry.question, choice, options: self.options, voice: self.voice, habits: None };
        Ok(take_turn(self.engine, context, &message, false)?.context)
    }

    fn alone(&self, text: &str, pressed: bool, expect: &Expect, all: bool) -> Result<Reply> {
        match self.engine.answer(text, self.options) {
            Ok(outcome) if !pressed => Ok(self.reply(&outcome, "as_is", None, expect, all, outcome.micros)),
            // Without a conversation nobody reads what is pressed.
            Ok(outcome) => {
                let outcome =
                    Outcome { micros: outcome.micros, ..Outcome::bare(Decision::Handoff, outcome.reason) };
                Ok(self.reply(&outcome, "as_is", None, expect, all, outcome.micros))
            }
            Err(Error::Question(_)) => {
                let outcome = Outcome::bare(Decision::Handoff, crate::decide::Reason::NoText);
                Ok(self.reply(&outcome, "as_is", None, expect, all, 0))
            }
            Err(e) => Err(e),
        }
    }

    fn reply(
        &self,
        outcome: &Outcome,
        reading: &'static str,
        asked: Option<String>,
        expect: &Expect,
        all: bool,
        micros: u64,
    ) -> Reply {
        let entries = self.engine.release().entries();
        let id = |at: usize| entries[at].id.clone();
        let listed = || outcome.candidates.iter().take(outcome.offered).map(|it| id(it.entry));
        let told: Vec<EntryId> = match outcome.decision {
            Decision::Answer if outcome.sure.is_empty() => {
                outcome.best().map(|best| id(best.entry)).into_iter().collect()
            }
            Decision::Answer => outcome.sure.iter().map(|&at| id(at)).collect(),
            Decision::Clarify => listed().collect(),
            Decision::Handoff => Vec::new(),
        };
        let verdict = verdict(outcome.decision, &told, expect, all);
        Reply {
            reading,
            asked,
            decision: outcome.decision,
            reason: outcome.reason.name(),
            entries: told,
            verdict,
            micros,
        }
    }
}

/// `all`: every expected entry is to be answered, and nothing else.
fn verdict(decision: Decision, entries: &[EntryId], expect: &Expect, all: bool) -> Verdict {
    let answered = decision == Decision::Answer && !entries.is_empty();
    match (answered, expect.is_inside()) {
        (false, false) => Verdict::Right,
        (true, false) => Verdict::Wrong,
        (true, true) if all && entries == expect.ids() => Verdict::Right,
        (true, true) if all => Verdict::Wrong,
        (true, true) if entries.iter().all(|id| expect.accepts(id)) => Verdict::Right,
        (true, true) => Verdict::Wrong,
        (false, true) if entries.iter().any(|id| expect.accepts(id)) => Verdict::Offered,
        (false, true) => Verdict::Missed,
    }
}

/// The groups of a turn: its own, and how it is meant.
fn tags(said: &ScriptedTurn) -> Vec<String> {
    let mut tags = vec![said.reading.clone()];
    tags.extend(said.tags.iter().filter(|tag| **tag != said.reading).cloned());
    tags
}
