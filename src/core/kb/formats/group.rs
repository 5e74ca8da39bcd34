//! What do the rows of one entry say together?
//!
//! Lists grow from row to row, single values must agree.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use time::{OffsetDateTime, UtcOffset};

use super::cells::{answers, list, rules, share, shortened, switch, unguarded_in};
use super::instant::{self, instant};
use super::phrasings::{Phrasings, phrasings, questions, tidied_answer, words};
use super::ruined::ruined;
use super::shown::{images, links};
use super::table::{Aside, Row};
use super::{FIELDS, Kind};
use crate::kb::{Entry, EntryId, Image, Link, Rule};

/// Characters that a cell may have: no spreadsheet holds as many.
const LONGEST: usize = 1_000_000;

/// One entry and the rows that speak of it.
#[derive(Default)]
pub(super) struct Group {
    pub line: usize,
    /// All rows that speak of it, in order.
    pub lines: Vec<usize>,
    /// Fields that hold one text.
    single: Vec<(&'static str, String)>,
    similar: Vec<String>,
    keywords: Vec<String>,
    related: Vec<String>,
    tags: Vec<String>,
    rules: Vec<Rule>,
    answers: BTreeMap<String, String>,
    images: Vec<Image>,
    links: Vec<Link>,
    valid_from: Option<OffsetDateTime>,
    valid_until: Option<OffsetDateTime>,
    max_wrong: Option<f64>,
    enabled: Option<bool>,
    pub faulty: bool,
    /// Fields in which something was ruined, and told of.
    pub told: Vec<&'static str>,
    /// The standard question as it stands in its cell.
    pub as_written: String,
}

impl Group {
    /// One of which a row begins to speak.
    pub(super) fn at(line: usize) -> Self {
        Self { line, ..Self::default() }
    }

    pub(super) fn text(&self, field: &str) -> &str {
        self.single.iter().find(|(name, _)| *name == field).map_or("", |(_, text)| text.as_str())
    }
}

/// What a cell says in a field; otherwise what is wrong with it.
pub(super) fn said<'a>(
    field: &'static str,
    column: usize,
    cell: &'a str,
    row: &Row,
) -> std::result::Result<Cow<'a, str>, String> {
    if cell.len() > LONGEST && cell.chars().count() > LONGEST {
        return Err(format!("这一格超过 {LONGEST} 个字，请拆开或缩短"));
    }
    let guarded = unguarded_in(field, cell);
    // What keeps a spreadsheet from taking digits for a number: ="007".
    let quoted = cell.trim().strip_prefix("=\"").and_then(|rest| rest.strip_suffix('"'));
    let text = guarded.or(quoted.filter(|inner| !inner.contains('"'))).unwrap_or(cell);
    if let (None, Some(message)) = (guarded, ruined(text)) {
        return Err(message);
    }
    let kind = FIELDS.iter().find(|known| known.name == field).map(|field| field.kind);
    for (_, aside) in row.asides.iter().filter(|(number, _)| *number == column) {
        match aside {
            Aside::Value(value) if matches!(kind, Some(Kind::Instant | Kind::Share)) => {
                return Ok(Cow::Owned(value.clone()));
            }
            Aside::Link(link)
                if matches!(field, "answer" | "answers" | "images" | "links")
                    && !text.contains(link.as_str()) =>
            {
                return Ok(Cow::Owned(format!("{} {link}", text.trim_end())));
            }
            _ => {}
        }
    }
    Ok(match (field, guarded) {
        // A guard says that it is meant as it stands; so it is not looked at again.
        ("question", Some(text)) => Cow::Owned(format!("'{text}")),
        ("answer", None) => Cow::Borrowed(tidied_answer(text)),
        _ => Cow::Borrowed(text),
    })
}

/// Gives questions back what was taken from around them where only that keeps
/// them apart: 【黑色】多少钱 and 【白色】多少钱.
pub(super) fn apart_again(groups: &mut [Group]) {
    if !groups.iter().any(|group| group.as_written.trim_start().starts_with('【')) {
        return;
    }
    let mut count: HashMap<String, usize> = HashMap::new();
    for group in groups.iter() {
        *count.entry(group.text("question").to_owned()).or_default() += 1;
    }
    for group in groups {
        let written = group.as_written.trim();
        if written.starts_with('【') && count.get(group.text("question")).is_some_and(|count| *count > 1) {
            let written = written.to_owned();
            group.put("question", &written);
        }
    }
}

impl Group {
    /// Puts a text in the place of what a field holds.
    fn put(&mut self, field: &'static str, text: &str) {
        match self.single.iter_mut().find(|(name, _)| *name == field) {
            Some((_, known)) => text.clone_into(known),
            None => self.single.push((field, text.to_owned())),
        }
    }

    /// Where there is no standard question, the first of the others is one,
    /// and else the title of a segment.
    pub(super) fn find_question(&mut self, segments: bool) {
        if !self.text("question").is_empty() {
            return;
        }
        if !self.similar.is_empty() {
            let first = self.similar.remove(0);
            self.put("question", &first);
        } else if segments && let Some(at) = self.single.iter().position(|(name, _)| *name == "topic") {
            let (_, title) = self.single.remove(at);
            self.put("question", &title);
        }
    }

