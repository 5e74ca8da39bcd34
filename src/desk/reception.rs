//! What happens when a customer says something?
//!
//! Nobody else's message of the same conversation is worked on meanwhile: within
//! a process by a lock, between processes because what comes of it is recorded
//! only if the conversation is as it was looked at. Whoever was slower looks
//! again, and sees what the other one has recorded.

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::{Desk, platforms};
use crate::decide::{Decision, Reason};
use crate::dialogue::conversation::{Line, Owner, Role, customer_id};
use crate::dialogue::handoff::{URGENT, is_urgent};
use crate::dialogue::rules::{Action, Fired};
use crate::dialogue::ruling::{Ruled, under_rules};
use crate::dialogue::voice::Related;
use crate::dialogue::{
    Context, Facts, Message, Named, Reading, Service, Standing, Turn, take_turn, withdrawal,
};
use crate::engine::{Answer, Engine, HandoffReply, Options, Outcome, Reply, Suggestion, Trace};
use crate::error::{Error, QuestionError, Result, failed};
use crate::store::{Channel, Conversation, Heard, Job, NewLine, Place};

/// A message of a customer.
#[derive(Clone, Copy)]
pub struct Incoming<'a> {
    /// What answers.
    pub engine: &'a Engine,
    /// How the knowledge base serves.
    pub service: &'a Service,
    /// The client's name for the conversation.
    pub session: &'a str,
    /// The words.
    pub text: &'a str,
    /// The entry that the customer pressed.
    pub choice: Option<&'a str>,
    /// Where the customer is.
    pub channel: Option<&'a str>,
    /// What the client says of the customer.
    pub customer: Option<&'a Map<String, Value>>,
    /// How it is to be answered.
    pub options: Options<'a>,
    /// Whether the robot may answer it. Where it may not, people hear what is for them, also
    /// of those who wait, whoever waits may leave the queue, and who needs a person gets one.
    pub may_ask: bool,
    /// Whether the reply tells what every stage saw.
    pub explain: bool,
    /// The client's name for the message: the same one is not heard twice.
    pub client_id: Option<&'a str>,
    /// The platform that it came through, and where on it, as JSON.
    pub via: Option<(&'a Channel, &'a str)>,
}

/// What came of it.
#[derive(Debug, Clone)]
pub enum Said {
    /// The robot replied.
    Replied(Box<Turned>),
    /// The same message was heard before; this was replied then.
    Again(Value),
    /// A person has the conversation, or will have it, and the message.
    WithPerson(WithPerson),
}

/// A turn of the robot.
#[derive(Debug, Clone)]
pub struct Turned {
    /// What is replied.
    pub reply: Reply,
    /// What it was made of.
    pub outcome: Outcome,
    /// How the message was read, unless a rule took it unread.
    pub reading: Option<&'static str>,
    /// The handoff rule that fired.
    pub rule: Option<String>,
    /// The entry that the customer chose of those that were offered.
    pub chosen: Option<String>,
    /// The customer's id, where the client or the platform knows one.
    pub customer: Option<String>,
}

/// What was asked, for whoever keeps it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The client's name for the conversation.
    pub session: Option<&'a str>,
    /// The words.
    pub text: &'a str,
    /// Where the customer is.
    pub channel: Option<&'a str>,
}

/// A message that a person will read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithPerson {
    /// Who has the conversation: [`Owner::Agent`], or [`Owner::Queued`] where people will
    /// read what is said and the robot may not answer.
    pub owner: Owner,
    /// The client's name for the conversation.
    pub session: String,
    /// The number of the message in it.
    pub seq: i64,
    /// The handoff.
    pub handoff: Option<String>,
}

/// Whoever was slower so many times in a row gives up.
pub(super) const TRIES: usize = 20;

impl Desk {
    /// Takes a message of a customer.
    ///
    /// # Errors
    /// [`Error::Question`] when the text is blank or too long, or a choice was not
    /// offered, or the robot may not answer; [`Error::Conflict`] when others changed the conversation all the time.
    pub fn hear(&self, incoming: &Incoming<'_>) -> Result<Said> {
        let kb = &incoming.engine.release().manifest().kb;
        let _mine = self.place(kb, incoming.session);
        for _ in 0..TRIES {
            let known = self.talk().find(kb, incoming.session)?;
            if let (Some(known), Some(client_id)) = (&known, incoming.client_id) {
                let before = self.talk().heard_before(known.key, client_id)?;
                if let Some(first) = before.first() {
                    return Ok(repeated(known, first, &before));
                }
            }
            let said = match &known {
                Some(known) if known.owner == Owner::Agent => self.pass_on(known, incoming)?,
                known => self.answer(kb, known.as_ref(), incoming)?,
            };
            if let Some(said) = said {
                return Ok(said);
            }
        }
        Err(Error::Conflict(format!(
            "conversation {:?} changes all the time; send the message again",
            incoming.session
        )))
    }

