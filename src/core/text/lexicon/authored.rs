//! What does a knowledge base add to the shipped words?
//!
//! Authors write it as `lexicon.jsonl`, one JSON object a line. The key says
//! what the line is; `note` is for the authors themselves:
//!
//! ```text
//! {"word":"拾光卡plus","frequency":1000,"tag":"nz"}     kept whole; both others may be left out
//! {"synonyms":["退货","退掉"],"canonical":"退货"}         mean the same; without `canonical` the first stands for all
//! {"stop":"麻烦","note":"客套话"}                        says nothing about the matter
//! {"protected":"GO!鲜生"}                               never cut, never stripped, never simplified
//! {"contrast":["金卡","白金卡"]}                          never mean the same; each with its synonyms
//! {"background":"明天天气怎么样"}                        a question that is none of ours
//! ```
//!
//! A group joins the shipped groups that its words are in. A group of one word
//! takes the word out of its shipped group. A `frequency` of 0 says that
//! something is no word.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Contrasts, Lexicon, Normalizer, protecting};
use crate::error::{Error, Problem, Result};
use crate::text::MAX_CHARS;

/// One line of a lexicon.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Item {
    /// What it says.
    #[serde(flatten)]
    pub what: What,
    /// Why, for authors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What a line of a lexicon says.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum What {
    /// Segmentation keeps a word whole.
    Word {
        /// The word.
        word: String,
        /// How often the dictionary takes it to occur; without one, often
        /// enough to be kept whole. 0: it is no word.
        #[serde(skip_serializing_if = "Option::is_none")]
        frequency: Option<usize>,
        /// Its part of speech, for people.
        #[serde(skip_serializing_if = "Option::is_none")]
        tag: Option<String>,
    },
    /// Words that mean the same.
    Synonyms {
        /// The words.
        synonyms: Vec<String>,
        /// The one that stands for all; without one, the first.
        #[serde(skip_serializing_if = "Option::is_none")]
        canonical: Option<String>,
    },
    /// A word that says nothing about the matter.
    Stop {
        /// The word.
        stop: String,
    },
    /// A term that stays as it is.
    Protected {
        /// The term.
        protected: String,
    },
    /// Words that stand for different things: a question with one of them is
    /// not answered with an entry about another one.
    Contrast {
        /// The words.
        contrast: Vec<String>,
    },
    /// A question that the knowledge base does not answer.
    Background {
        /// The question.
        background: String,
    },
}

impl What {
    /// The key of the line, and what authors call it.
    pub fn name(&self) -> (&'static str, &'static str) {
        match self {
            Self::Word { .. } => ("word", "用户词"),
            Self::Synonyms { .. } => ("synonyms", "同义词"),
            Self::Stop { .. } => ("stop", "停用词"),
            Self::Protected { .. } => ("protected", "保护词"),
            Self::Contrast { .. } => ("contrast", "区分词"),
            Self::Background { .. } => ("background", "无关问题"),
        }
    }

    /// What it speaks of, in the authors' order.
    pub fn texts(&self) -> &[String] {
        match self {
            Self::Word { word: text, .. }
            | Self::Stop { stop: text }
            | Self::Protected { protected: text }
            | Self::Background { background: text } => std::slice::from_ref(text),
            Self::Synonyms { synonyms: texts, .. } | Self::Contrast { contrast: texts } => texts,
        }
    }

    /// What the line goes by in its lexicon: its kind and the first thing it speaks of.
    pub fn key(&self) -> (&'static str, &str) {
        (self.name().0, self.texts().first().map_or("", String::as_str))
    }
}

/// The keys of which every line has exactly one.
const KINDS: [&str; 6] = ["word", "synonyms", "stop", "protected", "contrast", "background"];

/// How a line is written, for messages.
const FORMS: &str = "{\"word\":\"…\"}、{\"synonyms\":[\"…\",\"…\"]}、{\"stop\":\"…\"}、{\"protected\":\"…\"}、{\"contrast\":[\"…\",\"…\"]} 或 {\"background\":\"…\"}";

/// The largest frequency; the whole dictionary counts 60 million.
pub const MOST_FREQUENT: u64 = 1_000_000_000;

/// What the authors of a knowledge base add to the shipped lexicon: sound,
/// in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuthoredLexicon {
    items: Vec<Item>,
}

