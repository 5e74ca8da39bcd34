//! Which events count, and where?

use std::collections::{BTreeMap, HashMap};

use super::entries::{self, Entries, Known};
use super::report::{Comment, Counts, Figures, Unanswered};
use super::sessions::{self, Turn};
use crate::events::day::{Day, Days, hour};
use crate::events::record::{Event, Feedback, Kind};

/// What figures are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The day in China.
    Day,
    /// The hour of the day in China.
    Hour,
    /// The channel.
    Channel,
    /// The topic of the best entry.
    Topic,
    /// The best entry.
    Entry,
    /// The release.
    Release,
}

impl By {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Day, Self::Hour, Self::Channel, Self::Topic, Self::Entry, Self::Release];

    /// The word in flags and addresses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Hour => "hour",
            Self::Channel => "channel",
            Self::Topic => "topic",
            Self::Entry => "entry",
            Self::Release => "release",
        }
    }

    /// What a word names.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|by| by.name() == name)
    }

    /// Where an event counts; empty where it says nothing of it.
    fn key(self, event: &Event) -> String {
        match self {
            Self::Day => Day::of(event.at).to_string(),
            Self::Hour => format!("{:02}", hour(event.at)),
            Self::Channel => event.channel.clone().unwrap_or_default(),
            Self::Topic => event.topic.clone().unwrap_or_default(),
            Self::Entry => event.entry.clone().unwrap_or_default(),
            Self::Release => event.release.clone().unwrap_or_default(),
        }
    }
}

/// What a message of a customer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Message {
    /// Asks something.
    Question,
    /// Takes an offered question.
    Choice,
    /// Says that none of those offered was meant.
    NoneOfThese,
    /// Asks nothing.
    Chat,
}

impl Message {
    fn of(event: &Event) -> Self {
        match event.reason.as_deref() {
            Some("chosen") => Self::Choice,
            Some("none_of_these") => Self::NoneOfThese,
            Some("no_text" | "no_question" | "small_talk" | "closed" | "withdrawn" | "unclear_choice") => {
                Self::Chat
            }
            _ => Self::Question,
        }
    }
}

/// Whether an event is a question of a customer.
pub(super) fn asks(event: &Event) -> bool {
    event.kind == Kind::Decision && Message::of(event) == Message::Question
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decided {
    Answered,
    AskedBack,
    HandedOff,
}

/// Words that stand for a number, so that a turn is small.
#[derive(Default)]
pub(super) struct Names {
    numbers: HashMap<String, u32>,
    names: Vec<String>,
}

impl Names {
    pub(super) fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }

    pub(super) fn name(&self, number: u32) -> &str {
        self.names.get(number as usize).map_or("", String::as_str)
    }
}

/// Feedback as it came, slim.
struct Said {
    trace: u128,
    at: i64,
    feedback: Feedback,
    /// When the decision was made that it is about, where it counts, and its entry.
    decided_at: i64,
    group: u32,
    entry: Option<u32>,
    clarify: bool,
}

/// Reasons for which people get a conversation: the customer asks for them, or a word or a
/// rule says so. What the robot cannot answer alone calls nobody.
const CALLS: [&str; 6] =
    ["requested", "sensitive", "angry", "repeated_miss", "repeated_question", "handoff_rule"];

/// A question that got no answer, as others typed it too.
#[derive(Default)]
struct Missed {
    count: u64,
    example: String,
    reason: String,
    entry: Option<u32>,
    last: i64,
}

/// Takes events in and says what they add up to.
pub struct Tally {
    days: Days,
    by: Option<By>,
    names: Names,
    all: Counts,
    groups: HashMap<u32, Counts>,
    conversations: HashMap<String, Vec<Turn>>,
    said: Vec<Said>,
    entries: Entries,
    missed: HashMap<String, Missed>,
    /// The last comments, by the decision that they are about.
    comments: HashMap<u128, Written>,
    lost: u64,
}

/// A comment.
struct Written {
    at: i64,
    text: String,
    entry: Option<u32>,
}

impl Tally {
    /// For the events of some days.
    pub fn new(days: Days, by: Option<By>) -> Self {
        Self {
            days,
            by,
            names: Names::default(),
            all: Counts::default(),
            groups: HashMap::new(),
            conversations: HashMap::new(),
            said: Vec::new(),
            entries: Entries::default(),
            missed: HashMap::new(),
            comments: HashMap::new(),
            lost: 0,
        }
    }

