//! How does this knowledge base speak?
//!
//! Every text that is no authored answer is data of the knowledge base, with
//! good Chinese as the default. Texts are given to customers verbatim.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Reading;
use super::reading::Unclear;
use super::small_talk::Topic;
use crate::decide::Decision;
use crate::engine::Outcome;
use crate::error::{Error, Problem, Result};
use crate::kb::{Entry, EntryId};
use crate::text::exact_key;

/// The longest text of a voice in characters: what stands in one chat bubble.
const LONGEST: usize = 500;

/// The most quick questions: what a phone shows without scrolling.
const MOST_QUICK: usize = 12;

/// The most phrases of small talk that a knowledge base adds.
const MOST_PHRASES: usize = 200;

/// The texts of a knowledge base around its answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Voice {
    /// What a conversation begins with.
    pub greeting: String,
    /// The questions below the greeting.
    pub quick_questions: QuickQuestions,
    /// What is shown below an answer as worth reading next.
    pub related: Related,
    /// Before the questions to choose from.
    pub clarify: String,
    /// When a choice was not understood, before the same questions.
    pub choose_again: String,
    /// When none of the questions offered was meant.
    pub none_of_these: String,
    /// When nothing fits.
    pub no_answer: String,
    /// When some of several questions are answered or offered, and nothing fits another one.
    pub partly: String,
    /// When a person takes over.
    pub handed_off: String,
    /// When somebody who waits for a person does not want one any more.
    pub withdrawn: String,
    /// When no person is there.
    pub outside_hours: String,
    /// When the customer says that this is all.
    pub closing: String,
    /// Replies to small talk by topic; what is not named has the shipped text,
    /// an empty text switches a topic off.
    pub small_talk: BTreeMap<Topic, String>,
    /// Small talk of the knowledge base's own.
    pub phrases: Vec<Phrase>,
}

/// The questions below the greeting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuickQuestions {
    /// How many are shown, when they are those that are asked most.
    #[serde(default = "some")]
    pub most_asked: usize,
    /// These entries, in this order; empty: those that are asked most.
    #[serde(default)]
    pub entries: Vec<EntryId>,
}

/// What is shown below an answer as worth reading next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Related {
    /// What the answer's author names.
    #[default]
    Authored,
    /// That, and while there is room what customers ask after it.
    Asked,
}

fn some() -> usize {
    5
}

impl Default for QuickQuestions {
    fn default() -> Self {
        Self { most_asked: some(), entries: Vec::new() }
    }
}

/// Small talk of a knowledge base's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phrase {
    /// What a customer may say, whole; compared in its normal form.
    pub says: Vec<String>,
    /// What is replied.
    pub reply: String,
}

impl Default for Voice {
    fn default() -> Self {
        Self {
            greeting: "您好，请问有什么可以帮您？直接输入问题就可以，也可以点下面的常见问题。".to_owned(),
            quick_questions: QuickQuestions::default(),
            related: Related::default(),
            clarify: "请问您想问的是下面哪一个？回复序号或直接点选都可以。".to_owned(),
            choose_again: "没有找到您选的这一项，请从下面的问题里再选一次；都不是的话，回复“都不是”就可以。"
                .to_owned(),
            none_of_these: "好的，请您换个说法再描述一下，或者回复“转人工”由人工客服为您处理。".to_owned(),
            no_answer: "抱歉，这个问题我暂时答不上来。您可以换个说法再问一次，或者回复“转人工”。".to_owned(),
            partly: "您的问题里还有我暂时答不上来的，请换个说法单独再问一次，或者回复“转人工”。".to_owned(),
            handed_off: "正在为您转接人工客服，请稍候。".to_owned(),
            withdrawn: "好的，已为您取消人工排队。有问题可以接着问我，需要人工时回复“转人工”就可以。"
                .to_owned(),
            outside_hours: "现在是人工客服的休息时间。您可以先留言，我们上班后会尽快与您联系。".to_owned(),
            closing: "好的，有需要随时找我。祝您生活愉快！".to_owned(),
            small_talk: BTreeMap::new(),
            phrases: Vec::new(),
        }
    }
}