impl AuthoredLexicon {
    /// Reads the lines of a file; `name` is what problems call it.
    ///
    /// # Errors
    /// [`Error::Corpus`] with every fault found, each with line and field.
    pub fn read(name: &str, bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader { name, problems: Vec::new() };
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let mut items: Vec<(usize, Item)> = Vec::new();
        for (index, raw) in bytes.split(|&byte| byte == b'\n').enumerate() {
            if let Some(item) = reader.line(index + 1, raw) {
                items.push((index + 1, item));
            }
        }
        reader.finish(items)
    }

    /// Lines that were read from something else than JSONL, each with its
    /// number there, and what is wrong with the others.
    ///
    /// # Errors
    /// Like [`Self::read`].
    pub fn of_lines(name: &str, items: Vec<(usize, Item)>, problems: Vec<Problem>) -> Result<Self> {
        Reader { name, problems }.finish(items)
    }

    /// Lines that were validated before: those of a record.
    pub fn of_validated(items: Vec<Item>) -> Self {
        Self { items }
    }

    /// The lexicon with some lines put in, each in the place of the one that
    /// goes by the same [key](What::key), and others taken out by their keys.
    ///
    /// # Errors
    /// [`Error::Corpus`] with every fault: a line to take out that is not
    /// there, and what the lines contradict each other in afterwards.
    pub fn edited(&self, put: &Self, remove: &Self) -> Result<Self> {
        let mut items = self.items.clone();
        let mut missing = Vec::new();
        for (index, line) in remove.items.iter().enumerate() {
            let before = items.len();
            items.retain(|item| item.what.key() != line.what.key());
            if items.len() == before {
                let (kind, name) = line.what.name();
                missing.push(Problem {
                    file: "remove".to_owned(),
                    line: index + 1,
                    column: 0,
                    field: Some(kind.to_owned()),
                    message: format!("词表里没有{name}“{}”，无法删除；请先查看词表", line.what.key().1),
                });
            }
        }
        if !missing.is_empty() {
            return Err(Error::Corpus(missing));
        }
        for line in &put.items {
            match items.iter_mut().find(|item| item.what.key() == line.what.key()) {
                Some(known) => known.clone_from(line),
                None => items.push(line.clone()),
            }
        }
        Self::read("lexicon", &Self { items }.write()?)
    }

    /// What leads from one lexicon to another.
    pub fn changes(&self, after: &Self) -> LexiconChanges {
        let old: HashMap<_, &Item> = self.items.iter().map(|item| (item.what.key(), item)).collect();
        let new: HashSet<_> = after.items.iter().map(|item| item.what.key()).collect();
        let gone = self.items.iter().filter(|item| !new.contains(&item.what.key()));
        let mut changes = LexiconChanges { removed: gone.cloned().collect(), ..LexiconChanges::default() };
        for item in &after.items {
            match old.get(&item.what.key()) {
                None => changes.added.push(item.clone()),
                Some(&before) if before == item => changes.unchanged += 1,
                Some(&before) => {
                    changes.changed.push(LineChange { before: before.clone(), after: item.clone() });
                }
            }
        }
        changes
    }

    /// The file that [`Self::read`] reads.
    ///
    /// # Errors
    /// Never in practice: items are plain data.
    pub fn write(&self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        for item in &self.items {
            serde_json::to_writer(&mut out, item).map_err(|e| Error::internal("lexicon", e))?;
            out.push(b'\n');
        }
        Ok(out)
    }

    /// The lines, in the authors' order.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Whether nothing is added.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Questions that the knowledge base does not answer.
    pub fn background(&self) -> impl Iterator<Item = &str> {
        self.items.iter().filter_map(|item| match &item.what {
            What::Background { background } => Some(background.as_str()),
            _ => None,
        })
    }

    /// Words that are told apart, one group a line.
    pub(super) fn contrasts(&self) -> impl Iterator<Item = &[String]> {
        self.items.iter().filter_map(|item| match &item.what {
            What::Contrast { contrast } => Some(contrast.as_slice()),
            _ => None,
        })
    }

    /// The words of all lines: dictionary, synonyms, protected terms, contrasts.
    pub fn words(&self) -> impl Iterator<Item = &String> {
        let is_words = |item: &&Item| !matches!(item.what, What::Stop { .. } | What::Background { .. });
        self.items.iter().filter(is_words).flat_map(|item| item.what.texts())
    }

