//! What was asked, and how did it go?
//!
//! Events are read twice: first the decisions, then what became of them.
//! Questions in the same words are one [`Asked`] with a count. Everything that
//! somebody said about a question is kept by entry, and where it came from,
//! because a click is not the truth and an agent's choice nearly is.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::error::Result;
use crate::events::{Day, Days, Doing, Event, Kind, Log, Wanted};
use crate::text::exact_key;

/// Reasons that say nothing of a question: somebody wanted a person or was angry,
/// chose from a list, or asked nothing.
const NO_QUESTION: [&str; 11] = [
    "requested",
    "sensitive",
    "angry",
    "with_person",
    "unclear_choice",
    "none_of_these",
    "no_text",
    "no_question",
    "small_talk",
    "closed",
    "withdrawn",
];

/// Shipped rules that hand over because of when it is or who asks: the question may
/// well have no answer. Any other rule that hands over is meant to, whatever the
/// knowledge base holds.
const CIRCUMSTANCES: [&str; 3] = ["outside-hours", "queue", "vip"];

/// The most different replies of agents that are kept of a question.
const REPLIES: usize = 5;

/// What was said for an entry as the answer to a question.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Votes {
    /// Customers took it from a list that was offered.
    pub clicked: u64,
    /// Agents sent its answer.
    pub agents: u64,
    /// Customers said that the answer helped.
    pub solved: u64,
    /// Customers said that it did not, or asked for a person at once.
    pub unsolved: u64,
}

impl Votes {
    /// How much speaks for the entry: an agent knows, a customer guesses.
    pub fn weight(&self) -> f64 {
        2.0 * self.agents as f64 + self.clicked as f64 + self.solved as f64 - 1.5 * self.unsolved as f64
    }
}

/// A question in the same words, however often it was asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Asked {
    /// The words.
    pub text: String,
    /// How often.
    pub count: u64,
    /// How often a person got it because there was no answer.
    pub unanswered: u64,
    /// How often the customer was asked back and took nothing.
    pub asked_back: u64,
    /// How often it was answered.
    pub answered: u64,
    /// Of the answers, those that a customer said did not help, or after which a
    /// person was asked for at once.
    pub disliked: u64,
    /// When it was asked last, in Unix milliseconds.
    pub last: i64,
    /// How often on each day.
    pub days: BTreeMap<Day, u64>,
    /// The entry that it was answered with last.
    pub answer: Option<String>,
    /// What was said for entries.
    pub votes: BTreeMap<String, Votes>,
    /// What agents wrote to those who asked it.
    pub replies: Vec<String>,
}

impl Asked {
    /// Whether an author should look at it.
    pub fn is_open(&self) -> bool {
        let chosen = self.votes.values().any(|votes| votes.clicked + votes.agents > 0);
        self.unanswered + self.asked_back + self.disliked > 0 || chosen
    }

    /// The entry that most was said for, if it was said clearly.
    pub fn confirmed(&self) -> Option<(&str, Votes)> {
        let total: f64 = self.votes.values().map(|votes| votes.weight().max(0.0)).sum();
        let best = self.votes.iter().max_by(|a, b| a.1.weight().total_cmp(&b.1.weight()))?;
        let weight = best.1.weight();
        (weight >= 1.0 && weight >= 0.6 * total).then_some((best.0.as_str(), *best.1))
    }

    /// How often it was asked from one day to another, both counted.
    pub fn between(&self, days: Days) -> u64 {
        self.days.range(days.from..=days.to).map(|(_, count)| count).sum()
    }
}

/// All questions of some days.
#[derive(Debug, Clone, Default)]
pub struct Questions {
    /// Each once, in the order in which they came first.
    pub all: Vec<Asked>,
    /// Decisions without a text: the settings keep none.
    pub wordless: u64,
    /// Nodes whose events are not among them: they could not be asked.
    pub missing: Vec<String>,
}

