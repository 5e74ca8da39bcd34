//! Is the knowledge base in good health (知识体检)?
//!
//! Here is what the entries themselves show. What only asking them shows is in
//! [`crate::release::checkup`]. Findings are for authors, so they are in
//! Chinese, and each says what to do.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use time::{Duration, OffsetDateTime};

use super::{Entry, EntryId, KnowledgeBase};
use crate::text::{Normalized, exact_key};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Must be mended before publishing.
    Error,
    /// Customers will probably suffer from it.
    Warning,
    /// Worth a look.
    Info,
}

impl Severity {
    /// The name that authors read.
    pub fn chinese(self) -> &'static str {
        match self {
            Self::Error => "错误",
            Self::Warning => "警告",
            Self::Info => "提示",
        }
    }
}

/// Something that an author should look at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of finding it is; stable, for programs.
    pub code: &'static str,
    /// The entries it is about, the one to change first.
    pub entries: Vec<EntryId>,
    /// The phrasings, keywords or ids it is about, if any.
    pub texts: Vec<String>,
    /// The score behind it, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f32>,
    /// What is the matter, in Chinese.
    pub message: String,
    /// What to do about it, in Chinese.
    pub fix: String,
}

/// An entry that a finding is about, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// Its id.
    pub id: EntryId,
    /// Its place in the knowledge base, from 1.
    pub number: usize,
    /// Its standard question.
    pub question: String,
}

/// The entries of a knowledge base by their ids, for [`Subject`]s.
pub struct Subjects<'a>(HashMap<&'a EntryId, (usize, &'a Entry)>);

impl<'a> Subjects<'a> {
    /// Those of a knowledge base.
    pub fn of(base: &'a KnowledgeBase) -> Self {
        Self((1..).zip(base.entries()).map(|(number, entry)| (&entry.id, (number, entry))).collect())
    }

    /// The entries that a finding is about, as far as they are there.
    pub fn named(&self, finding: &Finding) -> Vec<Subject> {
        let find = |id: &EntryId| {
            let (number, entry) = self.0.get(id)?;
            Some(Subject { id: id.clone(), number: *number, question: entry.question.clone() })
        };
        finding.entries.iter().filter_map(find).collect()
    }
}

/// A finding as programs get it, with the entries that it is about in words.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Told {
    /// What was found.
    #[serde(flatten)]
    pub finding: Finding,
    /// What [`Finding::entries`] names.
    pub subjects: Vec<Subject>,
}

/// Findings with the entries that they are about in words.
pub fn told(findings: &[Finding], base: &KnowledgeBase) -> Vec<Told> {
    let known = Subjects::of(base);
    let tell = |finding: &Finding| Told { finding: finding.clone(), subjects: known.named(finding) };
    findings.iter().map(tell).collect()
}

/// Every kind of finding with what it means, in Chinese: a list that programs
/// may rely on. Kinds are added, never renamed.
pub const CODES: [(&str, &str); 28] = [
    ("empty_knowledge_base", "知识库里没有启用的条目"),
    ("empty_answer", "答案是空的或只有标点"),
    ("conflict", "两个条目有同样的问题，答案却不同"),
    ("near_duplicate", "两个条目有同样的问题和答案"),
    ("alike", "两个条目的问法很像，只差个别词"),
    ("look_alike", "两个条目分不开，问到它们时不直接回答，而是反问"),
    ("confusable", "去掉某个问法以后拿它去问，先找到的是别的条目"),
    ("not_found", "拿条目自己的问法去检索，排在第一的却是别的条目"),
    ("scattered", "条目的问法彼此都找不到"),
    ("duplicate_phrasing", "同一条目里写了两次的问法"),
    ("short_phrasing", "太短的问法"),
    ("general_phrasing", "没有说是什么事的问法"),
    ("short_answer", "太短的答案"),
    ("image_without_words", "图片没有说明"),
    ("insecure_address", "图片的网址不是 https，网页上显示不出来"),
    ("expired", "已经失效的答案"),
    ("expires_soon", "快要失效的答案"),
    ("keyword_is_phrasing", "关键词正好是别的条目的问法，不会起作用"),
    ("rule_takes_other", "规则也会抓住别的条目的问法"),
    ("background_is_ours", "词表里的无关问题其实是某个条目的问法或关键词"),
    ("dangling_related", "相关问题不存在"),
    ("disabled_related", "相关问题已停用"),
    ("expired_related", "相关问题已失效"),
    ("self_related", "相关问题里有条目自己"),
    ("duplicate_related", "相关问题写了两次"),
    ("service_fault", "服务文件里有写错的地方"),
    ("rule_test", "转人工规则自己的测试不通过"),
    ("service_entry", "服务文件里的条目不存在或已停用"),
];

