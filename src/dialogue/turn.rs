//! What does this message mean, and what comes of it?
//!
//! The readings are tried in one order: a button that was pressed; a place in
//! the list, none of it, what was answered before; small talk and the end; the
//! message as it stands, which wins wherever it is answered alone; words that
//! one question of the list has; the message in the light of the turn before.

use super::choice::{self, Place, Pointer};
use super::context::{Answered, kept};
use super::small_talk::{self, Topic};
use super::voice::Related;
use super::{Context, Light, Message, Named, Reading, Turn, Unclear};
use crate::decide::{Confidence, Decision, Reason};
use crate::engine::{Engine, Outcome, Scored, Trace};
use crate::error::{QuestionError, Result};
use crate::kb::EntryId;
use crate::text::{Normalized, says_something};

/// The most entries that are shown below an answer.
const RELATED: usize = 3;

/// A message beside what it is read with.
pub(super) struct Reader<'a> {
    pub(super) engine: &'a Engine,
    pub(super) context: &'a Context,
    pub(super) message: &'a Message<'a>,
    pub(super) explain: bool,
}

/// What one way to read the message gives.
pub(super) struct Read {
    pub(super) reading: Reading,
    pub(super) outcome: Outcome,
    pub(super) trace: Option<Trace>,
    /// The question that it is, when it is one.
    pub(super) question: Option<String>,
    /// What was looked at in the light of the turn before.
    pub(super) light: Option<Light>,
}

