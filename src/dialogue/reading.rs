//! In which way was a message read?

use crate::engine::TracedReading;
use crate::kb::EntryId;

use super::small_talk::Topic;

/// How a message was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// As a question that stands for itself.
    AsIs,
    /// As the choice of questions that were shown, in the order in which they
    /// were named; mostly one.
    Chosen {
        /// Their ids.
        entries: Vec<EntryId>,
        /// What named them.
        by: Named,
    },
    /// As a choice that leads nowhere; the list is shown again.
    Unclear(Unclear),
    /// As the word that none of the questions shown is meant.
    NoneOfThese,
    /// In the light of what was said before.
    InLight {
        /// The entry that was answered; `None` when it is the last question
        /// that was not answered.
        of: Option<EntryId>,
        /// The words that were asked instead.
        text: String,
    },
    /// As the end of the conversation.
    Ended,
    /// As the word that nobody waits for a person any more.
    Withdrawn,
    /// As something that no entry answers and anybody would.
    SmallTalk(Topic),
    /// As small talk, or a word that this is all, of somebody who waits for a person.
    Waiting,
    /// As small talk of the knowledge base's own: its place in the voice's
    /// `phrases`.
    Phrase(usize),
}

/// What names a question that was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// The field `choice`, or the id as the text.
    Id,
    /// Its place: 第二个, 2, 最后一个.
    Place,
    /// Its own words.
    Words,
    /// Words that only one of the list has.
    Part,
    /// That it was answered before: 上一个.
    Before,
    /// That it stands before or behind the one that was taken: 上一个, 下一个.
    Neighbour,
    /// The field `choice`, of an entry that was not shown: a menu of the client's own.
    Menu,
}

/// Why a choice leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unclear {
    /// The list has no such place.
    Outside,
    /// Several of the list may be meant.
    Several,
    /// What was chosen is not to be found any more.
    Gone,
}

impl Reading {
    /// The word in `explain` and in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::AsIs => "as_is",
            Self::Chosen { .. } => "chosen",
            Self::Unclear(_) => "unclear_choice",
            Self::NoneOfThese => "none_of_these",
            Self::InLight { .. } => "in_light",
            Self::Ended => "ended",
            Self::Withdrawn => "withdrawn",
            Self::SmallTalk(_) | Self::Waiting | Self::Phrase(_) => "small_talk",
        }
    }

    /// Why, for people who study a decision.
    fn why(&self) -> String {
        match self {
            Self::AsIs => "the message stands for itself".to_owned(),
            Self::Chosen { by, .. } => match by {
                Named::Id => "the id of a question that was shown",
                Named::Place => "a place in the list that was shown last",
                Named::Words => "the words of a question that was shown",
                Named::Part => "words that one question of the list has, and no other",
                Named::Before => "what was answered before",
                Named::Neighbour => "the neighbour, in the list, of what was taken from it",
                Named::Menu => "the id of an entry that was pressed elsewhere",
            }
            .to_owned(),
            Self::Unclear(Unclear::Outside) => "a place that the list does not have".to_owned(),
            Self::Unclear(Unclear::Several) => "a choice that several of the list may be".to_owned(),
            Self::Unclear(Unclear::Gone) => "a question that is not to be found any more".to_owned(),
            Self::NoneOfThese => "none of the questions that were shown".to_owned(),
            Self::InLight { of: Some(of), .. } => {
                format!("what is missing was taken from entry {of}, which was answered before")
            }
            Self::InLight { of: None, .. } => "what is missing was taken from the question before".to_owned(),
            Self::Ended => "the customer says that this is all".to_owned(),
            Self::Withdrawn => "the customer waits for a person no longer".to_owned(),
            Self::SmallTalk(topic) => format!("small talk: {}", topic.name()),
            Self::Waiting => "small talk of somebody who waits for a person".to_owned(),
            Self::Phrase(at) => format!("small talk of the knowledge base's own: phrases[{at}]"),
        }
    }

    /// What `explain` says of it.
    pub fn traced(&self) -> TracedReading {
        let (of, text) = match self {
            Self::InLight { of, text } => (of.as_ref().map(EntryId::to_string), Some(text.clone())),
            _ => (None, None),
        };
        TracedReading { name: self.name(), why: self.why(), of, text }
    }
}