    /// Takes an event in; events of other days may tell how a session went on.
    pub fn take(&mut self, event: &Event) {
        match event.kind {
            Kind::Decision => self.decision(event),
            Kind::Feedback => self.feedback(event),
            Kind::Agent => self.agent(event),
            Kind::Lost if self.days.hold(event.at) => {
                self.lost += u64::try_from(event.count.unwrap_or(0)).unwrap_or(0);
            }
            Kind::Lost | Kind::Ended => {}
        }
    }

    /// Whether an event lies so near to the days that a session of them may hold it.
    fn is_near(&self, at: i64) -> bool {
        Days { from: self.days.from.plus(-1), to: self.days.to.plus(1) }.hold(at)
    }

    fn group(&mut self, event: &Event) -> u32 {
        let key = self.by.map(|by| by.key(event)).unwrap_or_default();
        self.names.number(&key)
    }

    fn decision(&mut self, event: &Event) {
        if !self.is_near(event.at) {
            return;
        }
        let message = Message::of(event);
        let decided = match event.decision.as_deref() {
            Some("answer") => Decided::Answered,
            Some("clarify") => Decided::AskedBack,
            _ => Decided::HandedOff,
        };
        let group = self.group(event);
        let entry = event.entry.as_deref().map(|entry| self.names.number(entry));
        if self.days.hold(event.at) {
            let reason = event.reason.as_deref().unwrap_or_default();
            self.all.decision(message, decided, reason, event.micros);
            if self.by.is_some() {
                self.groups.entry(group).or_default().decision(message, decided, reason, event.micros);
            }
            if let Some(entry) = entry
                && event.conversation.is_none()
                && message == Message::Question
                && decided == Decided::Answered
            {
                self.entries.session(entry);
            }
            if let Some(entry) = entry.filter(|_| decided == Decided::Answered) {
                self.entries.hit(entry, event.at, message == Message::Choice);
            }
            self.miss(event, message, decided, entry);
        }
        if let Some(conversation) = &event.conversation {
            let turn = Turn {
                at: event.at,
                trace: event.trace_id.as_deref().and_then(number_of).unwrap_or(0),
                message,
                decided,
                requested: event.reason.as_deref() == Some("requested"),
                called: event.reason.as_deref().is_some_and(|reason| CALLS.contains(&reason)),
                group,
                entry,
                normal: event.normalized.as_deref().or(event.text.as_deref()).map_or(0, sessions::hash),
                agent: false,
            };
            push(&mut self.conversations, conversation, turn);
        }
    }

    /// Notes a question that got no answer, under the form that others may have typed too.
    fn miss(&mut self, event: &Event, message: Message, decided: Decided, entry: Option<u32>) {
        let reason = event.reason.as_deref().unwrap_or_default();
        let unanswered = message == Message::Question
            && decided != Decided::Answered
            && !matches!(reason, "requested" | "sensitive" | "angry");
        let Some(key) = event.normalized.as_ref().or(event.text.as_ref()).filter(|_| unanswered) else {
            return;
        };
        let missed = self.missed.entry(key.clone()).or_default();
        missed.count += 1;
        if event.at >= missed.last {
            missed.last = event.at;
            missed.entry = entry;
            reason.clone_into(&mut missed.reason);
            event.text.as_ref().unwrap_or(key).clone_into(&mut missed.example);
        }
    }

    fn feedback(&mut self, event: &Event) {
        let Some(trace) = event.trace_id.as_deref().and_then(number_of) else { return };
        // It carries what the decision was; when that was, its id knows.
        let decided_at = crate::events::log::moment_of(trace);
        if !self.is_near(decided_at) {
            return;
        }
        let group = self.group(&Event { at: decided_at, ..event.clone() });
        let entry = event.entry.as_deref().map(|entry| self.names.number(entry));
        if self.days.hold(decided_at) {
            self.comment(trace, event, entry);
        }
        self.said.push(Said {
            trace,
            at: event.at,
            feedback: Feedback { comment: None, ..Feedback::of(event) },
            decided_at,
            group,
            // The nearest entry is not to blame for what it did not answer.
            entry: entry.filter(|_| event.decision.as_deref() == Some("answer")),
            clarify: event.decision.as_deref() == Some("clarify"),
        });
    }