    pub(super) fn entry(mut self) -> Entry {
        let mut single = |field: &str| {
            let at = self.single.iter().position(|(name, _)| *name == field)?;
            Some(self.single.swap_remove(at).1)
        };
        let question = single("question").unwrap_or_default();
        Entry {
            id: single("id").map_or_else(|| EntryId::derived(&question), EntryId),
            question,
            similar: self.similar,
            answer: single("answer").unwrap_or_default(),
            keywords: self.keywords,
            rules: self.rules,
            topic: single("topic"),
            tags: self.tags,
            valid_from: self.valid_from,
            valid_until: self.valid_until,
            answers: self.answers,
            images: self.images,
            links: self.links,
            max_wrong: self.max_wrong,
            related: self.related.into_iter().map(EntryId).collect(),
            enabled: self.enabled.unwrap_or(true),
        }
    }

    /// Takes what a cell says. In a further row of the same entry, single
    /// values must agree and lists grow. Returns what the author should know.
    pub(super) fn add(
        &mut self,
        field: &'static str,
        cell: &str,
        further: bool,
        zone: UtcOffset,
    ) -> std::result::Result<Option<String>, String> {
        let differs = || "同一个条目的几行在这一列写得不一样，请只在第一行写，或写成一样".to_owned();
        // In further rows what is known already is a repetition, for instance
        // of a merged cell; in the first row the author's list is kept as it is.
        let extend = |known: &mut Vec<String>, more: Vec<String>| {
            for item in more {
                if !(further && known.contains(&item)) {
                    known.push(item);
                }
            }
        };
        let set = |known: &mut Option<OffsetDateTime>| {
            let new = instant(cell, zone).ok_or_else(|| {
                let cell = cell.trim();
                // What a spreadsheet stores for a date that is formatted as a number.
                let hint = if cell.parse::<f64>().is_ok() {
                    "；如果它本来是日期，请把这一列设成日期格式"
                } else {
                    ""
                };
                format!("“{cell}”不是有效的时间，应写成 {}{hint}", instant::FORMS)
            })?;
            if known.replace(new).is_some_and(|old| old != new) { Err(differs()) } else { Ok(None) }
        };
        let looks_like_a_list = |doubtful: Option<String>| {
            doubtful.map(|text| {
                format!("“{}”像是几条写在了一起，没有拆开；要拆开请换行，或用 | 分隔", shortened(&text))
            })
        };
        match field {
            "similar" => {
                let Phrasings { texts, doubtful } = phrasings(cell);
                let more: Vec<String> =
                    texts.into_iter().filter(|text| !further || text != self.text("question")).collect();
                extend(&mut self.similar, more);
                return Ok(looks_like_a_list(doubtful));
            }
            "keywords" | "tags" => {
                let Phrasings { texts, doubtful } = words(cell);
                extend(if field == "tags" { &mut self.tags } else { &mut self.keywords }, texts);
                return Ok(looks_like_a_list(doubtful));
            }
            "related" => extend(&mut self.related, list(cell)),
            "question" => {
                let read = match cell.strip_prefix('\'').filter(|_| unguarded_in(field, cell).is_some()) {
                    Some(meant) => Phrasings { texts: vec![meant.to_owned()], doubtful: None },
                    None => questions(cell),
                };
                if self.as_written.is_empty() {
                    cell.clone_into(&mut self.as_written);
                }
                for text in read.texts {
                    match self.text("question") {
                        "" => self.single.push((field, text)),
                        known if *known == text => {}
                        // One more question under the same id is one more phrasing.
                        _ if self.similar.contains(&text) => {}
                        _ => self.similar.push(text),
                    }
                }
                return Ok(looks_like_a_list(read.doubtful));
            }
            "rules" => {
                for rule in rules(cell)? {
                    if !(further && self.rules.contains(&rule)) {
                        self.rules.push(rule);
                    }
                }
            }
            "answers" => {
                for (channel, text) in answers(cell)? {
                    if self.answers.get(&channel).is_some_and(|known| *known != text) {
                        return Err(differs());
                    }
                    self.answers.insert(channel, text);
                }
            }
            "images" => {
                for image in images(cell)? {
                    if !(further && self.images.contains(&image)) {
                        self.images.push(image);
                    }
                }
            }
            "links" => {
                for link in links(cell)? {
                    if !(further && self.links.contains(&link)) {
                        self.links.push(link);
                    }
                }
            }
            "valid_from" => return set(&mut self.valid_from),
            "valid_until" => return set(&mut self.valid_until),
            "max_wrong" => {
                let share = share(cell).ok_or_else(|| {
                    format!("“{}”应写成 0 到 1 之间的小数，如 0.01，或百分数，如 1%", cell.trim())
                })?;
                if self.max_wrong.replace(share).is_some_and(|old| old != share) {
                    return Err(differs());
                }
            }
            "enabled" => {
                let on = switch(cell)
                    .ok_or_else(|| format!("“{}”应写成 true/false、是/否 或 1/0", cell.trim()))?;
                if self.enabled.replace(on).is_some_and(|old| old != on) {
                    return Err(differs());
                }
            }
            _ => {
                let text = if matches!(field, "id" | "topic") { cell.trim() } else { cell };
                match self.single.iter().find(|(name, _)| *name == field) {
                    None => self.single.push((field, text.to_owned())),
                    Some((_, known)) if known == text => {}
                    Some(_) => return Err(differs()),
                }
            }
        }
        Ok(None)
    }
}