    /// Records a message for the person who has the conversation, or will have it.
    fn pass_on(&self, known: &Conversation, incoming: &Incoming<'_>) -> Result<Option<Said>> {
        if incoming.text.trim().is_empty() {
            return Err(QuestionError::Blank.into());
        }
        let heard = Heard {
            lines: vec![customer_line(incoming)],
            channel: incoming.channel,
            address: incoming.via.map(|(_, address)| address),
            ..Heard::of(Place::Known(known), self.now(), known.owner)
        };
        let recorded = self.talk().record(&heard)?;
        Ok(recorded.map(|now| {
            Said::WithPerson(WithPerson {
                owner: now.owner,
                session: now.id,
                seq: known.last_seq + 1,
                handoff: known.handoff.clone(),
            })
        }))
    }

    /// Has the robot take its turn; `None` when somebody was faster.
    fn answer(
        &self,
        kb: &str,
        known: Option<&Conversation>,
        incoming: &Incoming<'_>,
    ) -> Result<Option<Said>> {
        let (engine, service, now) = (incoming.engine, incoming.service, self.now());
        let context = known
            .and_then(|known| known.context.as_deref())
            .and_then(|text| serde_json::from_str::<Context>(text).ok())
            .unwrap_or_default()
            .at(now, self.settings().expires);
        let waiting = self.talk().waiting(kb)?;
        let customer = match (incoming.customer, known.and_then(|known| known.customer.as_deref())) {
            (Some(fields), _) => Some(fields.clone()),
            (None, Some(text)) => serde_json::from_str(text).ok(),
            (None, None) => None,
        };
        let mut facts = Facts::of(incoming.text);
        facts.channel = incoming.channel.or_else(|| known?.channel.as_deref());
        facts.fields = customer.as_ref();
        facts.standing = Some(standing(&context));
        facts.queue = usize::try_from(waiting).ok();
        facts.now = moment(now);
        // Counting takes time, so nobody asks who does not need it.
        let pressed = incoming.choice.is_some() && service.voice.quick_questions.entries.is_empty();
        let needed = pressed || service.voice.related == Related::Asked;
        let habits = if needed { self.habits(kb) } else { None };
        let message = Message {
            text: incoming.text,
            choice: incoming.choice,
            options: incoming.options,
            voice: &service.voice,
            habits: habits.as_deref(),
        };
        let queued = known.filter(|known| known.owner == Owner::Queued);
        let silent =
            queued.is_some() && incoming.via.is_some_and(|(channel, _)| platforms::has_people(channel));
        // Where the people are a platform's own, they read it and let the customer go.
        let withdraws = queued.is_some()
            && !silent
            && incoming.choice.is_none()
            && withdrawal::is_one(facts.written(), &context);
        if !incoming.may_ask
            && !withdraws
            && let Some(queued) = queued
        {
            return self.pass_on(queued, incoming);
        }
        let ruled = if withdraws {
            // No rule may hold somebody who wants to go.
            Ruled::unruled(withdrawal::turn(&context), |turn| turn.outcome.clone())
        } else {
            under_rules(
                engine,
                service,
                facts,
                incoming.explain,
                || {
                    let turn = take_turn(engine, &context, &message, incoming.explain)?;
                    Ok(if queued.is_some() { turn.of_one_who_waits() } else { turn })
                },
                |turn: &Turn| (&turn.outcome, Some(standing(&turn.context))),
            )?
        };
        let queued = queued.filter(|_| !withdraws);
        let replaces = |fired: &Fired| fired.action != Action::AnswerThenHandoff;
        let next = match &ruled.asked {
            // The customer has not seen the list that a rule put something else in place of.
            Some(turn) if ruled.fired.as_ref().is_some_and(replaces) => {
                turn.context.clone().without_list(&context)
            }
            Some(turn) => turn.context.clone(),
            // What the engine has not seen is a message all the same.
            None => Context { turns: context.turns.saturating_add(1), ..context.clone() },
        };
        let next = Context { last_at: now, ..next };
        let course = course(&ruled, service, queued.is_some(), now);
        if !withdraws && !incoming.may_ask && course == Course::Go {
            return Err(QuestionError::NoneLeft.into());
        }
        let handoff = (course == Course::Queue)
            .then(|| self.handoff(known, &context, incoming, &ruled, customer.as_ref()))
            .transpose()?;
        // People see it at once, wherever the customer stands in the queue.
        let sensitive = |fired: &Fired| fired.as_reason() == URGENT;
        let urgent = queued.is_some()
            && (ruled.outcome.reason == URGENT || ruled.fired.as_ref().is_some_and(sensitive));
        let standing = match (&handoff, queued) {
            (Some(new), _) => Some(Stands {
                id: new.id.clone(),
                position: self.talk().place(kb, None, is_urgent(&new.reason))?,
                reason: new.reason.clone(),
                rule: new.rule.clone(),
            }),
            (None, Some(queued)) => self.stands(queued, urgent)?,
            (None, None) => None,
        };
        let mut reply = composed(incoming, &ruled, service, course, &standing, now);
        if let (Some(stands), Some(handoff)) = (&standing, &mut reply.handoff) {
            handoff.estimated_wait_s = self.estimated_wait(kb, stands.position)?;
        }
        let owner = if standing.is_some() { Owner::Queued } else { Owner::Bot };
        reply.owner = Some(owner.name());
        let mut lines = vec![customer_line(incoming)];
        if !silent {
            lines.push(bot_line(&reply, incoming.client_id.is_some()));
        }
        let jobs = match incoming.via {
            Some((channel, address)) if !silent => {
                platforms::jobs(channel, address, incoming.session, &reply, handoff.as_ref())
            }
            _ => Vec::<Job>::new(),
        };
        let text = customer.as_ref().map(|fields| Value::Object(fields.clone()).to_string());
        let (via, address) = incoming
            .via
            .map_or((None, None), |(channel, address)| (Some(channel.id.as_str()), Some(address)));
        let heard = Heard {
            urgent,
            place: match known {
                Some(known) => Place::Known(known),
                None => Place::New { kb, id: incoming.session, via, address },
            },
            at: now,
            lines,
            context: Some(serde_json::to_string(&next).map_err(|e| Error::internal("context", e))?),
            channel: incoming.channel,
            customer: text.as_deref(),
            address,
            owner,
            handoff,
            jobs,
        };
        let is_robots = course == Course::Go && known.is_none_or(|known| known.owner == Owner::Bot);
        match self.talk().record(&heard) {
            Ok(Some(_)) if owner != Owner::Bot || withdraws || incoming.via.is_some() => self.wake(),
            Ok(Some(_)) => {}
            Ok(None) => return Ok(None),
            // A disk without room keeps no conversation; what the robot can answer by itself it
            // answers, and no session says that nothing was kept. Nobody could be called so, and
            // what goes through a channel waits for its turn there.
            Err(e) if e.disk().is_some() && is_robots && incoming.via.is_none() => {
                failed!(e, session = incoming.session, "a message was answered and not kept");
                (reply.session, reply.owner) = (None, None);
            }
            Err(e) => return Err(e),
        }
        let reading = ruled.asked.as_ref().map(|turn| &turn.reading);
        let chosen = match reading {
            // What was pressed elsewhere says nothing of the question before it.
            Some(Reading::Chosen { entries, by }) if *by != Named::Menu => {
                entries.first().map(ToString::to_string)
            }
            _ => None,
        };
        let turned = Turned {
            reply,
            reading: reading.map(Reading::name),
            rule: ruled.fired.map(|fired| fired.rule),
            chosen,
            customer: customer.as_ref().and_then(customer_id),
            outcome: ruled.outcome,
        };
        Ok(Some(Said::Replied(Box::new(turned))))
    }

