//! How are the figures told?

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::DEFINITIONS;
use super::collect::{By, Decided, Message};
use super::entries::{OfEntry, is_dislike};
use super::sessions::{Solved, Told};
use crate::estimate::Estimate;
use crate::events::day::Days;
use crate::events::drift::Drift;
use crate::events::record::Feedback;
use crate::events::wanted::Read;

/// Plain counts; every share is made of two of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = StatsCounts)]
pub struct Counts {
    /// Messages that ask something.
    pub questions: u64,
    /// Of them: answered.
    pub answered: u64,
    /// Asked back.
    pub clarified: u64,
    /// A person was brought in.
    pub handed_off: u64,
    /// Of those, by reason.
    pub handed_off_by_reason: BTreeMap<String, u64>,
    /// Of those: held a word that only a person may answer.
    pub refused: u64,
    /// Messages that ask nothing: small talk, thanks, a farewell.
    pub chat: u64,
    /// Choices among offered questions.
    pub choices: u64,
    /// Askings-back after which one of the offered questions was taken.
    pub clicked: u64,
    /// After which the customer said that none was meant.
    pub none_of_these: u64,
    /// Questions in sessions.
    pub in_sessions: u64,
    /// Of them: repeat an earlier one of the session.
    pub repeated: u64,
    /// Sessions.
    pub sessions: u64,
    /// With an answer and without any transfer.
    pub independent: u64,
    /// In which a person was brought in after the first message.
    pub transferred: u64,
    /// Whose first message asks for a person.
    pub requested_first: u64,
    /// Solved, as the customer says.
    pub solved_confirmed: u64,
    /// Solved, as nothing speaks against it.
    pub solved_assumed: u64,
    /// Neither.
    pub unsolved: u64,
    /// Solved by the answer to the first and only question.
    pub first_answer: u64,
    /// Decisions of which the customer says that they helped.
    pub said_solved: u64,
    /// That they did not.
    pub said_unsolved: u64,
    /// Decisions that were rated.
    pub rated: u64,
    /// The sum of their stars.
    pub stars: u64,
    /// Rated with 4 or 5 stars.
    pub satisfied: u64,
    /// Not helped, or one or two stars.
    pub disliked: u64,
    #[serde(skip)]
    micros: Vec<u32>,
}

impl Counts {
    pub(super) fn decision(&mut self, message: Message, decided: Decided, reason: &str, micros: Option<i64>) {
        if let Some(micros) = micros.and_then(|micros| u32::try_from(micros).ok()) {
            self.micros.push(micros);
        }
        match message {
            Message::Chat => self.chat += 1,
            Message::Choice | Message::NoneOfThese => self.choices += 1,
            Message::Question => {
                self.questions += 1;
                self.refused += u64::from(reason == "sensitive");
                match decided {
                    Decided::Answered => self.answered += 1,
                    Decided::AskedBack => self.clarified += 1,
                    Decided::HandedOff => {
                        self.handed_off += 1;
                        *self.handed_off_by_reason.entry(reason.to_owned()).or_default() += 1;
                    }
                }
            }
        }
    }

    pub(super) fn session(&mut self, told: &Told) {
        if told.questions == 0 {
            return;
        }
        self.sessions += 1;
        self.in_sessions += told.questions;
        self.repeated += told.repeats;
        self.clicked += told.clicks;
        self.none_of_these += told.none_of_these;
        self.independent += u64::from(told.answered && !told.transferred && !told.requested_first);
        self.transferred += u64::from(told.transferred);
        self.requested_first += u64::from(told.requested_first);
        self.first_answer += u64::from(told.at_once);
        match told.solved {
            Solved::Confirmed => self.solved_confirmed += 1,
            Solved::Assumed => self.solved_assumed += 1,
            Solved::No => self.unsolved += 1,
        }
    }

    pub(super) fn feedback(&mut self, word: &Feedback, clarify: bool) {
        self.said_solved += u64::from(word.solved == Some(true));
        self.said_unsolved += u64::from(word.solved == Some(false));
        self.disliked += u64::from(is_dislike(word));
        self.clicked += u64::from(clarify && word.chosen.is_some());
        if let Some(stars) = word.rating.and_then(|stars| u64::try_from(stars).ok()) {
            self.rated += 1;
            self.stars += stars;
            self.satisfied += u64::from(stars >= 4);
        }
    }

