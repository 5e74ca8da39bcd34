//! What becomes of a knowledge base when a file is imported into it?

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{Entry, EntryId, KnowledgeBase};
use crate::error::{Error, Problem, Result};
use crate::text::exact_key;

/// What a file means for the entries that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The file is everything: what is not in it is removed.
    #[default]
    Replace,
    /// The file's entries are added or take the place of those with their
    /// ids; all others stay.
    Update,
    /// Only entries with new ids are taken from the file; all others stay as they are.
    Add,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Replace, Self::Update, Self::Add];

    /// The name in flags and requests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Update => "update",
            Self::Add => "add",
        }
    }
}

impl std::str::FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|mode| mode.name() == text)
            .ok_or_else(|| "a mode is replace, update or add".to_owned())
    }
}

/// The entries after a file was imported; `file` is its name in problems.
///
/// # Errors
/// [`Error::Corpus`] when an entry of the file claims a question or a keyword
/// of one that stays.
pub fn merge(draft: &[Entry], incoming: KnowledgeBase, mode: Mode, file: &str) -> Result<KnowledgeBase> {
    if mode == Mode::Replace {
        return Ok(incoming);
    }
    let mut merged = draft.to_vec();
    let places: HashMap<EntryId, usize> =
        draft.iter().enumerate().map(|(place, entry)| (entry.id.clone(), place)).collect();
    let mut taken = vec![false; merged.len()];
    for entry in incoming.entries {
        match places.get(&entry.id) {
            Some(&place) if mode == Mode::Update => {
                merged[place] = entry;
                taken[place] = true;
            }
            Some(_) => {}
            None => {
                merged.push(entry);
                taken.push(true);
            }
        }
    }
    let problems = clashes(&merged, &taken, file);
    if problems.is_empty() { Ok(KnowledgeBase::of_validated(merged)) } else { Err(Error::Corpus(problems)) }
}

/// What entries from the file claim although one that stays has it.
fn clashes(merged: &[Entry], taken: &[bool], file: &str) -> Vec<Problem> {
    let staying = || merged.iter().zip(taken).filter(|(_, taken)| !**taken).map(|(entry, _)| entry);
    let mut questions: HashMap<String, &Entry> = HashMap::new();
    let mut keywords: HashMap<String, &Entry> = HashMap::new();
    for entry in staying() {
        questions.extend(entry.phrasings().map(|text| (exact_key(text), entry)));
        keywords.extend(entry.keywords.iter().map(|text| (exact_key(text), entry)));
    }
    let mut problems = Vec::new();
    let mut clash = |entry: &Entry, field: &str, what: &str, text: &str, owner: &Entry| {
        problems.push(Problem {
            file: file.to_owned(),
            line: 0,
            column: 0,
            field: Some(field.to_owned()),
            message: format!(
                "条目“{}”的{what}“{text}”在草稿的“{}”下已经有了；请从其中一个删除，或把“{}”也写进文件",
                entry.id, owner.id, owner.id
            ),
        });
    };
    for (entry, _) in merged.iter().zip(taken).filter(|(_, taken)| **taken) {
        for (index, text) in entry.phrasings().enumerate() {
            if let Some(owner) = questions.get(&exact_key(text)) {
                clash(entry, if index == 0 { "question" } else { "similar" }, "问法", text, owner);
            }
        }
        for text in &entry.keywords {
            if let Some(owner) = keywords.get(&exact_key(text)) {
                clash(entry, "keywords", "关键词", text, owner);
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kb::formats::read_jsonl;

    fn base(lines: &[&str]) -> KnowledgeBase {
        read_jsonl("test", lines.join("\n").as_bytes()).unwrap()
    }

    fn shape(base: &KnowledgeBase) -> Vec<(&str, &str)> {
        base.entries().iter().map(|entry| (entry.id.0.as_str(), entry.answer.as_str())).collect()
    }

    const DRAFT: [&str; 2] = [
        r#"{"id":"a","question":"怎么退货","answer":"旧答案","keywords":["退货"]}"#,
        r#"{"id":"b","question":"怎么开发票","answer":"旧答案"}"#,
    ];
    const FILE: [&str; 2] = [
        r#"{"id":"c","question":"几点上班","answer":"新答案"}"#,
        r#"{"id":"a","question":"怎么退货","answer":"新答案"}"#,
    ];

    #[test]
    fn each_mode_keeps_what_it_says() {
        let draft = base(&DRAFT);
        let merged = |mode| merge(draft.entries(), base(&FILE), mode, "f").unwrap();
        assert_eq!(shape(&merged(Mode::Replace)), [("c", "新答案"), ("a", "新答案")]);
        assert_eq!(shape(&merged(Mode::Update)), [("a", "新答案"), ("b", "旧答案"), ("c", "新答案")]);
        assert_eq!(shape(&merged(Mode::Add)), [("a", "旧答案"), ("b", "旧答案"), ("c", "新答案")]);
    }

    #[test]
    fn a_question_stays_with_one_entry() {
        let file = base(&[r#"{"id":"x","question":"怎么退货？","answer":"别的答案","keywords":["退货"]}"#]);
        let Err(Error::Corpus(problems)) = merge(base(&DRAFT).entries(), file.clone(), Mode::Add, "f.csv")
        else {
            panic!("it was merged")
        };
        let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_deref()).collect();
        assert_eq!(fields, [Some("question"), Some("keywords")]);
        assert!(problems.iter().all(|p| p.file == "f.csv" && p.message.contains("“a”")), "{problems:?}");
        assert!(merge(base(&DRAFT).entries(), file, Mode::Replace, "f.csv").is_ok());
    }
}