/// Answers with fewer characters than this hardly help anybody.
const SHORT_ANSWER: usize = 5;

/// Phrasings with fewer characters (fillers taken off) than this say too little.
const SHORT_PHRASING: usize = 2;

/// How many days before an answer expires its author should know, unless the
/// author says otherwise.
pub const EXPIRY_NOTICE: u16 = 30;

/// What the entries show at a moment, worst first.
pub fn check(base: &KnowledgeBase, now: OffsetDateTime) -> Vec<Finding> {
    check_ahead(base, now, EXPIRY_NOTICE)
}

/// What the entries show at a moment, worst first; answers that expire within
/// `days` are among it.
pub fn check_ahead(base: &KnowledgeBase, now: OffsetDateTime, days: u16) -> Vec<Finding> {
    let notice = Duration::days(i64::from(days));
    let mut findings = Vec::new();
    let live: Vec<&Entry> = base.enabled().collect();
    if live.is_empty() {
        findings.push(Finding {
            severity: Severity::Error,
            code: "empty_knowledge_base",
            entries: Vec::new(),
            texts: Vec::new(),
            score: None,
            message: "知识库里没有启用的条目".to_owned(),
            fix: "至少写一个条目，或启用已有的条目".to_owned(),
        });
    }
    let known: HashMap<&EntryId, &Entry> = base.entries().iter().map(|entry| (&entry.id, entry)).collect();
    let mut owners: HashMap<String, &Entry> = HashMap::new();
    for entry in &live {
        for text in entry.phrasings() {
            owners.entry(exact_key(text)).or_insert(entry);
        }
    }
    for entry in live {
        phrasings(entry, &mut findings);
        answers(entry, &mut findings);
        images(entry, &mut findings);
        validity(entry, now, notice, &mut findings);
        related(entry, &known, now, &mut findings);
        for keyword in &entry.keywords {
            if let Some(other) = owners.get(&exact_key(keyword)).filter(|other| other.id != entry.id) {
                findings.push(Finding {
                    severity: Severity::Warning,
                    code: "keyword_is_phrasing",
                    entries: vec![entry.id.clone(), other.id.clone()],
                    texts: vec![keyword.clone()],
                    score: None,
                    message: format!(
                        "关键词“{keyword}”正好是“{}”的一个问法，这个关键词永远不会起作用",
                        other.id
                    ),
                    fix: format!("从“{}”删除这个关键词，或从“{}”删除这个问法", entry.id, other.id),
                });
            }
        }
    }
    background(base, &owners, &mut findings);
    sort(&mut findings);
    findings
}

/// What a knowledge base answers is no stranger to it.
fn background(base: &KnowledgeBase, owners: &HashMap<String, &Entry>, findings: &mut Vec<Finding>) {
    for text in base.lexicon().background() {
        let key = exact_key(text);
        let by_keyword = || {
            let mut entries = base.enabled();
            entries.find(|entry| entry.keywords.iter().any(|keyword| exact_key(keyword) == key))
        };
        let Some(entry) = owners.get(&key).copied().or_else(by_keyword) else { continue };
        let message = format!("词表说“{text}”是无关问题，它却是“{}”的问法或关键词", entry.id);
        let fix = "从词表里删除这个无关问题，或从条目里删除这个问法";
        let texts = vec![text.to_owned()];
        findings.push(about(entry, Severity::Warning, "background_is_ours", texts, message, fix));
    }
}

/// Worst first, then by kind; findings of a kind stay in the order of the entries.
pub fn sort(findings: &mut [Finding]) {
    findings.sort_by_key(|finding| (finding.severity, finding.code));
}

fn about(
    entry: &Entry,
    severity: Severity,
    code: &'static str,
    texts: Vec<String>,
    message: String,
    fix: &str,
) -> Finding {
    Finding {
        severity,
        code,
        entries: vec![entry.id.clone()],
        texts,
        score: None,
        message,
        fix: fix.to_owned(),
    }
}

fn phrasings(entry: &Entry, findings: &mut Vec<Finding>) {
    let mut seen: HashMap<String, &str> = HashMap::new();
    for text in entry.phrasings() {
        let Normalized { exact, core, .. } = Normalized::new(text);
        if let Some(first) = seen.insert(exact, text) {
            let message = if first == text {
                format!("问法“{text}”写了两次")
            } else {
                format!("问法“{text}”与“{first}”只差标点、大小写、繁简或数字的写法，等于写了两次")
            };
            let texts = vec![first.to_owned(), text.to_owned()];
            findings.push(about(
                entry,
                Severity::Warning,
                "duplicate_phrasing",
                texts,
                message,
                "删除其中一个",
            ));
        }
        let length = core.chars().count();
        if length < SHORT_PHRASING {
            let message = if length == 0 {
                format!("问法“{text}”除了客套话什么也没说")
            } else {
                format!("问法“{text}”太短，说明不了问题")
            };
            let fix = "写成完整的问题；如果顾客真的只打这几个字，请改成关键词";
            findings.push(about(
                entry,
                Severity::Warning,
                "short_phrasing",
                vec![text.to_owned()],
                message,
                fix,
            ));
        }
    }
}