    /// Numerator and denominator of each share, in the order of [`DEFINITIONS`].
    fn shares(&self) -> [(u64, u64); 17] {
        let contained = self.sessions - self.sessions.min(self.transferred + self.requested_first);
        [
            (self.answered, self.questions),
            (self.clarified, self.questions),
            (self.handed_off, self.questions),
            (self.refused, self.questions),
            (self.answered + self.clarified, self.questions),
            (self.clicked.min(self.clarified), self.clarified),
            (self.none_of_these.min(self.clarified), self.clarified),
            (self.repeated, self.in_sessions),
            (self.independent, self.sessions),
            (self.transferred, self.sessions),
            (self.requested_first, self.sessions),
            (contained, self.sessions),
            (self.solved_confirmed, self.sessions),
            (self.solved_assumed, self.sessions),
            (self.unsolved, self.sessions),
            (self.first_answer, self.sessions),
            (self.satisfied, self.rated),
        ]
    }

    fn latency(&mut self) -> Option<Latency> {
        self.micros.sort_unstable();
        let rank = |percent: usize| {
            let at = (self.micros.len() * percent).div_ceil(100).max(1) - 1;
            self.micros.get(at).copied()
        };
        Some(Latency { p50: rank(50)?, p95: rank(95)?, p99: rank(99)? })
    }
}

/// Times from text to decision in microseconds, by nearest rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = StatsLatency)]
pub struct Latency {
    /// Half of the messages took at most this.
    pub p50: u32,
    /// 95 in 100 did.
    pub p95: u32,
    /// 99 in 100 did.
    pub p99: u32,
}

/// A share with all that it takes to quarrel about it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Share {
    /// What counts.
    pub numerator: u64,
    /// Out of these.
    pub denominator: u64,
    /// Their quotient; `null` of nothing.
    pub value: Option<f64>,
    /// Wilson's 95 % interval.
    pub interval: Option<[f64; 2]>,
    /// The value of as many days before.
    pub before: Option<f64>,
    /// How much it grew since.
    pub change: Option<f64>,
}

impl Share {
    fn new((numerator, denominator): (u64, u64), before: Option<(u64, u64)>) -> Self {
        let size = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let estimate = |(hits, n): (u64, u64)| Estimate::share(size(hits), size(n));
        let told = estimate((numerator, denominator));
        let value = told.map(|told| told.value);
        let before = before.and_then(estimate).map(|told| told.value);
        Self {
            numerator,
            denominator,
            value,
            interval: told.map(|told| [told.low, told.high]),
            before,
            change: value.zip(before).map(|(value, before)| value - before),
        }
    }
}