    /// Terms that stay as they are.
    pub(super) fn protected(&self) -> impl Iterator<Item = &str> {
        self.items.iter().filter_map(|item| match &item.what {
            What::Protected { protected } => Some(protected.as_str()),
            _ => None,
        })
    }
}

/// What leads from one lexicon to another, line by line.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, utoipa::ToSchema)]
pub struct LexiconChanges {
    /// Lines that only the later one has, in its order.
    pub added: Vec<Item>,
    /// Lines that only the earlier one has, in its order.
    pub removed: Vec<Item>,
    /// Lines that both have and that differ, in the later order.
    pub changed: Vec<LineChange>,
    /// Lines that are the same in both.
    pub unchanged: usize,
}

/// A line of a lexicon before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct LineChange {
    /// In the earlier lexicon.
    pub before: Item,
    /// In the later one.
    pub after: Item,
}

struct Reader<'a> {
    name: &'a str,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn problem(&mut self, line: usize, column: usize, field: Option<&str>, message: impl Into<String>) {
        let (file, field) = (self.name.to_owned(), field.map(str::to_owned));
        self.problems.push(Problem { file, line, column, field, message: message.into() });
    }

    fn line(&mut self, line: usize, raw: &[u8]) -> Option<Item> {
        let text = match std::str::from_utf8(raw) {
            Ok(text) => text.trim_end_matches('\r'),
            Err(e) => {
                let column = String::from_utf8_lossy(&raw[..e.valid_up_to()]).chars().count() + 1;
                self.problem(line, column, None, "不是有效的 UTF-8 文字，请用 UTF-8 编码保存文件");
                return None;
            }
        };
        if text.trim().is_empty() {
            return None;
        }
        let mut object = match serde_json::from_str(text) {
            Ok(Value::Object(object)) => object,
            Ok(_) => {
                self.problem(line, 0, None, format!("每行应是一个 JSON 对象：{FORMS}"));
                return None;
            }
            Err(e) => {
                let before = text.get(..e.column().saturating_sub(1)).unwrap_or(text);
                let message = format!("不是有效的 JSON；每行应写成 {FORMS}");
                self.problem(line, before.chars().count() + 1, None, message);
                return None;
            }
        };
        object.retain(|_, value| !value.is_null());
        let found: Vec<&str> = KINDS.into_iter().filter(|kind| object.contains_key(*kind)).collect();
        let [kind] = found[..] else {
            let message = if found.is_empty() {
                format!("看不出这一行是什么；应写成 {FORMS}")
            } else {
                format!("一行只能写一种，这里同时有 {}；请分成几行", found.join("、"))
            };
            self.problem(line, 0, found.first().copied(), message);
            return None;
        };
        let before = self.problems.len();
        let known: &[&str] = match kind {
            "word" => &["word", "frequency", "tag", "note"],
            "synonyms" => &["synonyms", "canonical", "note"],
            "stop" => &["stop", "note"],
            "protected" => &["protected", "note"],
            "contrast" => &["contrast", "note"],
            _ => &["background", "note"],
        };
        for unknown in object.keys().filter(|key| !known.contains(&key.as_str())).cloned().collect::<Vec<_>>()
        {
            let message = format!("{kind} 这一行没有 {unknown} 这个字段；可用的字段：{}", known.join("、"));
            self.problem(line, 0, Some(&unknown), message);
        }
        let note = self.text(line, &mut object, "note");
        let what = match kind {
            "word" => What::Word {
                word: self.needed(line, &mut object, "word")?,
                frequency: self.frequency(line, &mut object),
                tag: self.text(line, &mut object, "tag"),
            },
            "synonyms" => What::Synonyms {
                synonyms: self.texts(line, &mut object, "synonyms")?,
                canonical: self.text(line, &mut object, "canonical"),
            },
            "stop" => What::Stop { stop: self.needed(line, &mut object, "stop")? },
            "protected" => What::Protected { protected: self.needed(line, &mut object, "protected")? },
            "contrast" => What::Contrast { contrast: self.texts(line, &mut object, "contrast")? },
            _ => What::Background { background: self.needed(line, &mut object, "background")? },
        };
        (self.problems.len() == before).then_some(Item { what, note })
    }

    /// A text that may be left out.
    fn text(&mut self, line: usize, object: &mut Map<String, Value>, field: &str) -> Option<String> {
        match object.remove(field)? {
            Value::String(text) => Some(text),
            other => {
                self.problem(line, 0, Some(field), format!("{field} 应是带引号的文字，这里是 {other}"));
                None
            }
        }
    }

    fn needed(&mut self, line: usize, object: &mut Map<String, Value>, field: &str) -> Option<String> {
        let text = self.text(line, object, field)?;
        if text.trim().is_empty() {
            self.problem(line, 0, Some(field), format!("{field} 是空白，请填写或删除这一行"));
            return None;
        }
        Some(text.trim().to_owned())
    }

    fn texts(&mut self, line: usize, object: &mut Map<String, Value>, field: &str) -> Option<Vec<String>> {
        let texts: Option<Vec<String>> = match object.remove(field)? {
            Value::Array(items) => items
                .into_iter()
                .map(|item| item.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned))
                .collect(),
            _ => None,
        };
        match texts {
            Some(texts) if !texts.is_empty() => Some(texts),
            _ => {
                let message =
                    format!("{field} 应是文字的列表，如 [\"退货\",\"退掉\"]，里面不能有空白或别的东西");
                self.problem(line, 0, Some(field), message);
                None
            }
        }
    }

    fn frequency(&mut self, line: usize, object: &mut Map<String, Value>) -> Option<usize> {
        let given = object.remove("frequency")?;
        let read = given.as_u64().filter(|&number| number <= MOST_FREQUENT);
        let read = read.and_then(|number| usize::try_from(number).ok());
        if read.is_none() {
            let message = format!("frequency 应是 0 到 {MOST_FREQUENT} 的整数（不带引号），这里是 {given}");
            self.problem(line, 0, Some("frequency"), message);
        }
        read
    }

    fn finish(mut self, items: Vec<(usize, Item)>) -> Result<AuthoredLexicon> {
        self.together(&items);
        let (lines, items): (Vec<usize>, Vec<Item>) = items.into_iter().unzip();
        let read = AuthoredLexicon { items };
        self.contrasts(&read, &lines);
        if !self.problems.is_empty() {
            self.problems.sort_by_key(|problem| (problem.line, problem.column));
            return Err(Error::Corpus(self.problems));
        }
        Ok(read)
    }

    /// Nothing is told apart that means the same, by these lines or by the
    /// shipped ones.
    fn contrasts(&mut self, read: &AuthoredLexicon, lines: &[usize]) {
        if read.contrasts().next().is_none() {
            return;
        }
        let lexicon = Lexicon::of(read, []);
        for (line, item) in lines.iter().zip(&read.items) {
            let What::Contrast { contrast } = &item.what else { continue };
            if contrast.len() < 2 {
                let message = "区分词至少要写两个，写的是顾客容易说混、答案却不同的东西";
                self.problem(*line, 0, Some("contrast"), message);
            }
            let mut meant: HashMap<String, String> = HashMap::new();
            for word in contrast {
                let key = lexicon.normalizer().written(word);
                let head = lexicon.canonical(&key).to_owned();
                // A word that stands here twice has been found.
                if let Some(other) = meant.insert(head, key.clone()).filter(|other| *other != key) {
                    let message = format!("“{other}”和“{word}”是同义词，不能又是区分词；请改一处");
                    self.problem(*line, 0, Some("contrast"), message);
                }
            }
        }
        if Contrasts::new(&lexicon.contrasted).is_err() {
            self.problem(0, 0, Some("contrast"), "区分词太多，请减少到几万个以内");
        }
    }

    /// Checks what holds between the lines.
    fn together(&mut self, items: &[(usize, Item)]) {
        let terms = items.iter().filter_map(|(_, item)| match &item.what {
            What::Protected { protected } => Some(protected.as_str()),
            _ => None,
        });
        let Ok(protected) = protecting(terms) else {
            self.problem(0, 0, Some("protected"), "保护词太多，请减少到几万个以内");
            return;
        };
        let normalizer = Normalizer::new(protected);
        let whole: HashSet<String> = items
            .iter()
            .filter_map(|(_, item)| match &item.what {
                What::Protected { protected } => Some(normalizer.written(protected)),
                _ => None,
            })
            .collect();
        let mut seen: HashMap<(&str, String), usize> = HashMap::new();
        let mut group_of: HashMap<String, usize> = HashMap::new();
        for (line, item) in items {
            let (kind, name) = item.what.name();
            for text in item.what.texts() {
                let key = normalizer.written(text);
                if let Err(message) = sound(&item.what, text, &key, whole.contains(&key)) {
                    self.problem(*line, 0, Some(kind), message);
                    continue;
                }
                if let Some(first) = seen.insert((kind, key), *line) {
                    let message = if first == *line {
                        format!("“{text}”在这一行写了两次")
                    } else if ["synonyms", "contrast"].contains(&kind) {
                        format!("“{text}”已在第 {first} 行的{name}里；一个词只能属于一组，请合并")
                    } else {
                        format!("{name}“{text}”在第 {first} 行已经有了，请删除一行")
                    };
                    self.problem(*line, 0, Some(kind), message);
                }
            }
            if let What::Synonyms { synonyms, canonical: Some(canonical) } = &item.what {
                let key = normalizer.written(canonical);
                if !synonyms.iter().any(|word| normalizer.written(word) == key) {
                    let group = synonyms.join("、");
                    let message = format!("标准词“{canonical}”不在这一组同义词（{group}）里，请加进去");
                    self.problem(*line, 0, Some("canonical"), message);
                }
            }
        }
        for (line, item) in items {
            match &item.what {
                What::Stop { stop } => {
                    let key = normalizer.written(stop);
                    if let Some(other) = seen.get(&("protected", key)) {
                        let message = format!("“{stop}”在第 {other} 行是保护词，不能又是停用词");
                        self.problem(*line, 0, Some("stop"), message);
                    }
                }
                What::Synonyms { synonyms, .. } if synonyms.len() > 1 => {
                    self.joins_one_group(*line, synonyms, &normalizer, &mut group_of);
                }
                _ => {}
            }
        }
    }

    /// Two groups of authors that a shipped group would make one are a
    /// mistake: which of their words should stand for all?
    fn joins_one_group(
        &mut self,
        line: usize,
        synonyms: &[String],
        normalizer: &Normalizer,
        group_of: &mut HashMap<String, usize>,
    ) {
        let shipped = Lexicon::shipped_once();
        let mut named = HashSet::new();
        for word in synonyms {
            let key = normalizer.written(word);
            let head = shipped.canonical(&key).to_owned();
            if head == key && shipped.group(&key).is_empty() {
                continue;
            }
            match group_of.get(&head) {
                Some(&other) if other != line => {
                    if named.insert(other) {
                        let group = shipped.group(&head).join(" ");
                        let message = format!(
                            "这一组和第 {other} 行都用到了内置的同义词组“{group}”，三组会连成一组；请把这两行合并成一行"
                        );
                        self.problem(line, 0, Some("synonyms"), message);
                    }
                }
                _ => {
                    group_of.insert(head, line);
                }
            }
        }
    }
}