    /// Notes what was written about a decision; of all that, the last of each, and no more
    /// than are listed.
    fn comment(&mut self, trace: u128, event: &Event, entry: Option<u32>) {
        let Some(text) = event.comment.as_ref().filter(|text| !text.trim().is_empty()) else { return };
        if self.comments.get(&trace).is_some_and(|known| known.at > event.at) {
            return;
        }
        self.comments.insert(trace, Written { at: event.at, text: text.clone(), entry });
        // Now and then, so that each costs little.
        if self.comments.len() > 4 * Figures::LISTED {
            let mut times: Vec<i64> = self.comments.values().map(|one| one.at).collect();
            times.sort_unstable_by(|a, b| b.cmp(a));
            let oldest = times[Figures::LISTED - 1];
            self.comments.retain(|_, one| one.at >= oldest);
        }
    }

    /// That a person took part is how a session went on.
    fn agent(&mut self, event: &Event) {
        let Some(conversation) = event.conversation.as_ref().filter(|_| self.is_near(event.at)) else {
            return;
        };
        let turn = Turn { at: event.at, agent: true, ..Turn::default() };
        push(&mut self.conversations, conversation, turn);
    }

    /// What all of them add up to.
    pub fn finish(mut self, known: &[Known]) -> Figures {
        let said = self.last_words();
        for (conversation, mut turns) in std::mem::take(&mut self.conversations) {
            drop(conversation);
            turns.sort_by_key(|turn| turn.at);
            for session in sessions::split(&turns) {
                if !sessions::opening(session).is_some_and(|turn| self.days.hold(turn.at)) {
                    continue;
                }
                let told = sessions::read(session, |trace| said.get(&trace));
                self.all.session(&told);
                if self.by.is_some() {
                    self.groups.entry(told.group).or_default().session(&told);
                }
                self.entries.of_session(&told);
            }
        }
        let (missed, names) = (self.missed, &self.names);
        let mut written: Vec<(u128, Written)> = self.comments.into_iter().collect();
        written.sort_by(|a, b| b.1.at.cmp(&a.1.at).then(a.0.cmp(&b.0)));
        written.truncate(Figures::LISTED);
        let comments = written.into_iter().map(|(trace, one)| {
            let word = said.get(&trace);
            Comment {
                text: one.text,
                entry: one.entry.map(|entry| names.name(entry).to_owned()),
                solved: word.and_then(|word| word.solved),
                rating: word.and_then(|word| word.rating),
                at: crate::events::day::rfc3339(one.at),
            }
        });
        let comments = comments.collect();
        let mut unanswered: Vec<Unanswered> = missed
            .into_values()
            .map(|missed| Unanswered {
                text: missed.example,
                count: missed.count,
                reason: missed.reason,
                entry: missed.entry.map(|entry| names.name(entry).to_owned()),
                last: crate::events::day::rfc3339(missed.last),
            })
            .collect();
        unanswered.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.text.cmp(&b.text)));
        unanswered.truncate(Figures::LISTED);
        let groups: BTreeMap<String, Counts> =
            self.groups.into_iter().map(|(name, counts)| (names.name(name).to_owned(), counts)).collect();
        let entries = self.entries.told(names);
        let cold = entries::cold(known, &entries, self.days);
        Figures {
            days: self.days,
            by: self.by,
            all: self.all,
            groups,
            entries,
            cold,
            unanswered,
            comments,
            lost: self.lost,
        }
    }

    /// What was said of each decision in the end; counts what it adds to on the way.
    fn last_words(&mut self) -> HashMap<u128, Feedback> {
        self.said.sort_by_key(|said| (said.trace, said.at));
        let mut words: HashMap<u128, Feedback> = HashMap::new();
        let said = std::mem::take(&mut self.said);
        for one in &said {
            words.entry(one.trace).or_default().then(one.feedback.clone());
        }
        for one in said.chunk_by(|a, b| a.trace == b.trace).filter_map(<[Said]>::last) {
            if !self.days.hold(one.decided_at) {
                continue;
            }
            let Some(word) = words.get(&one.trace) else { continue };
            self.all.feedback(word, one.clarify);
            if self.by.is_some() {
                self.groups.entry(one.group).or_default().feedback(word, one.clarify);
            }
            let chosen = word.chosen.as_deref().map(|entry| self.names.number(entry));
            self.entries.feedback(one.entry, chosen, word);
        }
        words
    }
}

fn push(conversations: &mut HashMap<String, Vec<Turn>>, conversation: &str, turn: Turn) {
    match conversations.get_mut(conversation) {
        Some(turns) => turns.push(turn),
        None => {
            conversations.insert(conversation.to_owned(), vec![turn]);
        }
    }
}

fn number_of(trace_id: &str) -> Option<u128> {
    u128::from_str_radix(trace_id, 16).ok()
}