/// Puts questions together from events.
#[derive(Default)]
pub struct Gathering {
    found: Questions,
    places: HashMap<String, usize>,
    /// By trace id of the decision.
    traces: HashMap<String, usize>,
    /// By conversation, what was asked in it.
    conversations: HashMap<String, Vec<Asking>>,
    /// By trace id: what the customer has said of a decision.
    words: HashMap<String, Word>,
    /// Trace ids of answers after which a person was asked for at once.
    left: HashSet<String>,
}

/// A question of a conversation.
struct Asking {
    at: i64,
    /// Which it is; `None` where it only goes on with the one before.
    place: Option<usize>,
    trace: Option<String>,
    /// What it was answered with, or what was picked instead.
    answer: Option<String>,
}

/// What a customer has said of a decision, whatever they have said before.
#[derive(Debug, Clone, Default)]
struct Word {
    solved: Option<bool>,
    rating: Option<i64>,
    chosen: Option<String>,
}

impl Word {
    fn is_unhappy(&self) -> bool {
        self.solved == Some(false) || self.rating.is_some_and(|stars| stars <= 2)
    }
}

impl Gathering {
    /// Takes a decision. They must come in the order of their conversations.
    pub fn decision(&mut self, event: &Event) {
        let Some(text) = &event.text else {
            self.found.wordless += 1;
            return;
        };
        let decision = event.decision.as_deref().unwrap_or_default();
        let reason = event.reason.as_deref().unwrap_or_default();
        let before = event.conversation.as_ref().and_then(|id| self.conversations.get_mut(id)?.last_mut());
        if let Some(entry) = &event.chosen {
            let Some((place, before)) = before.and_then(|before| Some((before.place?, before))) else {
                return;
            };
            // Whoever has an answer and reads on beside it does not say what was meant.
            if before.answer.is_none() {
                let asked = &mut self.found.all[place];
                asked.votes.entry(entry.clone()).or_default().clicked += 1;
                asked.asked_back = asked.asked_back.saturating_sub(1);
                before.answer = Some(entry.clone());
                if let Some(trace) = &event.trace_id {
                    self.traces.insert(trace.clone(), place);
                }
            }
            return;
        }
        // "那狗呢" says something behind a question and nothing without it; what is picked
        // behind it says as little.
        if event.reading.as_deref() == Some("in_light") {
            if let Some(conversation) = &event.conversation {
                let asking = Asking { at: event.at, place: None, trace: None, answer: None };
                self.conversations.entry(conversation.clone()).or_default().push(asking);
            }
            return;
        }
        let rule = event.rule.as_deref().unwrap_or_default();
        let is_meant = reason == "handoff_rule" && !CIRCUMSTANCES.contains(&rule);
        if NO_QUESTION.contains(&reason) || is_meant {
            let Some(before) = before else { return };
            // A person is wanted right after an answer: it did not help.
            if let (Some(entry), Some(place), "requested") = (before.answer.take(), before.place, reason) {
                self.found.all[place].disliked += 1;
                self.found.all[place].votes.entry(entry).or_default().unsolved += 1;
                self.left.extend(before.trace.take());
            }
            return;
        }
        let next = self.found.all.len();
        let place = *self.places.entry(exact_key(text)).or_insert(next);
        if place == next {
            self.found.all.push(Asked { text: text.clone(), ..Asked::default() });
        }
        let asked = &mut self.found.all[place];
        asked.count += 1;
        asked.last = asked.last.max(event.at);
        *asked.days.entry(Day::of(event.at)).or_default() += 1;
        let mut answer = None;
        match decision {
            "answer" => {
                asked.answered += 1;
                asked.answer.clone_from(&event.entry);
                answer.clone_from(&event.entry);
            }
            "clarify" => asked.asked_back += 1,
            _ => asked.unanswered += 1,
        }
        if let Some(trace) = &event.trace_id {
            self.traces.insert(trace.clone(), place);
        }
        if let Some(conversation) = &event.conversation {
            let asking = Asking { at: event.at, place: Some(place), trace: event.trace_id.clone(), answer };
            self.conversations.entry(conversation.clone()).or_default().push(asking);
        }
    }