impl Reader<'_> {
    /// Reads the message.
    pub(super) fn turn(&self) -> Result<Turn> {
        let mut read = self.read()?;
        if self.explain {
            let mut trace = match read.trace.take() {
                Some(trace) => trace,
                None => Trace {
                    steps: self.engine.release().analyzer().trace(self.message.text),
                    ..Trace::default()
                },
            };
            trace.reading = Some(read.reading.traced());
            trace.rule = format!("{} ({})", read.outcome.reason.name(), read.outcome.decision.name());
            read.trace = Some(trace);
        }
        let related = self.related(&read.outcome);
        let context = self.after(&read, &related);
        Ok(Turn {
            outcome: read.outcome,
            trace: read.trace,
            reading: read.reading,
            related,
            light: read.light,
            context,
        })
    }

    fn read(&self) -> Result<Read> {
        if let Some(choice) = self.message.choice {
            return self.pressed(choice);
        }
        let text = self.message.text;
        let analyzer = self.engine.release().analyzer();
        // What is no message is refused before anything is made of it.
        analyzer.query(text)?;
        let id = EntryId(text.trim().to_owned());
        if self.context.offered.contains(&id) || self.context.beside.contains(&id) {
            return Ok(self.chosen(vec![id], Named::Id));
        }
        let pointer = choice::pointer(text, &|text| analyzer.written(text));
        let points = pointer.is_some();
        if let Some(pointer) = pointer
            && let Some(read) = self.pointed(pointer)?
        {
            return Ok(read);
        }
        let normal = analyzer.normalize(text);
        if let Some(read) = self.named(&normal) {
            return Ok(read);
        }
        let alone = self.asked(text, Reading::AsIs)?;
        if let Some(reading) = self.small_talk(&normal, &alone.outcome) {
            return Ok(self.talked(reading, alone));
        }
        let part = self.part(&normal);
        if !alone.outcome.reason.is_scored() || alone.outcome.decision == Decision::Answer {
            let own = |read: &Read| read.outcome.best().map(|best| best.entry);
            let alone = self.own_words(&normal, alone);
            return match part {
                // The list was asked about, and the answer stands in it.
                Some(part) if alone.reading == Reading::AsIs && own(&part) == own(&alone) => {
                    Ok(Read { trace: alone.trace, ..part })
                }
                None if alone.outcome.reason.is_scored() => self.in_light(&normal, alone),
                _ => Ok(alone),
            };
        }
        match part {
            Some(part) => Ok(part),
            // "上一个" with nothing before it points to nothing.
            None if points => Ok(alone),
            None => self.in_light(&normal, alone),
        }
    }

    /// The message as the engine takes these words.
    pub(super) fn asked(&self, text: &str, reading: Reading) -> Result<Read> {
        let (mut outcome, trace) = if self.explain {
            let (outcome, trace) = self.engine.explain(text, self.message.options)?;
            (outcome, Some(trace))
        } else {
            (self.engine.answer(text, self.message.options)?, None)
        };
        if text != self.message.text {
            // The form of other words than the customer's.
            outcome.core.clear();
        }
        Ok(Read { reading, outcome, trace, question: Some(kept(text)), light: None })
    }

    /// The entry of an id, if it may be given now.
    pub(super) fn available(&self, id: &EntryId) -> Option<usize> {
        self.engine.available(id, self.message.options)
    }

    fn pressed(&self, choice: &str) -> Result<Read> {
        let id = EntryId(choice.to_owned());
        let Context { offered, beside, shown, .. } = self.context;
        let quick = &self.message.voice.quick_questions.entries;
        // What is asked most was shown to some and changes all the time.
        let habits = self.message.habits.filter(|_| quick.is_empty());
        let often = habits.is_some_and(|habits| habits.most.iter().any(|often| often.entry == choice));
        let known = [offered, beside, quick].into_iter().any(|list| list.contains(&id));
        if known || shown.contains(&id) || often {
            return Ok(self.chosen(vec![id], Named::Id));
        }
        // A menu, a card or a link of the client's own may lead to any entry.
        if self.available(&id).is_some() {
            return Ok(self.chosen(vec![id], Named::Menu));
        }
        Err(QuestionError::NotOffered { choice: choice.chars().take(100).collect() }.into())
    }

    /// The answers to questions that the customer chose.
    fn chosen(&self, entries: Vec<EntryId>, by: Named) -> Read {
        let found: Vec<usize> = entries.iter().filter_map(|id| self.available(id)).collect();
        let Some(&first) = found.first() else { return self.unclear(Unclear::Gone) };
        // Whoever points to a question means it as surely as whoever types it;
        // a part of its words is as much as a rule.
        let confidence = if by == Named::Part { Confidence::BY_RULE } else { Confidence::CERTAIN };
        let outcome = Outcome {
            candidates: found.iter().map(|&entry| Scored { entry, confidence }).collect(),
            offered: 1,
            sure: if found.len() > 1 { found } else { Vec::new() },
            ..Outcome::bare(Decision::Answer, Reason::Chosen)
        };
        let question = self.engine.release().entries()[first].question.clone();
        Read {
            reading: Reading::Chosen { entries, by },
            outcome,
            trace: None,
            question: Some(question),
            light: None,
        }
    }

    /// The same list once more.
    fn unclear(&self, why: Unclear) -> Read {
        let list: Vec<usize> = self.list().iter().filter_map(|id| self.available(id)).collect();
        // Which of them is meant, nobody knows.
        let confidence = Confidence::new(1.0 / (list.len() + 1) as f64);
        let candidates: Vec<Scored> = list.iter().map(|&entry| Scored { entry, confidence }).collect();
        let decision = if candidates.is_empty() { Decision::Handoff } else { Decision::Clarify };
        let outcome = Outcome {
            offered: candidates.len(),
            candidates,
            ..Outcome::bare(decision, Reason::UnclearChoice)
        };
        Read { reading: Reading::Unclear(why), outcome, trace: None, question: None, light: None }
    }

    /// The list that places speak of.
    fn list(&self) -> &[EntryId] {
        if self.context.offered.is_empty() { &self.context.beside } else { &self.context.offered }
    }

    /// What a pointer leads to; `None` where there is nothing to point at.
    fn pointed(&self, pointer: Pointer) -> Result<Option<Read>> {
        let Context { answered, before, asked_back, .. } = self.context;
        Ok(match pointer {
            Pointer::Places(places) => self.placed(&places)?,
            Pointer::All if *asked_back => Some(self.chosen(self.list().to_vec(), Named::Place)),
            Pointer::None(rest) if *asked_back => Some(match rest {
                Some(rest) if says_something(&rest) => self.asked(&rest, Reading::AsIs)?,
                _ => Read {
                    reading: Reading::NoneOfThese,
                    outcome: Outcome::bare(Decision::Handoff, Reason::NoneOfThese),
                    trace: None,
                    question: None,
                    light: None,
                },
            }),
            Pointer::Before => match before {
                // Whoever goes up or down a list goes on there.
                Some(_) if self.context.walks => self.beside_taken(false),
                Some(before) => Some(self.chosen(vec![before.clone()], Named::Before)),
                None => self.beside_taken(false),
            },
            Pointer::Next => match (!asked_back).then(|| self.beside_taken(true)).flatten() {
                Some(read) => Some(read),
                None => self.placed(&[Place::Lower])?,
            },
            Pointer::Again => {
                let again = answered.as_ref().filter(|_| !asked_back);
                again.map(|answered| self.chosen(vec![answered.entry.clone()], Named::Before))
            }
            Pointer::All | Pointer::None(_) => None,
        })
    }

    /// The question of the list before or behind the one that was taken from it: "上一个"
    /// and "下一个" where nothing else was answered before. Without it the list is shown
    /// again, if there is one.
    fn beside_taken(&self, next: bool) -> Option<Read> {
        let Context { answered, offered, asked_back, .. } = self.context;
        if *asked_back {
            return Some(self.unclear(Unclear::Several));
        }
        let taken = answered.as_ref()?;
        let at = offered.iter().position(|id| *id == taken.entry)?;
        let other = if next { at.checked_add(1) } else { at.checked_sub(1) };
        Some(match other.and_then(|at| offered.get(at)) {
            Some(entry) => self.chosen(vec![entry.clone()], Named::Neighbour),
            None => self.unclear(Unclear::Outside),
        })
    }

    fn placed(&self, places: &[Place]) -> Result<Option<Read>> {
        let list = self.list();
        if list.is_empty() {
            return Ok(None);
        }
        if !self.context.asked_back {
            // Nobody asked which one: what an author has an answer to, such as a
            // bare number, is no choice.
            let alone = self.asked(self.message.text, Reading::AsIs)?;
            if alone.outcome.decision == Decision::Answer && !alone.outcome.reason.is_scored() {
                return Ok(Some(alone));
            }
        }
        let mut entries: Vec<EntryId> = Vec::new();
        for place in places {
            let why = match place.indices(list.len()) {
                Some(indices) if !indices.is_empty() => {
                    let new = indices.into_iter().map(|index| list[index].clone());
                    new.filter(|id| !entries.contains(id))
                        .collect::<Vec<_>>()
                        .into_iter()
                        .for_each(|id| entries.push(id));
                    continue;
                }
                Some(_) => Unclear::Several,
                // "88" is a farewell.
                None if self.is_small_talk() => return Ok(None),
                None => Unclear::Outside,
            };
            return Ok(self.context.asked_back.then(|| self.unclear(why)));
        }
        Ok(Some(self.chosen(entries, Named::Place)))
    }

    fn is_small_talk(&self) -> bool {
        let analyzer = self.engine.release().analyzer();
        small_talk::topic(&analyzer.normalize(self.message.text).core).is_some()
    }

    /// "退货那个": the one of the list that has these words.
    fn named(&self, normal: &Normalized) -> Option<Read> {
        let list = self.list();
        let words =
            choice::named(&normal.written).filter(|words| !list.is_empty() && says_something(words))?;
        match self.holding(list, words).as_slice() {
            [one] => Some(self.chosen(vec![one.clone()], Named::Part)),
            [] => None,
            _ => self.context.asked_back.then(|| self.unclear(Unclear::Several)),
        }
    }

    /// Words that one question of the list has, and no other.
    fn part(&self, normal: &Normalized) -> Option<Read> {
        if !self.context.asked_back || !says_something(&normal.core) {
            return None;
        }
        let words = choice::plain(&normal.core);
        match self.holding(&self.context.offered, words).as_slice() {
            [one] => Some(self.chosen(vec![one.clone()], Named::Part)),
            _ => None,
        }
    }

    /// Which of some entries have words in their standard question: in one
    /// piece, or if none has them so, all of the words somewhere.
    fn holding(&self, list: &[EntryId], words: &str) -> Vec<EntryId> {
        let release = self.engine.release();
        let analyzer = release.analyzer();
        let questions: Vec<(&EntryId, String)> = list
            .iter()
            .filter_map(|id| {
                Some((id, analyzer.normalize(&release.entries()[self.available(id)?].question).core))
            })
            .collect();
        let whole = |holds: &dyn Fn(&str) -> bool| -> Vec<EntryId> {
            questions.iter().filter(|(_, question)| holds(question)).map(|(id, _)| (*id).clone()).collect()
        };
        let in_one_piece = whole(&|question| question.contains(words));
        // Whether something is denied stands in the order of the words.
        if !in_one_piece.is_empty() || words.contains(['不', '没', '未', '无', '别']) {
            return in_one_piece;
        }
        let tokens = analyzer.segment(words);
        let mut telling = tokens.iter().filter(|token| !token.stop && says_something(&token.text)).peekable();
        if telling.peek().is_none() {
            return Vec::new();
        }
        let telling: Vec<_> = telling.collect();
        whole(&|question| {
            let own = analyzer.segment(question);
            telling.iter().all(|token| {
                question.contains(&token.text) || own.iter().any(|own| own.canonical == token.canonical)
            })
        })
    }

    /// What was answered alone, said to be a choice where it is the very
    /// question that was shown.
    fn own_words(&self, normal: &Normalized, alone: Read) -> Read {
        if alone.outcome.reason != Reason::ExactQuestion {
            return alone;
        }
        let Some(best) = alone.outcome.best() else { return alone };
        let release = self.engine.release();
        let entry = &release.entries()[best.entry];
        let Context { offered, beside, shown, .. } = self.context;
        let quick = &self.message.voice.quick_questions.entries;
        let was_shown =
            [offered, beside, quick].iter().any(|list| list.contains(&entry.id)) || shown.contains(&entry.id);
        let question = release.analyzer().normalize(&entry.question);
        if !was_shown || question.exact != normal.exact && question.core_key() != normal.core_key() {
            return alone;
        }
        Read { trace: alone.trace, ..self.chosen(vec![entry.id.clone()], Named::Words) }
    }

    /// The small talk that a message is, if its knowledge base has no question
    /// of that kind and its voice replies to it.
    fn small_talk(&self, normal: &Normalized, alone: &Outcome) -> Option<Reading> {
        let voice = self.message.voice;
        let claimed =
            !alone.reason.is_scored() && alone.reason != Reason::NoQuestion && alone.reason != Reason::NoText;
        if claimed {
            return None;
        }
        let analyzer = self.engine.release().analyzer();
        let says = |phrase: &super::voice::Phrase| {
            phrase.says.iter().any(|says| analyzer.exact_key(says) == normal.exact)
        };
        if let Some(at) = voice.phrases.iter().position(says) {
            return Some(Reading::Phrase(at));
        }
        // The core has lost the thanks at its end.
        let topic = small_talk::topic(&normal.written).or_else(|| small_talk::topic(&normal.core))?;
        // The engine has looked whether the knowledge base has its own.
        let phrasings = self.engine.release().known().phrasings.iter();
        let own = alone.reason != Reason::NoQuestion
            && phrasings
                .map(|phrasing| phrasing.normalized.core.as_str())
                .any(|own| small_talk::topic(own) == Some(topic));
        if own {
            return None;
        }
        let going_on = self.context.turns > 0;
        match topic {
            Topic::Farewell | Topic::Refusal => Some(Reading::Ended),
            Topic::Thanks if going_on => Some(Reading::Ended),
            // "好的" to a list says yes, and not to which of it.
            Topic::Consent if self.context.asked_back => Some(Reading::Unclear(Unclear::Several)),
            topic => voice.small_talk(topic).is_some().then_some(Reading::SmallTalk(topic)),
        }
    }

    fn talked(&self, reading: Reading, alone: Read) -> Read {
        let reason = match &reading {
            Reading::Unclear(why) => return Read { trace: alone.trace, ..self.unclear(*why) },
            Reading::Ended => Reason::Closed,
            _ => Reason::SmallTalk,
        };
        let outcome = Outcome { micros: alone.outcome.micros, ..Outcome::bare(Decision::Answer, reason) };
        Read { reading, outcome, trace: alone.trace, question: None, light: None }
    }

    /// Entries that are worth reading next: those that the answer's author names,
    /// then, if the knowledge base wants it, what customers ask after it.
    fn related(&self, outcome: &Outcome) -> Vec<usize> {
        let Some(best) = outcome.best().filter(|_| outcome.decision == Decision::Answer) else {
            return Vec::new();
        };
        let entry = &self.engine.release().entries()[best.entry];
        let asked = self.message.habits.filter(|_| self.message.voice.related == Related::Asked);
        let asked = asked.and_then(|habits| habits.next.get(&entry.id.0)).into_iter().flatten();
        let ids = entry.related.iter().cloned().chain(asked.map(|next| EntryId(next.entry.clone())));
        let mut related: Vec<usize> = Vec::new();
        for at in ids.filter_map(|id| self.available(&id)) {
            if at != best.entry && !outcome.sure.contains(&at) && !related.contains(&at) {
                related.push(at);
            }
        }
        related.truncate(RELATED);
        related
    }

    /// What the conversation knows after the message.
    fn after(&self, read: &Read, related: &[usize]) -> Context {
        let mut context =
            Context { turns: self.context.turns.saturating_add(1), ended: false, ..self.context.clone() };
        let outcome = &read.outcome;
        let entries = self.engine.release().entries();
        let id = |at: usize| entries[at].id.clone();
        let listed = |skip: usize| -> Vec<EntryId> {
            outcome.candidates.iter().take(outcome.offered).skip(skip).map(|it| id(it.entry)).collect()
        };
        match (&read.reading, outcome.decision) {
            (Reading::SmallTalk(_) | Reading::Phrase(_), _) => return context,
            (Reading::Ended, _) => {
                context.ended = true;
                (context.offered, context.asked_back) = (Vec::new(), false);
                return context;
            }
            (Reading::Unclear(_), _) => {
                context.misses = context.misses.saturating_add(1);
                context.offered = listed(0);
                context.asked_back = !context.offered.is_empty();
                return context;
            }
            (Reading::NoneOfThese, _) => {
                context.misses = context.misses.saturating_add(1);
                (context.offered, context.asked_back) = (Vec::new(), false);
                return context;
            }
            _ => {}
        }
        // A button that is pressed twice says nothing.
        if !matches!(read.reading, Reading::Chosen { .. }) {
            context.repeats = if self.is_again(read) { self.context.repeats.saturating_add(1) } else { 0 };
        }
        context.walks = matches!(read.reading, Reading::Chosen { by: Named::Neighbour, .. });
        context.asked.clone_from(&read.question);
        match outcome.decision {
            // Several things were asked, and nothing is left to choose.
            Decision::Clarify if outcome.is_all_answered() => {
                context.misses = 0;
                (context.offered, context.asked_back) = (listed(0), false);
                context.beside = Vec::new();
                let answers: Vec<EntryId> = outcome.sure.iter().map(|&at| id(at)).collect();
                if let [.., before, last] = answers.as_slice() {
                    let text = read.question.clone().unwrap_or_default();
                    context.before = Some(before.clone());
                    context.answered = Some(Answered { entry: last.clone(), text });
                }
            }
            Decision::Answer => {
                context.misses = 0;
                // The list stays on the screen: "第三个呢" may follow.
                if !matches!(read.reading, Reading::Chosen { .. }) {
                    context.offered = listed(1);
                }
                context.asked_back = false;
                context.beside = related.iter().map(|&at| id(at)).collect();
                if let Some(best) = outcome.best() {
                    let entry = id(best.entry);
                    if let Some(answered) = context.answered.take().filter(|answered| answered.entry != entry)
                    {
                        context.before = Some(answered.entry);
                    }
                    let text = read.question.clone().unwrap_or_default();
                    context.answered = Some(Answered { entry, text });
                }
            }
            Decision::Clarify | Decision::Handoff => {
                let asks = outcome.decision == Decision::Clarify;
                if !asks || self.context.asked_back {
                    context.misses = context.misses.saturating_add(1);
                }
                context.offered = if asks { listed(0) } else { Vec::new() };
                context.asked_back = asks;
                context.beside = Vec::new();
                if let Some(answered) = context.answered.take() {
                    context.before = Some(answered.entry);
                }
            }
        }
        let shown: Vec<EntryId> = context.offered.iter().chain(&context.beside).cloned().collect();
        context.show(shown);
        context
    }

    /// Whether a question is the one that was asked before: in the same words,
    /// or with the same answer, which then did not help.
    fn is_again(&self, read: &Read) -> bool {
        let analyzer = self.engine.release().analyzer();
        let key = |text: &str| analyzer.normalize(text).core_key();
        let same_words = match (&self.context.asked, &read.question) {
            (Some(before), Some(now)) => key(before) == key(now),
            _ => false,
        };
        let answered = self.context.answered.as_ref().and_then(|answered| self.available(&answered.entry));
        let best = read.outcome.best().filter(|_| read.outcome.decision == Decision::Answer);
        let same_answer = best.is_some_and(|best| Some(best.entry) == answered);
        // In the light of an answer something else is asked of it.
        same_words || same_answer && !matches!(read.reading, Reading::InLight { .. })
    }
}