    /// The place of a conversation in the queue, from 1 on, and how many seconds it will
    /// probably wait; `None` when it does not wait.
    pub fn waits(&self, known: &Conversation) -> Result<Option<(i64, Option<i64>)>> {
        if known.owner != Owner::Queued {
            return Ok(None);
        }
        let Some(Stands { position, .. }) = self.stands(known, false)? else { return Ok(None) };
        Ok(Some((position, self.estimated_wait(&known.kb, position)?)))
    }

    /// Where somebody stands who waits; who has just said something urgent stands among the
    /// urgent ones.
    fn stands(&self, queued: &Conversation, urgent: bool) -> Result<Option<Stands>> {
        let Some(id) = &queued.handoff else { return Ok(None) };
        let Some(handoff) = self.talk().handoff(id)? else { return Ok(None) };
        let is_urgent = urgent || handoff.is_urgent();
        let position = self.talk().place(&queued.kb, Some(handoff.number), is_urgent)?;
        let reason = if urgent { URGENT.name().to_owned() } else { handoff.reason };
        Ok(Some(Stands { id: id.clone(), position, reason, rule: handoff.rule }))
    }
}

/// Where somebody stands in the queue, and why a person was called.
struct Stands {
    /// The handoff.
    id: String,
    /// The place, from 1 on.
    position: i64,
    reason: String,
    rule: Option<String>,
}

