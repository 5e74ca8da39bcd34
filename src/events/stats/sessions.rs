//! How did a session go?

use std::hash::{DefaultHasher, Hash, Hasher};

use super::collect::{Decided, Message};
use crate::events::day::DAY_MS;
use crate::events::record::Feedback;

/// A message of a conversation with what was decided, or a doing of an agent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    pub(super) at: i64,
    pub(super) trace: u128,
    pub(super) message: Message,
    pub(super) decided: Decided,
    /// A person was asked for.
    pub(super) requested: bool,
    /// A person was called because of it, whoever asked for one.
    pub(super) called: bool,
    pub(super) group: u32,
    pub(super) entry: Option<u32>,
    /// The normal form in short; 0 where it is not known.
    pub(super) normal: u64,
    /// Not the customer's: an agent did something.
    pub(super) agent: bool,
}

impl Default for Turn {
    fn default() -> Self {
        Self {
            at: 0,
            trace: 0,
            message: Message::Chat,
            decided: Decided::HandedOff,
            requested: false,
            called: false,
            group: 0,
            entry: None,
            normal: 0,
            agent: false,
        }
    }
}

/// A text in short.
pub(super) fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish().max(1)
}

/// How a session went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) group: u32,
    pub(super) questions: u64,
    pub(super) repeats: u64,
    pub(super) answered: bool,
    pub(super) requested_first: bool,
    pub(super) transferred: bool,
    pub(super) clicks: u64,
    pub(super) none_of_these: u64,
    pub(super) solved: Solved,
    /// The first question was answered, and no other one was asked.
    pub(super) at_once: bool,
    /// Entries that were answered with, each once.
    pub(super) entries: Vec<u32>,
    /// The entry that was answered with last before the transfer.
    pub(super) transferred_after: Option<u32>,
}

/// What became of a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Solved {
    /// The customer says so.
    Confirmed,
    /// Nothing speaks against it.
    Assumed,
    /// Neither.
    #[default]
    No,
}

/// The sessions of a conversation whose turns stand in order. What an agent does belongs to
/// the session before it, however late it is.
pub(super) fn split(turns: &[Turn]) -> Vec<&[Turn]> {
    let (mut sessions, mut start, mut last) = (Vec::new(), 0, None);
    for (at, turn) in turns.iter().enumerate().filter(|(_, turn)| !turn.agent) {
        if last.is_some_and(|last| turn.at - last > DAY_MS) {
            sessions.push(&turns[start..at]);
            start = at;
        }
        last = Some(turn.at);
    }
    sessions.push(&turns[start..]);
    sessions
}

/// What a session begins with: the first question, or what else the customer said first;
/// `None` where they said nothing.
pub(super) fn opening(turns: &[Turn]) -> Option<&Turn> {
    let mut own = turns.iter().filter(|turn| !turn.agent);
    own.clone().find(|turn| turn.message == Message::Question).or_else(|| own.next())
}

