//! What was asked, and how did it go?
//!
//! Events are read twice: first the decisions, then what became of them.
//! Questions in the same words are one [`Asked`] with a count. Everything that
//! somebody said about a question is kept by entry, and where it came from,
//! because a click is not the truth and an agent's choice nearly is.

use std::collections::{BTreeMap, HashMap};

use crate::error::Result;
use crate::events::{Day, Days, Doing, Event, Kind, Log, Wanted};
use crate::text::exact_key;

/// Reasons that say nothing of a question: somebody wanted a person or was angry,
/// chose from a list, or asked nothing.
const NO_QUESTION: [&str; 12] = [
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
    "rule",
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
    /// By conversation: the last question, and what it was answered with.
    conversations: HashMap<String, (usize, Option<String>)>,
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
        let before = event.conversation.as_ref().and_then(|id| self.conversations.get(id)).cloned();
        if let Some(entry) = &event.chosen {
            // Whoever has an answer and reads on beside it does not say what was meant.
            if let Some((place, None)) = before {
                let asked = &mut self.found.all[place];
                asked.votes.entry(entry.clone()).or_default().clicked += 1;
                asked.asked_back = asked.asked_back.saturating_sub(1);
            }
            return;
        }
        // "那狗呢" says something behind a question and nothing without it; what is picked
        // behind it says as little.
        if event.reading.as_deref() == Some("in_light") {
            if let Some(conversation) = &event.conversation {
                self.conversations.remove(conversation);
            }
            return;
        }
        let rule = event.rule.as_deref().unwrap_or_default();
        let is_meant = reason == "handoff_rule" && !CIRCUMSTANCES.contains(&rule);
        if NO_QUESTION.contains(&reason) || is_meant {
            // A person is wanted right after an answer: it did not help.
            if let ("requested", Some((place, Some(entry)))) = (reason, before) {
                self.found.all[place].disliked += 1;
                self.found.all[place].votes.entry(entry).or_default().unsolved += 1;
            }
            if let Some(known) = event.conversation.as_ref().and_then(|id| self.conversations.get_mut(id)) {
                known.1 = None;
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
            self.conversations.insert(conversation.clone(), (place, answer));
        }
    }

    /// Takes what became of a decision; all decisions must have been taken.
    pub fn outcome(&mut self, event: &Event) {
        let by_trace = event.trace_id.as_ref().and_then(|id| self.traces.get(id));
        let by_conversation = || event.conversation.as_ref().and_then(|id| self.conversations.get(id));
        let Some(place) = by_trace.copied().or_else(|| by_conversation().map(|(place, _)| *place)) else {
            return;
        };
        let asked = &mut self.found.all[place];
        match event.kind {
            Kind::Feedback => {
                let answered = event.decision.as_deref() == Some("answer");
                if let Some(entry) = event.chosen.as_ref().filter(|_| !answered) {
                    asked.votes.entry(entry.clone()).or_default().clicked += 1;
                    asked.asked_back = asked.asked_back.saturating_sub(1);
                }
                let unhappy = event.solved == Some(false) || event.rating.is_some_and(|stars| stars <= 2);
                if let (true, Some(entry)) = (answered, &event.entry) {
                    let votes = asked.votes.entry(entry.clone()).or_default();
                    if unhappy {
                        votes.unsolved += 1;
                        asked.disliked += 1;
                    } else if event.solved == Some(true) {
                        votes.solved += 1;
                    }
                }
            }
            Kind::Agent => match event.doing {
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
            },
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