    /// Takes what became of a decision; all decisions must have been taken.
    pub fn outcome(&mut self, event: &Event) {
        match event.kind {
            Kind::Feedback => self.said(event),
            Kind::Agent => self.done(event),
            _ => {}
        }
    }

    /// What a customer says of a decision: the last word of each kind counts, once.
    fn said(&mut self, event: &Event) {
        let Some((trace, place)) = event.trace_id.as_ref().and_then(|id| Some((id, *self.traces.get(id)?)))
        else {
            return;
        };
        let before = self.words.get(trace).cloned().unwrap_or_default();
        let now = Word {
            solved: event.solved.or(before.solved),
            rating: event.rating.or(before.rating),
            chosen: event.chosen.clone().or_else(|| before.chosen.clone()),
        };
        let asked = &mut self.found.all[place];
        let answered = event.decision.as_deref() == Some("answer");
        if let (Some(entry), None, false) = (&now.chosen, &before.chosen, answered) {
            asked.votes.entry(entry.clone()).or_default().clicked += 1;
            asked.asked_back = asked.asked_back.saturating_sub(1);
        }
        if let (true, Some(entry)) = (answered, &event.entry) {
            let votes = asked.votes.entry(entry.clone()).or_default();
            let step = |count: &mut u64, before: bool, now: bool| match (before, now) {
                (false, true) => *count += 1,
                (true, false) => *count = count.saturating_sub(1),
                _ => {}
            };
            // Who has asked for a person has said it by that.
            if !self.left.contains(trace) {
                step(&mut votes.unsolved, before.is_unhappy(), now.is_unhappy());
                step(&mut asked.disliked, before.is_unhappy(), now.is_unhappy());
            }
            let is_happy = |word: &Word| !word.is_unhappy() && word.solved == Some(true);
            step(&mut votes.solved, is_happy(&before), is_happy(&now));
        }
        self.words.insert(trace.clone(), now);
    }

    /// What an agent does belongs to the question before it.
    fn done(&mut self, event: &Event) {
        let asked = event.conversation.as_ref().and_then(|id| self.conversations.get(id));
        let before = asked.and_then(|all| all.iter().rev().find(|asking| asking.at <= event.at));
        let Some(place) = before.and_then(|asking| asking.place) else { return };
        let asked = &mut self.found.all[place];
        match event.doing {
            Some(Doing::Proposal) => {
                if let Some(entry) = &event.entry {
                    asked.votes.entry(entry.clone()).or_default().agents += 1;
                }
            }
            Some(Doing::Replied) => {
                if let Some(text) = event.text.as_ref().filter(|text| !text.trim().is_empty())
                    && asked.replies.len() < REPLIES
                    && !asked.replies.contains(text)
                {
                    asked.replies.push(text.clone());
                }
            }
            _ => {}
        }
    }

    /// What was found so far.
    pub fn found(&self) -> &Questions {
        &self.found
    }

    /// What was found.
    pub fn finish(self) -> Questions {
        self.found
    }
}

impl Questions {
    /// Those of a knowledge base in some days.
    ///
    /// # Errors
    /// When events cannot be read.
    pub fn read(log: &Log, kb: &str, days: Days) -> Result<Self> {
        let mut gathering = Gathering::default();
        let wanted = |kinds| Wanted { days, kb: Some(kb), kinds, texts: true, candidates: false };
        let asked = log.read(&wanted(&[Kind::Decision]), |event| gathering.decision(&event))?;
        let said = log.read(&wanted(&[Kind::Feedback, Kind::Agent]), |event| gathering.outcome(&event))?;
        let mut missing = asked.missing;
        missing.extend(said.missing);
        missing.sort();
        missing.dedup();
        Ok(Self { missing, ..gathering.finish() })
    }