impl Stands {
    fn reason(&self) -> Reason {
        match &self.rule {
            Some(_) => Reason::of_rule(&self.reason),
            // Whoever presses the button for a person asks for one.
            None => Reason::named(&self.reason).unwrap_or(Reason::Requested),
        }
    }
}

/// What rules know of a conversation.
fn standing(context: &Context) -> Standing {
    Standing { misses: context.misses, repeats: context.repeats }
}

/// Where a turn leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    /// The robot goes on.
    Go,
    /// The conversation goes to people.
    Queue,
    /// Nobody is there: the customer is offered to leave the question.
    Leave,
    /// It waits for people already.
    Waits,
}

/// Where a turn leads. A question that the robot cannot answer alone is told so,
/// and the customer may ask again; people get a conversation when the customer
/// asks for them, or a word or a rule says so.
fn course<T>(ruled: &Ruled<T>, service: &Service, queued: bool, now: i64) -> Course {
    let given = match &ruled.fired {
        Some(Fired { action: Action::Handoff | Action::AnswerThenHandoff, .. }) => true,
        Some(Fired { action: Action::Ticket, .. }) => return Course::Leave,
        Some(Fired { action: Action::Answer { .. }, .. }) => false,
        None => {
            ruled.outcome.decision == Decision::Handoff
                && matches!(ruled.outcome.reason, Reason::Requested | Reason::Sensitive)
        }
    };
    if queued {
        return Course::Waits;
    }
    if !given {
        return Course::Go;
    }
    if service.is_left(moment(now)) { Course::Leave } else { Course::Queue }
}

/// The reply of a turn in a conversation.
fn composed(
    incoming: &Incoming<'_>,
    ruled: &Ruled<Turn>,
    service: &Service,
    course: Course,
    standing: &Option<Stands>,
    now: i64,
) -> Reply {
    let engine = incoming.engine;
    let turn = ruled.asked.as_ref();
    let trace = incoming.explain.then(|| {
        // A rule that took the message has spared the search; what it would have
        // seen is told all the same.
        let trace = match turn {
            Some(turn) => turn.trace.clone().unwrap_or_default(),
            None => {
                engine.explain(incoming.text, incoming.options).map(|(_, trace)| trace).unwrap_or_default()
            }
        };
        let reading = trace.reading.clone().or_else(|| Some(turn?.reading.traced()));
        Trace { reading, rules: serde_json::to_value(ruled.trace()).ok(), ..trace }
    });
    let mut reply = Reply::new(engine, &ruled.outcome, incoming.channel, trace);
    if turn.is_some_and(|turn| matches!(turn.reading, Reading::InLight { .. }))
        && ruled.outcome.reason.is_scored()
    {
        reply.goal = (&engine.policy(ruled.outcome.generation).in_light()).into();
    }
    let voice = &service.voice;
    let fired = ruled.fired.as_ref();
    reply.session = Some(incoming.session.to_owned());
    let words = turn.and_then(|turn| voice.words(&turn.reading, &ruled.outcome));
    let rule_words = fired.and_then(|fired| fired.message.clone());
    reply.message = match course {
        Course::Queue => Some(rule_words.unwrap_or_else(|| voice.handed_off.clone())),
        Course::Leave => Some(rule_words.unwrap_or_else(|| voice.outside_hours.clone())),
        // Who is in danger is told what to do, wherever they wait.
        Course::Waits if reply.decision == Decision::Handoff => {
            let urgent = fired.is_some_and(|fired| fired.as_reason() == Reason::Sensitive);
            rule_words.filter(|_| urgent).or_else(|| Some(voice.handed_off.clone()))
        }
        // What the author says to small talk of their own is no word of the queue.
        Course::Waits if turn.is_some_and(|turn| matches!(turn.reading, Reading::Phrase(_))) => {
            let own = rule_words.or(words);
            own.map(|own| format!("{own}\n{}", voice.handed_off))
        }
        Course::Go | Course::Waits => rule_words.or(words),
    };
    if let Some(Fired { action: Action::Answer { text }, .. }) = fired {
        reply.message = Some(text.clone());
    }
    // Small talk and a rule's own text are answers that no entry has.
    if reply.decision == Decision::Answer
        && reply.answer.is_none()
        && let Some(text) = reply.message.take()
    {
        reply.answer = Some(Answer::of_words(text));
    }
    if let Some(turn) = turn.filter(|turn| !turn.related.is_empty()) {
        let entries = engine.release().entries();
        let related = turn.related.iter().filter_map(|&at| entries.get(at)).map(|entry| Suggestion {
            entry: entry.id.to_string(),
            question: entry.question.clone(),
            confidence: 0.0,
        });
        reply.related = Some(related.collect());
    }
    let asks = standing.is_some() || course == Course::Leave;
    if asks && reply.handoff.is_none() {
        // Answered, and a person comes all the same.
        reply.handoff = Some(HandoffReply::new(ruled.outcome.reason, Vec::new()));
    }
    if let Some(handoff) = &mut reply.handoff {
        if let Some(fired) = fired {
            handoff.rule = Some(fired.rule.clone());
            handoff.code = Some(fired.reason.clone());
        }
        if let Some(stands) = standing {
            handoff.id = Some(stands.id.clone());
            handoff.position = Some(stands.position);
            // Whoever waits does so for the reason that a person was called for, whatever
            // they say meanwhile.
            if course == Course::Waits {
                handoff.reason = stands.reason();
                handoff.rule.clone_from(&stands.rule);
                handoff.code = stands.rule.is_some().then(|| stands.reason.clone());
            }
        }
        if course == Course::Leave {
            handoff.ticket = serde_json::to_value(&service.ticket).ok();
            handoff.opens_at = service.opens_at(moment(now));
        }
    }
    reply
}