/// A service document with one more phrase of small talk at its end.
///
/// # Errors
/// [`Error::Corpus`] when it has a list of phrases that cannot be added to: one in
/// a single line.
pub fn with_phrase(text: &str, says: &[&String], reply: &str) -> Result<String> {
    // Strings and lists of them are written in TOML as in JSON.
    let failed = |e| Error::internal("service", e);
    let says = serde_json::to_string(says).map_err(failed)?;
    let reply = serde_json::to_string(reply).map_err(failed)?;
    let mut longer = text.trim_end().to_owned();
    if !longer.is_empty() {
        longer.push_str("\n\n");
    }
    longer.push_str(&format!("[[voice.phrases]]\nsays = {says}\nreply = {reply}\n"));
    if toml::from_str::<toml::Table>(text).is_ok() && toml::from_str::<toml::Table>(&longer).is_err() {
        let message =
            "文件里的 phrases 写成了一行，加不进去；请改成每条一张 [[voice.phrases]] 表，再采纳一次";
        return Err(Error::Corpus(vec![Problem {
            file: "service.toml".to_owned(),
            line: 0,
            column: 0,
            field: Some("voice.phrases".to_owned()),
            message: message.to_owned(),
        }]));
    }
    Ok(longer)
}

impl Voice {
    /// What is replied to small talk; `None` when its author wants none.
    pub fn small_talk(&self, topic: Topic) -> Option<&str> {
        let text = self.small_talk.get(&topic).map_or_else(|| topic.shipped(), String::as_str);
        Some(text).filter(|text| !text.trim().is_empty())
    }

    /// What is said beside a turn's answer or list, if anything is.
    pub fn words(&self, reading: &Reading, outcome: &Outcome) -> Option<String> {
        let partly = (outcome.open > 0).then_some(self.partly.as_str());
        let parts = [self.own_words(reading, outcome), partly].into_iter().flatten();
        let told: Vec<&str> = parts.filter(|text| !text.trim().is_empty()).collect();
        (!told.is_empty()).then(|| told.join("\n"))
    }

    fn own_words(&self, reading: &Reading, outcome: &Outcome) -> Option<&str> {
        let text: &str = match (reading, outcome.decision) {
            (Reading::SmallTalk(topic), _) => return self.small_talk(*topic),
            (Reading::Phrase(at), _) => &self.phrases.get(*at)?.reply,
            (Reading::Ended, _) => &self.closing,
            (Reading::Waiting, _) => &self.handed_off,
            (Reading::Withdrawn, _) => &self.withdrawn,
            (Reading::NoneOfThese, _) => &self.none_of_these,
            (Reading::Unclear(Unclear::Several), _) => &self.clarify,
            (Reading::Unclear(_), _) => &self.choose_again,
            // Nothing is to be chosen.
            (_, Decision::Clarify) if outcome.is_all_answered() => return None,
            (_, Decision::Clarify) => &self.clarify,
            (_, Decision::Handoff) => &self.no_answer,
            (_, Decision::Answer) => return None,
        };
        Some(text)
    }