    /// How often anything was asked.
    pub fn count(&self) -> u64 {
        self.all.iter().map(|asked| asked.count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Feedback;

    fn decision(trace: &str, conversation: &str, text: &str, decision: &str, reason: &str) -> Event {
        Event {
            trace_id: Some(trace.to_owned()),
            conversation: Some(conversation.to_owned()),
            text: Some(text.to_owned()),
            decision: Some(decision.to_owned()),
            reason: Some(reason.to_owned()),
            entry: Some("a".to_owned()),
            ..Event::now(Kind::Decision, "shop")
        }
    }

    #[test]
    fn what_only_goes_on_with_a_question_is_none() {
        let mut gathering = Gathering::default();
        gathering.decision(&decision("1", "c1", "公猫绝育多少钱", "handoff", "no_match"));
        let goes_on = Event {
            reading: Some("in_light".to_owned()),
            ..decision("2", "c1", "那狗呢", "clarify", "ambiguous")
        };
        gathering.decision(&goes_on);
        gathering.decision(&Event {
            chosen: Some("b".to_owned()),
            ..decision("3", "c1", "第一个", "answer", "chosen")
        });
        let found = gathering.finish();
        assert_eq!(found.all.len(), 1);
        assert_eq!(found.all[0].text, "公猫绝育多少钱");
        assert!(found.all[0].votes.is_empty(), "what was picked was meant for the other message");
    }

    #[test]
    fn the_same_words_are_one_question_and_requests_for_people_are_none() {
        let mut gathering = Gathering::default();
        gathering.decision(&decision("1", "c1", "怎么退货？", "handoff", "no_match"));
        gathering.decision(&decision("2", "c2", "怎么退货", "clarify", "ambiguous"));
        gathering.decision(&decision("3", "c2", "转人工", "handoff", "requested"));
        let found = gathering.finish();
        assert_eq!(found.all.len(), 1);
        assert_eq!((found.all[0].count, found.all[0].unanswered, found.all[0].asked_back), (2, 1, 1));
        assert!(found.all[0].is_open());
    }

    #[test]
    fn a_click_a_proposal_and_a_reply_belong_to_the_question_before_them() {
        let mut gathering = Gathering::default();
        let asked = decision("1", "c1", "钱呢", "clarify", "ambiguous");
        gathering.decision(&asked);
        let chosen = Event { chosen: Some("b".to_owned()), ..decision("2", "c1", "2", "answer", "chosen") };
        gathering.decision(&chosen);
        let click = Feedback { chosen: Some("b".to_owned()), ..Feedback::default() };
        gathering.outcome(&Event::feedback(&asked, click));
        let mut sent = Event::agent("shop", "c1", "小王", Doing::Proposal);
        sent.entry = Some("b".to_owned());
        gathering.outcome(&sent);
        let mut reply = Event::agent("shop", "c1", "小王", Doing::Replied);
        reply.text = Some("三天到账".to_owned());
        gathering.outcome(&reply);
        let found = gathering.finish();
        assert_eq!(found.all.len(), 1);
        let (entry, votes) = found.all[0].confirmed().expect("confirmed");
        assert_eq!((entry, votes.clicked, votes.agents), ("b", 2, 1));
        assert_eq!(found.all[0].replies, ["三天到账"]);
    }

    #[test]
    fn what_is_read_beside_an_answer_says_nothing_of_the_question() {
        let mut gathering = Gathering::default();
        let asked = decision("1", "c1", "怎么退货", "answer", "confident");
        gathering.decision(&asked);
        let chosen =
            Event { chosen: Some("b".to_owned()), ..decision("2", "c1", "第一个", "answer", "chosen") };
        gathering.decision(&chosen);
        let click = Feedback { chosen: Some("b".to_owned()), ..Feedback::default() };
        gathering.outcome(&Event::feedback(&asked, click));
        let found = gathering.finish();
        assert_eq!((found.all.len(), found.all[0].is_open()), (1, false));
        assert!(!found.all[0].votes.contains_key("b"));
    }

    #[test]
    fn an_answer_after_which_a_person_is_wanted_did_not_help() {
        let mut gathering = Gathering::default();
        gathering.decision(&decision("1", "c1", "怎么退货", "answer", "confident"));
        gathering.decision(&decision("2", "c1", "转人工", "handoff", "requested"));
        gathering.decision(&decision("3", "c1", "人工人工", "handoff", "requested"));
        let found = gathering.finish();
        assert_eq!((found.all[0].answered, found.all[0].disliked), (1, 1));
        assert_eq!(found.all[0].votes["a"].unsolved, 1);
        assert!(found.all[0].confirmed().is_none() && found.all[0].is_open());
    }

    #[test]
    fn one_customer_is_one_however_often_they_say_so() {
        let mut gathering = Gathering::default();
        let asked = decision("1", "c1", "怎么退货", "answer", "confident");
        gathering.decision(&asked);
        gathering.decision(&decision("2", "c1", "转人工", "handoff", "requested"));
        let other = decision("3", "c2", "怎么退货", "answer", "confident");
        gathering.decision(&other);
        let says = |of: &Event, solved: Option<bool>, rating: Option<i64>| {
            Event::feedback(of, Feedback { solved, rating, ..Feedback::default() })
        };
        // Who has asked for a person has said it already; who changes their mind says one thing.
        for one in [
            says(&asked, Some(false), None),
            says(&asked, None, Some(1)),
            says(&other, Some(false), None),
            says(&other, None, Some(1)),
            says(&other, Some(true), Some(5)),
        ] {
            gathering.outcome(&one);
        }
        let found = gathering.finish();
        let votes = found.all[0].votes["a"];
        assert_eq!((found.all[0].disliked, votes.unsolved, votes.solved), (1, 1, 1));
    }

    #[test]
    fn what_an_agent_does_belongs_to_the_question_before_it_and_not_to_a_later_one() {
        let mut gathering = Gathering::default();
        let early = decision("1", "c1", "发票抬头错了怎么办", "handoff", "no_match");
        let later =
            Event { at: early.at + 1_000, ..decision("2", "c1", "几点发货", "clarify", "ambiguous") };
        gathering.decision(&early);
        gathering.decision(&later);
        let sent = Event {
            doing: Some(Doing::Proposal),
            entry: Some("invoice-fix".to_owned()),
            conversation: Some("c1".to_owned()),
            ..Event { at: early.at + 500, ..Event::now(Kind::Agent, "shop") }
        };
        gathering.outcome(&sent);
        // Nor is what is said of a decision that is none of these.
        let word = Feedback { solved: Some(false), ..Feedback::default() };
        gathering.outcome(&Event::feedback(&decision("9", "c1", "好的", "answer", "small_talk"), word));
        let found = gathering.finish();
        assert_eq!(found.all[0].votes["invoice-fix"].agents, 1);
        assert!(found.all[1].votes.is_empty(), "{:?}", found.all[1]);
    }

    #[test]
    fn only_the_first_choice_from_a_list_says_what_was_meant() {
        let mut gathering = Gathering::default();
        gathering.decision(&decision("1", "c1", "钱呢", "clarify", "ambiguous"));
        gathering.decision(&decision("2", "c2", "钱呢", "clarify", "ambiguous"));
        for (trace, entry) in [("3", "x"), ("4", "y")] {
            let chosen =
                Event { chosen: Some(entry.to_owned()), ..decision(trace, "c2", "1", "answer", "chosen") };
            gathering.decision(&chosen);
        }
        let found = gathering.finish();
        assert_eq!((found.all[0].votes["x"].clicked, found.all[0].asked_back), (1, 1));
        assert!(!found.all[0].votes.contains_key("y"));
    }

    #[test]
    fn clear_words_win_and_unclear_ones_say_nothing() {
        let mut asked = Asked::default();
        asked.votes.insert("a".to_owned(), Votes { clicked: 3, ..Votes::default() });
        assert_eq!(asked.confirmed().map(|found| found.0), Some("a"));
        asked.votes.insert("b".to_owned(), Votes { agents: 1, ..Votes::default() });
        assert_eq!(asked.confirmed().map(|found| found.0), Some("a"));
        asked.votes.insert("b".to_owned(), Votes { agents: 2, ..Votes::default() });
        assert!(asked.confirmed().is_none());
    }
}