/// Whether a text, which may be a protected term too, can do what its line
/// wants of it.
fn sound(what: &What, text: &str, key: &str, whole: bool) -> std::result::Result<(), String> {
    let (_, name) = what.name();
    if !key.chars().any(char::is_alphanumeric) {
        return Err(format!("{name}“{text}”里没有文字，只有标点、表情或空白"));
    }
    // What the dictionary's segmentation takes for one piece; anything else
    // ends a word.
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '+' | '#' | '&' | '.' | '_' | '%' | '-');
    match what {
        What::Word { .. } | What::Synonyms { .. } | What::Stop { .. } | What::Contrast { .. }
            if text.chars().count() > 50 =>
        {
            Err(format!("{name}“{text}”超过 50 个字，不像一个词"))
        }
        What::Word { .. } if key.chars().count() < 2 => {
            Err(format!("用户词“{text}”只有一个字；单字不用写，本来就会单独切开"))
        }
        What::Word { .. } | What::Synonyms { .. } | What::Stop { .. } if !whole && !key.chars().all(fits) => {
            Err(format!("{name}“{text}”里有空格或特殊符号，切词时会断开；请把它另写一行 protected（保护词）"))
        }
        What::Background { .. } if text.chars().count() > MAX_CHARS => {
            Err(format!("无关问题超过 {MAX_CHARS} 个字"))
        }
        _ => Ok(()),
    }
}