fn answers(entry: &Entry, findings: &mut Vec<Finding>) {
    let common = std::iter::once(("", &entry.answer));
    for (channel, answer) in
        common.chain(entry.answers.iter().map(|(channel, text)| (channel.as_str(), text)))
    {
        let which =
            if channel.is_empty() { "答案".to_owned() } else { format!("渠道“{channel}”的答案") };
        let said = answer.chars().filter(|c| c.is_alphanumeric()).count();
        if said == 0 {
            let message = format!("{which}是空的或只有标点");
            findings.push(about(
                entry,
                Severity::Error,
                "empty_answer",
                Vec::new(),
                message,
                "写上答案，或停用这个条目",
            ));
        } else if said < SHORT_ANSWER {
            let message = format!("{which}只有 {said} 个字：“{}”", answer.trim());
            let fix = "说清楚怎么做、在哪里、多久；如果就该这么短，可以不管";
            findings.push(about(entry, Severity::Warning, "short_answer", Vec::new(), message, fix));
        }
    }
}

fn images(entry: &Entry, findings: &mut Vec<Finding>) {
    let bare: Vec<String> = entry
        .images
        .iter()
        .filter(|image| image.alt.trim().is_empty())
        .map(|image| image.url.clone())
        .collect();
    if !bare.is_empty() {
        let message = format!("有 {} 张图片没有说明，看不见图片的顾客不知道它是什么", bare.len());
        let fix = "给每张图片写一句说明";
        findings.push(about(entry, Severity::Warning, "image_without_words", bare, message, fix));
    }
    let pictures =
        entry.images.iter().map(|image| &image.url).chain(entry.links.iter().map(|link| &link.image));
    let plain: Vec<String> =
        pictures.filter(|url| url.to_ascii_lowercase().starts_with("http://")).cloned().collect();
    if !plain.is_empty() {
        let message = format!("有 {} 张图片的网址以 http:// 开头，网页聊天窗口里只会显示成链接", plain.len());
        let fix = "换成以 https:// 开头的网址";
        findings.push(about(entry, Severity::Warning, "insecure_address", plain, message, fix));
    }
}

fn validity(entry: &Entry, now: OffsetDateTime, notice: Duration, findings: &mut Vec<Finding>) {
    let Some(until) = entry.valid_until else { return };
    if until <= now {
        let message = format!("答案已在 {} 失效，不会再给顾客", until.date());
        let fix = "更新答案和失效时间，或停用、删除这个条目";
        findings.push(about(entry, Severity::Warning, "expired", Vec::new(), message, fix));
    } else if until - now <= notice {
        let days = (until - now).whole_days();
        let message = format!("答案将在 {} 失效（还有 {days} 天）", until.date());
        findings.push(about(
            entry,
            Severity::Info,
            "expires_soon",
            Vec::new(),
            message,
            "确认到期以后怎么回答，提前准备新答案",
        ));
    }
}

fn related(
    entry: &Entry,
    known: &HashMap<&EntryId, &Entry>,
    now: OffsetDateTime,
    findings: &mut Vec<Finding>,
) {
    let mut seen = HashSet::new();
    for id in &entry.related {
        let (severity, code, message) = if *id == entry.id {
            (Severity::Warning, "self_related", "相关问题里写了条目自己".to_owned())
        } else if !seen.insert(id) {
            (Severity::Info, "duplicate_related", format!("相关问题“{id}”写了两次"))
        } else {
            match known.get(id) {
                None => (Severity::Warning, "dangling_related", format!("相关问题“{id}”不存在")),
                Some(other) if !other.enabled => {
                    (Severity::Warning, "disabled_related", format!("相关问题“{id}”已停用，不会发布"))
                }
                Some(other) if other.valid_until.is_some_and(|until| until <= now) => {
                    (Severity::Warning, "expired_related", format!("相关问题“{id}”已失效，不会再给顾客"))
                }
                Some(_) => continue,
            }
        };
        let fix = "改成正确的编号，或从相关问题里删除";
        findings.push(about(entry, severity, code, vec![id.to_string()], message, fix));
    }
}
