//! What does the scripted customer say, and what would be right?
//!
//! One conversation a line:
//!
//! ```json
//! {"kb":"shop","split":"test","turns":[
//!   {"text":"取消订单","expect":["order-cancel-unpaid","order-cancel-before-ship"],"reading":"as_is"},
//!   {"text":"第{几}个","choose":"order-cancel-before-ship","reading":"chosen"},
//!   {"text":"那要多久呢","expect":"order-cancel-before-ship","reading":"in_light","tags":["ask"]},
//!   {"text":"好的谢谢","expect":null,"reading":"ended"}]}
//! ```
//!
//! `expect` is what is right: an entry id, a list of ids that are all right, or
//! `null` where no entry may be answered. `reading` is how the message is meant:
//! one of the names of [`crate::dialogue::Reading`]. `split` is `test` for the
//! third that was held back when the readings were made, and `late` for what was
//! written before any of it was played, when they were finished.
//!
//! What is offered is the engine's business and changes with its model, so a
//! script never says at which place a question stands. A turn about a list says
//! either what is wanted (`"choose":"ID"`) or which places are meant
//! (`"pick":[1,-1]`, from the end with a minus), and what is written of it is
//! filled in by what is really shown: `{n}` the place as a number, `{几}` as a
//! Chinese numeral, `{尾}` counted from the end, `{question}` the shown question,
//! `{id}` its id. With `"press":true` the id is sent as `choice`. When no list
//! was shown, or not with what is wanted, or (`pick`) too short, the turn is
//! left out and counted as left out.
//!
//! Before a turn that goes on from an answer the customer gets there: where the
//! engine asked back with the right question it is pressed, where it did not
//! answer rightly the question is asked in the knowledge base's own words. That
//! counts as no turn.

use std::collections::HashSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::eval::dataset::Expect;
use crate::eval::lines::Lines;
use crate::kb::{Entry, EntryId};

/// A conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// The knowledge base that it is about.
    pub kb: String,
    /// `dev`, `test` when it was held back, or `late`.
    #[serde(default)]
    pub split: Split,
    /// What the customer says.
    pub turns: Vec<ScriptedTurn>,
    /// Its line in the file.
    #[serde(skip)]
    pub line: usize,
}

/// Whether a conversation was at hand when the readings were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// It was.
    #[default]
    Dev,
    /// It was held back.
    Test,
    /// It was written when the readings were finished, in other words on purpose.
    Late,
}

impl Split {
    /// The word in scripts and commands.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Test => "test",
            Self::Late => "late",
        }
    }
}

/// One message of the customer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptedTurn {
    /// The words, perhaps with `{n}` and the like.
    pub text: String,
    /// What is right; not for turns about a list that say what they want.
    #[serde(default = "nothing")]
    pub expect: Expect,
    /// How it is meant.
    pub reading: String,
    /// The question of the list that is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choose: Option<EntryId>,
    /// The places of the list that are meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pick: Vec<isize>,
    /// Whether the id is sent instead of words.
    #[serde(default)]
    pub press: bool,
    /// Groups to report on.
    #[serde(default)]
    pub tags: Vec<String>,
}

fn nothing() -> Expect {
    Expect::Outside
}

/// What a line that is none is told to be.
const FIELDS: &str = "不是有效的对话（每行一个 JSON 对象，项有 kb、turns，可有 split；turns 里每句有 text、reading，可有 expect、choose、pick、press、tags；说明见 zhida eval dialogues --help）";

/// The names of readings that a script may expect.
const READINGS: [&str; 7] =
    ["as_is", "chosen", "unclear_choice", "none_of_these", "in_light", "ended", "small_talk"];

impl ScriptedTurn {
    /// Whether it makes sense only when a list was shown.
    pub fn is_about_a_list(&self) -> bool {
        self.choose.is_some()
            || !self.pick.is_empty()
            || matches!(self.reading.as_str(), "none_of_these" | "unclear_choice")
    }

    /// What it says when a list was shown, and what is right then; `None` when
    /// the list has not what it speaks of.
    pub fn about(
        &self,
        list: &[EntryId],
        questions: impl Fn(&EntryId) -> String,
    ) -> Option<(String, Expect)> {
        if !self.is_about_a_list() {
            return Some((self.text.clone(), self.expect.clone()));
        }
        let place = |pick: isize| match pick {
            1.. => usize::try_from(pick - 1).ok(),
            _ => list.len().checked_sub(pick.unsigned_abs()),
        };
        let places: Vec<usize> = match &self.choose {
            Some(wanted) => vec![list.iter().position(|id| id == wanted)?],
            None => self.pick.iter().map(|&pick| place(pick)).collect::<Option<_>>()?,
        };
        let entries: Vec<EntryId> =
            places.iter().map(|&place| list.get(place).cloned()).collect::<Option<_>>()?;
        if list.is_empty() {
            return None;
        }
        let Some((&first, id)) = places.first().zip(entries.first()) else {
            return Some((self.text.clone(), Expect::Outside));
        };
        let numeral = ["一", "二", "三", "四", "五", "六", "七", "八", "九", "十"];
        let text = self
            .text
            .replace("{n}", &(first + 1).to_string())
            .replace("{几}", numeral.get(first).copied().unwrap_or("十"))
            .replace("{尾}", numeral.get(list.len() - first - 1).copied().unwrap_or("十"))
            .replace("{question}", &questions(id))
            .replace("{id}", &id.0);
        let expect = match entries.as_slice() {
            [one] => Expect::One(one.clone()),
            _ => Expect::AnyOf(entries),
        };
        Some((text, expect))
    }
}