fn customer_line(incoming: &Incoming<'_>) -> NewLine {
    let data = incoming.choice.map(|choice| json!({"choice": choice}).to_string());
    NewLine {
        client_id: incoming.client_id.map(str::to_owned),
        data,
        ..NewLine::of(Role::Customer, incoming.text)
    }
}

/// What the customer reads of a reply.
pub fn words(reply: &Reply) -> String {
    let mut parts: Vec<&str> = reply.given().iter().map(|answer| answer.text.as_str()).collect();
    parts.extend(reply.message.as_deref());
    parts.join("\n\n")
}

/// The pictures and links beside the words of a reply, as fields: `images`, `links`.
pub fn shown(reply: &Reply) -> Map<String, Value> {
    let (images, links) = reply.shown();
    let fields = [("images", json!(images)), ("links", json!(links))];
    let there = fields.into_iter().filter(|(_, list)| list.as_array().is_some_and(|list| !list.is_empty()));
    there.map(|(name, list)| (name.to_owned(), list)).collect()
}

/// The robot's line. With a name of the client's for the message the whole reply is
/// kept, to be given again.
fn bot_line(reply: &Reply, keep: bool) -> NewLine {
    let suggestions: Vec<Value> =
        reply.to_choose().iter().map(|one| json!({"entry": one.entry, "question": one.question})).collect();
    let mut data = Map::new();
    if let Some(answer) = reply.answer.as_ref().filter(|answer| !answer.entry.is_empty()) {
        data.insert("entry".to_owned(), json!(answer.entry));
        data.insert("question".to_owned(), json!(answer.question));
    }
    if !suggestions.is_empty() {
        data.insert("suggestions".to_owned(), Value::Array(suggestions));
    }
    data.extend(shown(reply));
    if keep {
        let mut whole = serde_json::to_value(reply).unwrap_or_default();
        if let Some(fields) = whole.as_object_mut() {
            fields.remove("explain");
        }
        data.insert("reply".to_owned(), whole);
    }
    NewLine {
        trace_id: Some(reply.trace_id.clone()),
        decision: Some(reply.decision.name().to_owned()),
        data: (!data.is_empty()).then(|| Value::Object(data).to_string()),
        ..NewLine::of(Role::Bot, words(reply))
    }
}

/// What was replied to a message when it was heard first.
fn repeated(known: &Conversation, first: &Line, lines: &[Line]) -> Said {
    let reply = lines.iter().find_map(|line| line.data.as_ref()?.get("reply").cloned());
    match reply {
        Some(reply) => Said::Again(reply),
        None => Said::WithPerson(WithPerson {
            owner: known.owner,
            session: known.id.clone(),
            seq: first.seq,
            handoff: known.handoff.clone(),
        }),
    }
}

/// The moment of so many milliseconds since 1970 (UTC).
pub(super) fn moment(millis: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