/// Reads a session whose turns stand in order.
pub(super) fn read<'a>(turns: &[Turn], said: impl Fn(u128) -> Option<&'a Feedback>) -> Told {
    let mut told = Told { group: opening(turns).map_or(0, |turn| turn.group), ..Told::default() };
    let mut asked: Vec<&Turn> = Vec::new();
    let mut last_entry = None;
    let mut last: Option<&Turn> = None;
    let (mut first, mut open) = (true, false);
    for turn in turns {
        // A question without an answer calls nobody.
        let hands_off = turn.agent && !first || turn.called;
        if hands_off {
            if first && turn.requested {
                told.requested_first = true;
            } else if !told.requested_first || !turn.agent {
                told.transferred = true;
                told.transferred_after = told.transferred_after.or(last_entry);
            }
        }
        if turn.agent {
            continue;
        }
        match turn.message {
            Message::Question => {
                told.questions += 1;
                let same = |earlier: &&&Turn| {
                    turn.normal != 0 && earlier.normal == turn.normal
                        || turn.entry.is_some() && earlier.entry == turn.entry
                };
                told.repeats += u64::from(asked.iter().find(same).is_some());
                asked.push(turn);
                open = turn.decided == Decided::AskedBack;
            }
            Message::Choice => {
                told.clicks += u64::from(std::mem::take(&mut open));
            }
            Message::NoneOfThese => {
                told.none_of_these += u64::from(std::mem::take(&mut open));
            }
            Message::Chat => {}
        }
        first = false;
        if turn.message != Message::Chat {
            last = Some(turn);
            if turn.decided == Decided::Answered {
                told.answered = true;
                last_entry = turn.entry;
                if let Some(entry) = turn.entry.filter(|entry| !told.entries.contains(entry)) {
                    told.entries.push(entry);
                }
            }
        }
    }
    let word = last.and_then(|turn| said(turn.trace)).and_then(|word| word.solved);
    let settled = last.is_some_and(|turn| turn.decided == Decided::Answered)
        && told.repeats == 0
        && !told.transferred
        && !told.requested_first;
    told.solved = match word {
        Some(true) => Solved::Confirmed,
        None if settled => Solved::Assumed,
        Some(false) | None => Solved::No,
    };
    told.at_once = told.questions == 1
        && asked.first().is_some_and(|turn| turn.decided == Decided::Answered)
        && told.solved != Solved::No;
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(at: i64, decided: Decided, entry: u32) -> Turn {
        let normal = u64::try_from(at).expect("positive") + 1;
        Turn { at, message: Message::Question, decided, entry: Some(entry), normal, ..Turn::default() }
    }

    fn told(turns: &[Turn]) -> Told {
        read(turns, |_| None)
    }

    #[test]
    fn an_answer_after_which_nothing_came_is_assumed_to_have_solved() {
        let one = told(&[asked(0, Decided::Answered, 1)]);
        assert_eq!((one.solved, one.at_once, one.answered), (Solved::Assumed, true, true));
        let thanked = told(&[asked(0, Decided::Answered, 1), Turn { at: 1, ..Turn::default() }]);
        assert_eq!(thanked.solved, Solved::Assumed);
        assert!(!thanked.transferred, "thanks are no transfer");
        let two = told(&[asked(0, Decided::Answered, 1), asked(1, Decided::Answered, 2)]);
        assert_eq!((two.solved, two.at_once, two.repeats), (Solved::Assumed, false, 0));
    }

    #[test]
    fn what_cannot_be_answered_calls_nobody() {
        let missed = told(&[asked(0, Decided::HandedOff, 1), asked(1, Decided::Answered, 2)]);
        assert_eq!((missed.transferred, missed.solved), (false, Solved::Assumed));
        let angry = Turn { called: true, ..asked(1, Decided::HandedOff, 2) };
        assert!(told(&[asked(0, Decided::HandedOff, 1), angry]).transferred);
    }

    #[test]
    fn a_session_is_that_of_its_first_question() {
        let hello = Turn { group: 1, ..Turn::default() };
        let question = Turn { group: 2, ..asked(1, Decided::Answered, 1) };
        assert_eq!(told(&[hello, question]).group, 2);
        assert_eq!(told(&[hello]).group, 1);
    }

    #[test]
    fn who_asks_again_was_not_helped() {
        let again = told(&[asked(0, Decided::Answered, 1), asked(1, Decided::Answered, 1)]);
        assert_eq!((again.solved, again.repeats), (Solved::No, 1));
    }

    #[test]
    fn the_customers_word_counts_more_than_what_is_assumed() {
        let turns = [Turn { trace: 7, ..asked(0, Decided::Answered, 1) }];
        for (word, solved) in [(true, Solved::Confirmed), (false, Solved::No)] {
            let feedback = Feedback { solved: Some(word), ..Feedback::default() };
            let told = read(&turns, |trace| (trace == 7).then_some(&feedback));
            assert_eq!(told.solved, solved);
        }
    }

    #[test]
    fn a_person_asked_for_at_once_is_no_transfer() {
        let request = Turn { requested: true, called: true, entry: None, ..asked(0, Decided::HandedOff, 0) };
        let claimed = Turn { at: 1, agent: true, ..Turn::default() };
        let first = told(&[request, claimed]);
        assert_eq!((first.requested_first, first.transferred, first.solved), (true, false, Solved::No));
        let later = told(&[asked(0, Decided::Answered, 4), Turn { at: 1, ..request }]);
        assert_eq!((later.requested_first, later.transferred), (false, true));
        assert_eq!((later.transferred_after, later.solved), (Some(4), Solved::No));
    }

    #[test]
    fn a_choice_belongs_to_the_asking_back_before_it() {
        let choice = Turn { at: 2, message: Message::Choice, ..asked(1, Decided::Answered, 3) };
        let clicked = told(&[asked(0, Decided::AskedBack, 2), choice]);
        assert_eq!((clicked.questions, clicked.clicks, clicked.solved), (1, 1, Solved::Assumed));
        // Of what an answer offers besides, nobody was asked.
        assert_eq!(told(&[asked(0, Decided::Answered, 2), choice]).clicks, 0);
        let none = Turn { message: Message::NoneOfThese, decided: Decided::HandedOff, ..choice };
        let rejected = told(&[asked(0, Decided::AskedBack, 2), none]);
        assert_eq!((rejected.clicks, rejected.none_of_these), (0, 1));
    }

    #[test]
    fn a_pause_of_more_than_a_day_begins_another_session() {
        let turns = [
            asked(0, Decided::Answered, 1),
            asked(DAY_MS, Decided::Answered, 2),
            asked(2 * DAY_MS + 1, Decided::Answered, 3),
        ];
        let lengths = |turns: &[Turn]| split(turns).into_iter().map(<[Turn]>::len).collect::<Vec<_>>();
        assert_eq!(lengths(&turns), [2, 1]);
        // Asked on Saturday, claimed on Monday, and asked again.
        let claimed = Turn { at: 2 * DAY_MS, agent: true, ..Turn::default() };
        let turns = [turns[0], claimed, asked(2 * DAY_MS + 1, Decided::Answered, 3)];
        assert_eq!(lengths(&turns), [2, 1]);
        assert!(told(split(&turns)[0]).transferred && !told(split(&turns)[1]).transferred);
    }
}