/// Reads the conversations of a file.
///
/// # Errors
/// [`crate::error::Error::Corpus`] with the first line that is none.
pub fn read(path: &Path) -> Result<Vec<Script>> {
    let lines = Lines::read(path)?;
    let numbers: Vec<usize> = lines.texts.iter().map(|(number, _)| *number).collect();
    let mut scripts: Vec<Script> = lines.json(FIELDS)?;
    scripts.iter_mut().zip(numbers).for_each(|(script, number)| script.line = number);
    let mut lines = Lines::of(&path.display().to_string(), &[]);
    if scripts.is_empty() {
        lines.problem(0, "文件里没有对话".to_owned());
    }
    for script in &scripts {
        for (turn, said) in (1..).zip(&script.turns) {
            if !READINGS.contains(&said.reading.as_str()) {
                let message =
                    format!("第 {turn} 句：没有“{}”这种读法；可以写 {}", said.reading, READINGS.join("、"));
                lines.problem_at(script.line, 0, Some("reading"), message);
            }
        }
        if script.turns.is_empty() {
            lines.problem(script.line, "对话里一句话也没有".to_owned());
        }
    }
    lines.finish(scripts)
}

/// Checks conversations against the entries of the knowledge base that they
/// are about; `name` is that of their file.
///
/// # Errors
/// [`crate::error::Error::Corpus`] with every id that is not there.
pub fn check(name: &str, scripts: &[Script], kb: &str, entries: &[Entry]) -> Result<()> {
    let known: HashSet<&EntryId> = entries.iter().map(|entry| &entry.id).collect();
    let mut lines = Lines::of(name, &[]);
    for script in scripts.iter().filter(|script| script.kb == kb) {
        for turn in &script.turns {
            for id in turn.expect.ids().iter().chain(&turn.choose).filter(|id| !known.contains(id)) {
                let message = format!("知识库 {kb} 里没有编号为“{id}”的条目（“{}”）", turn.text);
                lines.problem_at(script.line, 0, Some("expect"), message);
            }
        }
    }
    lines.finish(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_list_that_was_shown() {
        let list: Vec<EntryId> = ["a", "b", "c"].iter().map(|id| EntryId((*id).to_owned())).collect();
        let turn = |json: &str| serde_json::from_str::<ScriptedTurn>(json).unwrap();
        let about = |json: &str| turn(json).about(&list, |id| format!("问{}", id.0));
        let one = |id: &str| Expect::One(EntryId(id.to_owned()));
        let chosen =
            about(r#"{"text":"第{几}个，{n}，倒数第{尾}个，{question}","choose":"b","reading":"chosen"}"#);
        assert_eq!(chosen, Some(("第二个，2，倒数第二个，问b".to_owned(), one("b"))));
        let last = about(r#"{"text":"最后一个","pick":[-1],"reading":"chosen"}"#);
        assert_eq!(last, Some(("最后一个".to_owned(), one("c"))));
        assert_eq!(about(r#"{"text":"第五个","pick":[5],"reading":"chosen"}"#), None, "too short");
        assert_eq!(about(r#"{"text":"它","choose":"d","reading":"chosen"}"#), None, "not shown");
        let none = turn(r#"{"text":"都不是","reading":"none_of_these"}"#);
        assert_eq!(none.about(&list, |_| String::new()), Some(("都不是".to_owned(), Expect::Outside)));
        assert_eq!(none.about(&[], |_| String::new()), None, "nothing was shown");
    }

    #[test]
    fn lines_are_counted_as_an_editor_counts_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("talks.jsonl");
        let talk = |reading: &str| format!(r#"{{"kb":"a","turns":[{{"text":"x","reading":"{reading}"}}]}}"#);
        std::fs::write(&path, format!("{}\n\n\n{}\n", talk("as_is"), talk("as_is"))).unwrap();
        let lines: Vec<usize> = read(&path).unwrap().iter().map(|script| script.line).collect();
        assert_eq!(lines, [1, 4]);
        std::fs::write(&path, format!("\n{}\n\n{}\n", talk("as_is"), talk("nonsense"))).unwrap();
        let told = read(&path).unwrap_err().to_string();
        assert!(told.contains("talks.jsonl:4"), "{told}");
    }
}