/// The figures of one group.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = StatsGroup)]
pub struct Group {
    /// The day, hour, channel …; empty where an event does not say it.
    pub key: String,
    /// The plain counts.
    pub counts: Counts,
    /// The shares by their names.
    #[serde(serialize_with = "by_name")]
    #[schema(value_type = BTreeMap<String, Share>)]
    pub shares: Vec<(&'static str, Share)>,
    /// Questions of as many days before.
    pub questions_before: u64,
    /// The mean of the stars.
    pub rating: Option<f64>,
    /// Times.
    pub latency_us: Option<Latency>,
}

fn by_name<S: Serializer>(shares: &[(&'static str, Share)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(shares.iter().map(|(name, share)| (name, share)))
}

impl Group {
    fn new(key: &str, mut counts: Counts, before: Option<&Counts>) -> Self {
        let then = before.map(Counts::shares);
        let shares = counts.shares().into_iter().enumerate().zip(DEFINITIONS);
        let shares = shares
            .map(|((at, share), (name, ..))| (name, Share::new(share, then.map(|then| then[at]))))
            .collect();
        let latency_us = counts.latency();
        Self {
            key: key.to_owned(),
            shares,
            questions_before: before.map_or(0, |before| before.questions),
            rating: (counts.rated > 0).then(|| counts.stars as f64 / counts.rated as f64),
            latency_us,
            counts,
        }
    }

    /// A share by its name.
    pub fn share(&self, name: &str) -> Option<&Share> {
        self.shares.iter().find(|(known, _)| *known == name).map(|(_, share)| share)
    }
}

/// A question that got no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = UnansweredQuestion)]
pub struct Unanswered {
    /// As it was typed last, masked as the settings want.
    pub text: String,
    /// How often it was asked.
    pub count: u64,
    /// Why it was not answered the last time.
    pub reason: String,
    /// The entry that came nearest.
    pub entry: Option<String>,
    /// When it was asked last, RFC 3339.
    pub last: String,
}

/// What somebody wrote about a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = FeedbackComment)]
pub struct Comment {
    /// As it was written, masked as the settings want.
    pub text: String,
    /// The entry that it was answered with, or that came nearest.
    pub entry: Option<String>,
    /// Whether the customer says that it helped.
    pub solved: Option<bool>,
    /// Stars, 1 to 5.
    pub rating: Option<i64>,
    /// When it was written, RFC 3339.
    pub at: String,
}

/// What a [`super::Tally`] adds up to.
pub struct Figures {
    pub(super) days: Days,
    pub(super) by: Option<By>,
    pub(super) all: Counts,
    pub(super) groups: BTreeMap<String, Counts>,
    pub(super) entries: Vec<OfEntry>,
    pub(super) cold: Vec<String>,
    pub(super) unanswered: Vec<Unanswered>,
    pub(super) comments: Vec<Comment>,
    pub(super) lost: u64,
}

impl Figures {
    /// The most unanswered questions, and comments, that are listed.
    pub const LISTED: usize = 50;
}

/// The figures of a knowledge base in some days.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Stats {
    /// The knowledge base.
    pub kb: String,
    /// The first day, +08:00.
    pub from: String,
    /// The last day.
    pub to: String,
    /// What the groups are told apart by.
    pub by: Option<&'static str>,
    /// All together.
    pub all: Group,
    /// Each group; days and hours in order, the others by questions.
    pub groups: Vec<Group>,
    /// Each entry that was answered with, those of most sessions first.
    pub entries: Vec<OfEntry>,
    /// Entries that may be found, were there for 30 days, and that nobody was answered with.
    pub cold: Vec<String>,
    /// The questions that got no answer most often.
    pub unanswered: Vec<Unanswered>,
    /// What was written about answers of these days, the last first; at most 50.
    pub comments: Vec<Comment>,
    /// Days that left the band of the days before them, the last one first.
    pub drift: Vec<Drift>,
    /// Events that could not be stored: the figures lack them.
    pub lost: u64,
    /// Records that were torn or damaged: the figures lack them too.
    pub damaged: u64,
    /// Nodes whose events the figures lack: they could not be asked.
    pub missing_nodes: Vec<String>,
    /// What each share means.
    pub definitions: BTreeMap<&'static str, &'static str>,
}

impl Stats {
    pub(super) fn new(kb: &str, read: Read, now: Figures, then: Figures, drift: Vec<Drift>) -> Self {
        let comparable = !matches!(now.by, Some(By::Day));
        let mut groups: Vec<Group> = now
            .groups
            .into_iter()
            .map(|(key, counts)| {
                let before = then.groups.get(&key).filter(|_| comparable);
                Group::new(&key, counts, before)
            })
            .collect();
        if !matches!(now.by, Some(By::Day | By::Hour)) {
            groups
                .sort_by(|a, b| b.counts.questions.cmp(&a.counts.questions).then_with(|| a.key.cmp(&b.key)));
        }
        Self {
            kb: kb.to_owned(),
            from: now.days.from.to_string(),
            to: now.days.to.to_string(),
            by: now.by.map(By::name),
            all: Group::new("", now.all, Some(&then.all)),
            groups,
            entries: now.entries,
            cold: now.cold,
            unanswered: now.unanswered,
            comments: now.comments,
            drift,
            lost: now.lost,
            damaged: read.damaged,
            missing_nodes: read.missing,
            definitions: DEFINITIONS.iter().map(|(name, english, _)| (*name, *english)).collect(),
        }
    }
}
