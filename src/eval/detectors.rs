//! How well are requests for a person heard, and anger?
//!
//! Labelled sentences, half of them traps, against what a list of keywords
//! would do. The sets are shipped, so that anybody can run the figures again.
//! `tuned` was in sight while lists and model were made, and so was `hard`, wordings
//! that people rarely think of; `held` is a third of
//! the same sentences, drawn by chance and left alone; `late` was written when
//! the lists were finished, in other words on purpose; `fresh` by somebody who had
//! seen neither lists nor sentences, and is the honest part.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::metrics::Estimate;
use crate::decide::characters::Seen;
use crate::decide::{anger, handoff};
use crate::dialogue::Facts;
use crate::error::{Error, Problem, Result};
use crate::text::Normalized;

const REQUESTS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/corpora/requests.jsonl"));
const ANGER: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/corpora/anger.jsonl"));

/// The parts that models are trained on.
pub const TRAINED: [&str; 3] = ["tuned", "hard", "varied"];

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Detector {
    /// The customer asks for a person.
    Request,
    /// The customer is angry at the service.
    Anger,
}

/// A labelled sentence.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Labelled {
    /// What the customer writes.
    pub text: String,
    /// Whether it is what the detector listens for.
    #[serde(alias = "request", alias = "angry")]
    pub label: bool,
    /// Which part of the set it belongs to: `tuned` was in sight when the lists
    /// were written.
    #[serde(default)]
    pub half: String,
}

/// What a trained detector has to keep in cross-validation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Among what is heard, this share is right.
    pub precision: f64,
    /// Among ordinary questions, at most this share is heard.
    pub alarms: f64,
}

/// Precision and recall.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figures {
    /// Right among what was heard; `None` when nothing was.
    pub precision: Option<Estimate>,
    /// Heard among what is there; `None` when nothing is.
    pub recall: Option<Estimate>,
}

/// What came of a set, or of a part of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// What was measured.
    pub detector: Detector,
    /// The part; `all` for the whole set.
    pub half: String,
    /// Its sentences.
    pub n: usize,
    /// Those that are what the detector listens for.
    pub positive: usize,
    /// The detector.
    #[serde(rename = "figures")]
    pub figures: Figures,
    /// A list of keywords.
    pub keywords: Figures,
    /// What the detector does not hear.
    pub missed: Vec<String>,
    /// What it hears and should not.
    pub claimed: Vec<String>,
}

impl Detector {
    /// The word in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Anger => "anger",
        }
    }

    /// The shipped set.
    ///
    /// # Errors
    /// Never, but for a defect.
    pub fn shipped(self) -> Result<Vec<Labelled>> {
        match self {
            Self::Request => read("corpora/requests.jsonl", REQUESTS),
            Self::Anger => read("corpora/anger.jsonl", ANGER),
        }
    }

    /// What it hears in a message.
    pub fn hears(self, text: &str) -> bool {
        match self {
            Self::Request => Facts::of(text).asks_for_person(),
            Self::Anger => anger::is_angry(text),
        }
    }

    /// What its model sees of a message.
    pub fn sees(self, text: &str) -> Seen {
        match self {
            Self::Request => handoff::seen(text),
            Self::Anger => anger::seen(text),
        }
    }

    /// Whether its list alone finds something in a message.
    pub fn is_listed(self, text: &str) -> bool {
        match self {
            Self::Request => {
                handoff::listed(text, &Normalized::new(text).core, |text| Normalized::new(text).core)
                    .is_some()
            }
            Self::Anger => anger::is_listed(text),
        }
    }

    /// Whether a message is too short for its model.
    pub fn is_short(self, seen: &Seen) -> bool {
        match self {
            Self::Request => handoff::is_short(seen),
            Self::Anger => anger::is_short(seen),
        }
    }

    /// What its model has to keep: whoever is taken for asking for a person gets no
    /// answer, whoever is taken for angry still does. Collections of ordinary questions hold
    /// some requests themselves.
    pub fn bounds(self) -> Bounds {
        match self {
            Self::Request => Bounds { precision: 0.98, alarms: 0.003 },
            Self::Anger => Bounds { precision: 0.93, alarms: 0.005 },
        }
    }

    /// What a list of keywords would hear.
    pub fn keywords_hear(self, text: &str) -> bool {
        let text = Normalized::new(text).written;
        let words: &[&str] = match self {
            Self::Request => &handoff::KEYWORDS,
            Self::Anger => &anger::KEYWORDS,
        };
        words.iter().any(|word| text.contains(word))
    }

    /// Measures it on every part of a set, and on all of it.
    pub fn measure(self, set: &[Labelled]) -> Vec<Measured> {
        let mut parts: BTreeMap<&str, Vec<&Labelled>> = BTreeMap::new();
        for one in set {
            parts.entry(one.half.as_str()).or_default().push(one);
        }
        let mut measured: Vec<Measured> = parts.iter().map(|(half, part)| self.of(half, part)).collect();
        if measured.len() != 1 {
            measured.push(self.of("all", &set.iter().collect::<Vec<_>>()));
        }
        measured
    }

    fn of(self, half: &str, part: &[&Labelled]) -> Measured {
        let told = |heard: bool, label: bool| -> Vec<String> {
            let wrong = part.iter().filter(|one| self.hears(&one.text) == heard && one.label == label);
            wrong.map(|one| one.text.clone()).collect()
        };
        Measured {
            detector: self,
            half: half.to_owned(),
            n: part.len(),
            positive: part.iter().filter(|one| one.label).count(),
            figures: figures(part, |text| self.hears(text)),
            keywords: figures(part, |text| self.keywords_hear(text)),
            missed: told(false, true),
            claimed: told(true, false),
        }
    }
}

fn figures(part: &[&Labelled], hears: impl Fn(&str) -> bool) -> Figures {
    let count = |heard: Option<bool>, label: Option<bool>| {
        let same = |one: &&&Labelled| {
            heard.is_none_or(|heard| hears(&one.text) == heard)
                && label.is_none_or(|label| one.label == label)
        };
        part.iter().filter(same).count()
    };
    let right = count(Some(true), Some(true));
    Figures {
        precision: Estimate::share(right, count(Some(true), None)),
        recall: Estimate::share(right, count(None, Some(true))),
    }
}

/// Reads a set, one sentence a line.
///
/// # Errors
/// [`Error::Corpus`] with every line that is none.
pub fn read(name: &str, text: &str) -> Result<Vec<Labelled>> {
    let mut problems = Vec::new();
    let mut set = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match serde_json::from_str(line) {
            Ok(one) => set.push(one),
            Err(e) => problems.push(Problem {
                file: name.to_owned(),
                line: index + 1,
                column: e.column(),
                field: None,
                message: format!("要写成 {{\"text\":\"…\",\"label\":true}}：{e}"),
            }),
        }
    }
    if problems.is_empty() { Ok(set) } else { Err(Error::Corpus(problems)) }
}