    /// What is wrong with it: fields with their places (`phrases[1].says[2]`,
    /// counted from 1), and what to do, in Chinese.
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let texts = [
            ("greeting", &self.greeting),
            ("clarify", &self.clarify),
            ("choose_again", &self.choose_again),
            ("none_of_these", &self.none_of_these),
            ("no_answer", &self.no_answer),
            ("partly", &self.partly),
            ("handed_off", &self.handed_off),
            ("withdrawn", &self.withdrawn),
            ("outside_hours", &self.outside_hours),
            ("closing", &self.closing),
        ];
        for (field, text) in texts {
            if text.trim().is_empty() {
                faults.push((field.to_owned(), "不能为空；删掉这一项就会用默认的话".to_owned()));
            }
        }
        let named = texts.into_iter().map(|(field, text)| (field.to_owned(), text));
        let table =
            self.small_talk.iter().map(|(topic, text)| (format!("small_talk.{}", topic.name()), text));
        let replies =
            (1..).zip(&self.phrases).map(|(at, phrase)| (format!("phrases[{at}].reply"), &phrase.reply));
        for (field, text) in named.chain(table).chain(replies) {
            let length = text.chars().count();
            if length > LONGEST {
                faults.push((field, format!("有 {length} 个字，最多 {LONGEST} 个；请写短一些")));
            }
        }
        let quick = &self.quick_questions;
        if quick.entries.len() > MOST_QUICK {
            let message = format!("有 {} 个，最多 {MOST_QUICK} 个；请只留最常用的", quick.entries.len());
            faults.push(("quick_questions.entries".to_owned(), message));
        }
        if quick.most_asked > MOST_QUICK {
            let message = format!("是 {}，最多 {MOST_QUICK}", quick.most_asked);
            faults.push(("quick_questions.most_asked".to_owned(), message));
        }
        for (at, id) in quick.entries.iter().enumerate().filter(|(at, id)| quick.entries[..*at].contains(id))
        {
            faults.push((format!("quick_questions.entries[{}]", at + 1), format!("条目“{id}”写了两次")));
        }
        faults.extend(self.faults_of_phrases());
        faults
    }

    fn faults_of_phrases(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let count: usize = self.phrases.iter().map(|phrase| phrase.says.len()).sum();
        if count > MOST_PHRASES {
            faults.push(("phrases".to_owned(), format!("共有 {count} 句，最多 {MOST_PHRASES} 句")));
        }
        let mut known: BTreeMap<String, String> = BTreeMap::new();
        for (at, phrase) in (1..).zip(&self.phrases) {
            if phrase.says.is_empty() {
                faults.push((format!("phrases[{at}].says"), "不能为空；请写上顾客会说的话".to_owned()));
            }
            if phrase.reply.trim().is_empty() {
                faults.push((format!("phrases[{at}].reply"), "不能为空；请写上要回复的话".to_owned()));
            }
            for (number, says) in (1..).zip(&phrase.says) {
                let (field, key) = (format!("phrases[{at}].says[{number}]"), exact_key(says));
                if key.is_empty() {
                    faults.push((field, "里面没有文字".to_owned()));
                } else if let Some(other) = known.get(&key) {
                    let message = format!("“{says}”与 {other} 相同；同一句话只能有一种回复");
                    faults.push((field, message));
                } else {
                    known.insert(key, field);
                }
            }
        }
        faults
    }

    /// The quick questions that no customer can be shown, given the entries of
    /// the knowledge base: fields with what is wrong, as [`Self::faults`].
    pub fn faults_among(&self, entries: &[Entry]) -> Vec<(String, String)> {
        let fault = |(at, id): (usize, &EntryId)| {
            let message = match entries.iter().find(|entry| entry.id == *id) {
                None => format!("知识库里没有编号为“{id}”的条目"),
                Some(entry) if !entry.enabled => format!("条目“{id}”已停用，顾客看不到它"),
                Some(_) => return None,
            };
            Some((format!("quick_questions.entries[{at}]"), message))
        };
        (1..).zip(&self.quick_questions.entries).filter_map(fault).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::Reason;

    #[test]
    fn every_reading_has_its_words() {
        let voice = Voice::default();
        let of = |decision| Outcome::bare(decision, Reason::NoMatch);
        let (clarify, answer) = (of(Decision::Clarify), of(Decision::Answer));
        let outside = voice.words(&Reading::Unclear(Unclear::Outside), &clarify);
        assert_eq!(outside.as_ref(), Some(&voice.choose_again));
        assert_eq!(voice.words(&Reading::AsIs, &clarify).as_ref(), Some(&voice.clarify));
        assert_eq!(voice.words(&Reading::AsIs, &answer), None, "the answer speaks for itself");
        assert_eq!(voice.words(&Reading::Ended, &answer).as_ref(), Some(&voice.closing));
        assert_eq!(voice.words(&Reading::Waiting, &answer).as_ref(), Some(&voice.handed_off));
        assert_eq!(voice.words(&Reading::Withdrawn, &answer).as_ref(), Some(&voice.withdrawn));
        let both = |sure: &[usize]| Outcome { offered: 2, sure: sure.to_vec(), ..of(Decision::Clarify) };
        let (listed, told) = (voice.words(&Reading::AsIs, &both(&[1])), both(&[1, 2]));
        assert_eq!(listed.as_ref(), Some(&voice.clarify), "one is not sure");
        assert_eq!(voice.words(&Reading::AsIs, &told), None, "all are answered");
        let told = Outcome { open: 1, ..told };
        assert_eq!(voice.words(&Reading::AsIs, &told).as_ref(), Some(&voice.partly));
        let listed = voice.words(&Reading::AsIs, &Outcome { open: 2, ..both(&[1]) }).expect("both");
        assert!(listed.starts_with(&voice.clarify) && listed.ends_with(&voice.partly), "{listed}");
        for topic in Topic::ALL {
            assert!(voice.words(&Reading::SmallTalk(topic), &answer).is_some(), "{}", topic.name());
        }
        assert_eq!(voice.faults(), [], "the shipped voice is sound");
    }

    #[test]
    fn a_phrase_is_added_at_the_end() {
        let says = ["吃了吗".to_owned(), "你\"饿\"吗".to_owned()];
        let says: Vec<&String> = says.iter().collect();
        let once = with_phrase("", &says, "我不用吃饭。\n请问有什么可以帮您？").expect("added");
        let twice = with_phrase(&once, &says[..1], "b").expect("added");
        let document: toml::Table = toml::from_str(&twice).expect("TOML");
        let voice: Voice = document["voice"].clone().try_into().expect("a voice");
        assert_eq!(voice.phrases.len(), 2);
        assert_eq!((voice.phrases[0].says[1].as_str(), voice.phrases[1].reply.as_str()), ("你\"饿\"吗", "b"));
        let inline = "[voice]\nphrases = [{ says = [\"a\"], reply = \"b\" }]\n";
        let error = with_phrase(inline, &says, "c").expect_err("cannot be added to").to_string();
        assert!(error.contains("[[voice.phrases]]"), "{error}");
        let with_hours =
            with_phrase("# 说明\n[voice]\nclosing = \"再见\"\n[hours]\n", &says, "c").expect("added");
        assert!(with_hours.starts_with("# 说明"));
    }

    #[test]
    fn faults_name_the_field() {
        let text = "closing = \"\"\n[small_talk]\nthanks = \"不谢\"\n[[phrases]]\nsays = [\"敲敲\", \"敲 敲\", \"！\"]\nreply = \" \"\n[quick_questions]\nmost_asked = 40\nentries = [\"a\", \"a\"]";
        let voice: Voice = toml::from_str(text).unwrap();
        assert_eq!(voice.small_talk(Topic::Thanks), Some("不谢"));
        let fields: Vec<String> = voice.faults().into_iter().map(|(field, _)| field).collect();
        let expected = [
            "closing",
            "quick_questions.most_asked",
            "quick_questions.entries[2]",
            "phrases[1].reply",
            "phrases[1].says[2]",
            "phrases[1].says[3]",
        ];
        assert_eq!(fields, expected);
        assert_eq!(voice.faults_among(&[]).len(), 2);
        assert!(toml::from_str::<Voice>("greetings = \"您好\"").is_err(), "an unknown field");
        assert!(toml::from_str::<Voice>("[small_talk]\nthank = \"不谢\"").is_err(), "an unknown topic");
    }
}
