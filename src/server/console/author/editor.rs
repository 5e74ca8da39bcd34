//! How is an entry filled in?
//!
//! Every field that an entry has stands in the form, so that nothing is lost when
//! it is saved; what the form says becomes the entry as a JSONL file has it, and the
//! API says what is wrong with it.

use maud::{Markup, html};
use serde_json::{Map, Value, json};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use super::super::form::Form;
use super::super::page::Page;
use super::entries::topics;
use super::parts::{base, entry_page, field_name, list, text};
use crate::channels::{Cards, Kind};
use crate::kb::formats::{read_images, read_links, written_images, written_links};
use crate::kb::{Image, Link};

/// Rules that a form has room for beside those that are there.
const SPARE: usize = 1;

/// What a form says of an entry.
pub(super) fn filled(form: &Form) -> Value {
    let lines = |name: &str| Value::from(form.lines(name).collect::<Vec<_>>());
    let maybe = |name: &str| match form.get(name) {
        "" => Value::Null,
        told => json!(told),
    };
    let mut entry = json!({
        "question": form.get("question"),
        "similar": lines("similar"),
        "answer": form.raw("answer").trim_end(),
        "keywords": lines("keywords"),
        "rules": rules(form),
        "topic": maybe("topic"),
        "tags": lines("tags"),
        "valid_from": moment(form, "valid_from"),
        "valid_until": moment(form, "valid_until"),
        "answers": answers(form),
        "images": in_lines(form.raw("images"), |cell| read_images(cell).map(|read| json!(read))),
        "links": in_lines(form.raw("links"), |cell| read_links(cell).map(|read| json!(read))),
        "related": lines("related"),
        "enabled": form.has("enabled"),
    });
    if !form.get("id").is_empty() {
        entry["id"] = json!(form.get("id"));
    }
    if !form.get("max_wrong").is_empty() {
        entry["max_wrong"] = match form.get("max_wrong").trim_end_matches(['%', '％']).trim().parse::<f64>()
        {
            // Shares are told in percent, and stay what they were.
            Ok(percent) => json!((percent * 1e6).round() / 1e8),
            Err(_) => json!(form.get("max_wrong")),
        };
    }
    entry
}

/// A list that is written a line an item; what cannot be read stays as it was written,
/// and the API says what is wrong with it.
fn in_lines(written: &str, read: impl Fn(&str) -> Result<Value, String>) -> Value {
    read(written).unwrap_or_else(|_| json!(written))
}

/// The pictures or links of an entry, a line each.
fn shown_lines(entry: &Value, name: &str) -> String {
    let list = &entry[name];
    if let Some(written) = list.as_str() {
        return written.to_owned();
    }
    let cell = match name {
        "images" => {
            serde_json::from_value(list.clone()).ok().and_then(|all: Vec<Image>| written_images(&all).ok())
        }
        _ => serde_json::from_value(list.clone()).ok().and_then(|all: Vec<Link>| written_links(&all).ok()),
    };
    cell.unwrap_or_default()
}

/// The channels, each with how many pictures and links are more than lines there, for the
/// preview of an answer.
fn channels_with_cards() -> String {
    let all = usize::from(u8::MAX);
    let own = ["web", "email", "chatwoot"].map(|name| (name, all));
    let platforms = Kind::ALL.map(|kind| (kind.name(), Cards::of(kind).most()));
    Value::from_iter(own.into_iter().chain(platforms).map(|(name, most)| json!([name, most]))).to_string()
}

/// The values of fields that come several times, in their order.
fn column<'a>(form: &'a Form, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
    form.fields().iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
}

fn answers(form: &Form) -> Value {
    let told = column(form, "channel").zip(column(form, "channel_answer"));
    let told = told.filter(|(channel, answer)| !channel.trim().is_empty() && !answer.trim().is_empty());
    Value::Object(
        told.map(|(channel, answer)| (channel.trim().to_owned(), json!(answer.trim_end()))).collect(),
    )
}

fn rules(form: &Form) -> Value {
    let words = |text: &str| -> Vec<String> {
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
    };
    let kinds = column(form, "rule_kind").zip(column(form, "rule_text")).zip(column(form, "rule_without"));
    let told = kinds.filter(|((_, text), _)| !text.trim().is_empty()).map(|((kind, text), without)| {
        let mut rule = Map::new();
        match kind {
            "exact" => rule.insert("exact".to_owned(), json!(text.trim())),
            "regex" => rule.insert("regex".to_owned(), json!(text.trim())),
            _ => rule.insert("contains".to_owned(), json!(words(text))),
        };
        if kind != "exact" && !words(without).is_empty() {
            rule.insert("without".to_owned(), json!(words(without)));
        }
        Value::Object(rule)
    });
    Value::Array(told.collect())
}

/// Beijing's zone, in which authors read and write times.
const ZONE: UtcOffset = match UtcOffset::from_hms(8, 0, 0) {
    Ok(zone) => zone,
    Err(_) => UtcOffset::UTC,
};

/// A moment that somebody filled in; one that they did not touch stays as it was.
fn moment(form: &Form, name: &str) -> Value {
    let (now, was) = (form.get(name), form.get(&format!("{name}_was")));
    match now {
        "" => Value::Null,
        same if !was.is_empty() && local(was) == same => json!(was),
        other => json!(other),
    }
}

/// A moment as a field for local times has it, in Beijing.
pub(super) fn local(moment: &str) -> String {
    let Ok(moment) = OffsetDateTime::parse(moment, &Rfc3339) else { return moment.to_owned() };
    let at = moment.to_offset(ZONE);
    let date = format!("{:04}-{:02}-{:02}", at.year(), u8::from(at.month()), at.day());
    if at.second() == 0 {
        return format!("{date}T{:02}:{:02}", at.hour(), at.minute());
    }
    format!("{date}T{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second())
}

/// The fields of a form that says an entry, unseen.
pub(super) fn carried(entry: &Value) -> Markup {
    let lines = |name: &str| list(entry, name).filter_map(Value::as_str).collect::<Vec<_>>().join("\n");
    let field = |name: &str, value: &str| html! { textarea hidden name=(name) { "\n" (value) } };
    html! {
        @for name in ["question", "answer", "topic"] { (field(name, text(entry, name))) }
        @for name in ["similar", "keywords", "tags", "related"] { (field(name, &lines(name))) }
        @for name in ["images", "links"] { (field(name, &shown_lines(entry, name))) }
        @for name in ["valid_from", "valid_until"] {
            (field(name, &local(text(entry, name)))) (field(&format!("{name}_was"), text(entry, name)))
        }
        (field("max_wrong", &percent(entry)))
        @if entry["enabled"] != Value::Bool(false) { (field("enabled", "1")) }
        @for (channel, answer) in entry["answers"].as_object().into_iter().flatten() {
            (field("channel", channel)) (field("channel_answer", answer.as_str().unwrap_or_default()))
        }
        @for rule in list(entry, "rules") {
            @let (kind, told, without) = written(rule);
            (field("rule_kind", kind)) (field("rule_text", &told)) (field("rule_without", &without))
        }
    }
}

/// A rule as its form has it: kind, text, words that silence it.
fn written(rule: &Value) -> (&'static str, String, String) {
    let joined = |name: &str| list(rule, name).filter_map(Value::as_str).collect::<Vec<_>>().join("\n");
    let without = joined("without");
    match ["exact", "regex"].into_iter().find(|kind| !rule[*kind].is_null()) {
        Some(kind) => (kind, text(rule, kind).to_owned(), without),
        None => ("contains", joined("contains"), without),
    }
}

/// An entry in its form.
pub(super) struct Editor<'a> {
    pub(super) kb: &'a str,
    /// The entry, or what somebody has filled in.
    pub(super) entry: &'a Value,
    /// What it is a change of; empty for a new one.
    pub(super) etag: &'a str,
    /// What is wrong, by field.
    pub(super) faults: &'a [(String, String)],
    /// Phrasings and keywords that other entries have.
    pub(super) holders: &'a Value,
    pub(super) outline: &'a Value,
    /// What the rules did to the sentence that was tried.
    pub(super) tried: Option<Markup>,
    pub(super) sentence: &'a str,
}

impl Editor<'_> {
    fn told(&self, page: &Page, field: &str) -> Markup {
        let named = |one: &&(String, String)| one.0 == field || one.0.starts_with(&format!("{field}["));
        html! {
            @for (_, message) in self.faults.iter().filter(named) { p.fault role="alert" { (message) } }
            @for held in list(self.holders, "items").filter(|held| self.is_of(held, field)) {
                p.fault.held {
                    "“" (text(held, "text")) "” " (page.say("已属于条目 ", "belongs to ")) a href=(entry_page(self.kb, text(held, "entry"))) { (text(held, "question")) }
                }
            }
        }
    }

    fn is_of(&self, held: &Value, field: &str) -> bool {
        match (text(held, "kind"), field) {
            ("keyword", "keywords") => true,
            ("question", "question") => text(held, "text") == text(self.entry, "question"),
            ("question", "similar") => text(held, "text") != text(self.entry, "question"),
            _ => false,
        }
    }

    fn lines(&self, name: &str) -> String {
        list(self.entry, name).filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
    }

    pub(super) fn form(&self, page: &Page) -> Markup {
        let entry = self.entry;
        let is_new = self.etag.is_empty();
        let known = [
            "id",
            "question",
            "similar",
            "answer",
            "keywords",
            "rules",
            "topic",
            "tags",
            "valid_from",
            "valid_until",
            "answers",
            "images",
            "links",
            "max_wrong",
            "related",
            "enabled",
        ];
        let lost =
            self.faults.iter().filter(|(field, _)| !known.iter().any(|known| field.starts_with(known)));
        let is_on = entry["enabled"] != Value::Bool(false);
        let is_served = !self.outline["current"].is_null();
        html! {
            @for (_, message) in lost { div.card.problem role="alert" { (message) } }
            form.entry method="post" data-keep="1" data-kb=(self.kb) data-entry=(text(entry, "id")) data-channels=(channels_with_cards()) {
                (page.csrf())
                input type="hidden" name="etag" value=(self.etag);
                @if !is_new { input type="hidden" name="id" value=(text(entry, "id")); }
                div.card {
                    label { span.label { (field_name(page, "question")) } input type="text" name="question" required value=(text(entry, "question")) data-phrasing="1"; }
                    (self.told(page, "question"))
                    label.block { span.label { (field_name(page, "similar")) " — " (page.say("顾客还会怎么问，一行一个，可以一次粘贴很多行", "how else customers ask, one a line; many lines can be pasted")) }
                        textarea name="similar" rows="7" data-lines="1" { "\n" (self.lines("similar")) } }
                    (self.told(page, "similar"))
                    label.block { span.label { (field_name(page, "answer")) } textarea name="answer" rows="5" required data-preview="1" { "\n" (text(entry, "answer")) } }
                    (self.told(page, "answer"))
                    div.row {
                        label { span.label { (field_name(page, "topic")) } input type="text" name="topic" list="topics" value=(text(entry, "topic")); (self.told(page, "topic")) }
                        label.check { input type="checkbox" name="enabled" value="1" checked[is_on]; " " (page.say("启用（停用的条目不会发布）", "On (entries that are off are not published)")) }
                    }
                    (topics(self.outline))
                }
                details.card open[self.opens("images") || self.opens("links")] { summary { (page.say("图片、链接和卡片", "Pictures, links and cards")) } (self.beside(page)) }
                details.card open[self.opens("answers")] { summary { (page.say("各渠道的答案", "Answers by channel")) } (self.channels(page)) (self.told(page, "answers")) }
                details.card open[self.opens("rules") || self.opens("keywords") || self.tried.is_some()] {
                    summary { (page.say("关键词与规则", "Keywords and rules")) }
                    label.block { span.label { (field_name(page, "keywords")) " — " (page.say("顾客只打这个词就给这个答案，一行一个", "when that is all a customer types, one a line")) } textarea name="keywords" rows="2" { "\n" (self.lines("keywords")) } }
                    (self.told(page, "keywords"))
                    (self.rules(page))
                    (self.told(page, "rules"))
                }
                details.card open[self.opens("valid_from") || self.opens("valid_until") || self.opens("tags") || self.opens("related") || self.opens("max_wrong")] {
                    summary { (page.say("有效期、标签和其他", "Validity, tags and more")) }
                    div.row {
                        @for name in ["valid_from", "valid_until"] {
                            label { span.label { (field_name(page, name)) (page.say("（北京时间）", " (Beijing)")) } input type="datetime-local" step="1" name=(name) value=(local(text(entry, name)));
                                input type="hidden" name={ (name) "_was" } value=(text(entry, name)); (self.told(page, name)) }
                        }
                        label { span.label { (field_name(page, "max_wrong")) " % " (page.say("（不填用知识库的目标）", "(blank: the goal of all)")) }
                            input type="text" inputmode="decimal" name="max_wrong" value=(percent(entry)); (self.told(page, "max_wrong")) }
                    }
                    div.row {
                        label { span.label { (field_name(page, "tags")) (page.say("，一行一个", ", one a line")) } textarea.plain name="tags" rows="3" { "\n" (self.lines("tags")) } (self.told(page, "tags")) }
                        label { span.label { (field_name(page, "related")) (page.say("的编号，一行一个", ": ids, one a line")) } textarea.plain name="related" rows="3" { "\n" (self.lines("related")) } (self.told(page, "related")) }
                        @if is_new { label { span.label { (field_name(page, "id")) (page.say("（不填自动生成）", " (made from the question when blank)")) } input type="text" name="id" value=(text(entry, "id")); (self.told(page, "id")) } }
                    }
                    @if !is_new { p.soft { (field_name(page, "id")) ": " code { (text(entry, "id")) } } }
                }
                div.toolbar.save {
                    button.button.primary name="do" value="draft" { (page.say("保存到草稿", "Save to the draft")) }
                    @if is_served { button.button name="do" value="live" title=(page.say("不等发布，顾客马上得到这个答案", "Customers get it at once, without a publication")) { (page.say("保存并立即生效", "Save and serve at once")) } }
                    a.button href={ (base(self.kb)) "/entries" } { (page.say("返回列表", "Back to the list")) }
                }
            }
        }
    }

    /// Whether a part of the form has anything in it, or is to blame.
    fn opens(&self, field: &str) -> bool {
        let is_filled = match &self.entry[field] {
            Value::Null => false,
            Value::Array(items) => !items.is_empty(),
            Value::Object(fields) => !fields.is_empty(),
            Value::String(text) => !text.is_empty(),
            _ => true,
        };
        is_filled || self.faults.iter().any(|(named, _)| named.starts_with(field))
    }

    /// What the answer shows beside its words.
    fn beside(&self, page: &Page) -> Markup {
        let parts = [
            (
                "images",
                "https://shop.example/refund.png | 退货入口在这里",
                page.say("一行一张：网址 | 图片说明", "one a line: address | what it shows"),
            ),
            (
                "links",
                "退货入口 | https://shop.example/refund | 七天内可退 | https://shop.example/refund.png",
                page.say(
                    "一行一个：标题 | 网址；再加说明或图片网址就是卡片",
                    "one a line: title | address; with a text or a picture it is a card",
                ),
            ),
        ];
        html! {
            p.soft { (page.say("每个渠道都会得到：能显示图片和卡片的渠道显示出来，其他渠道写成一行文字。网址要写完整，这里不上传文件。", "Every channel gets them: as pictures and cards where it has those, else as lines of text. Addresses are whole; nothing is uploaded here.")) }
            @for (name, example, how) in parts {
                label.block { span.label { (field_name(page, name)) " — " (how) } textarea name=(name) rows="2" placeholder=(example) data-beside="1" { "\n" (shown_lines(self.entry, name)) } }
                (self.told(page, name))
            }
        }
    }

    fn channels(&self, page: &Page) -> Markup {
        let known = self.entry["answers"].as_object().into_iter().flatten();
        let known = known.map(|(channel, answer)| (channel.as_str(), answer.as_str().unwrap_or_default()));
        html! {
            p.soft { (page.say("不写的渠道用上面的答案。渠道的名字如 web、wechat、phone。", "Channels without one get the answer above. Channels are called web, wechat, phone and so on.")) }
            @for (channel, answer) in known.chain([("", "")]) {
                div.row data-row="1" {
                    label.narrow { span.label { (page.say("渠道", "Channel")) } input type="text" name="channel" list="channels" value=(channel); }
                    label.wide { span.label { (page.say("答案", "Answer")) } textarea.plain name="channel_answer" rows="2" { "\n" (answer) } }
                }
            }
            datalist #channels {
                @for name in ["web", "wechat", "wecom", "feishu", "dingtalk", "phone"] { option value=(name) {} }
                @for name in self.outline["channels"].as_object().into_iter().flat_map(|known| known.keys()) { option value=(name) {} }
            }
        }
    }

    fn rules(&self, page: &Page) -> Markup {
        let blank = json!({});
        let rows: Vec<&Value> = list(self.entry, "rules").chain(std::iter::repeat_n(&blank, SPARE)).collect();
        let kinds = [
            ("contains", page.say("同时含有（一行一个词）", "contains all (one word a line)")),
            ("exact", page.say("整句等于", "equals")),
            ("regex", page.say("正则表达式", "pattern")),
        ];
        html! {
            p.soft { (page.say("规则命中就直接给这个答案，优先于语义匹配。", "A rule that catches a question settles it, before meanings are compared.")) }
            @for (number, rule) in (1..).zip(rows) {
                @let (kind, told, without) = written(rule);
                fieldset.row data-row="1" {
                    legend.label { (page.say("规则 ", "Rule ")) (number) }
                    label.narrow { span.label { (page.say("方式", "Kind")) } select name="rule_kind" { @for (name, title) in kinds { option value=(name) selected[name == kind] { (title) } } } }
                    label { span.label { (page.say("内容", "What")) } textarea.plain name="rule_text" rows="2" { "\n" (told) } }
                    label { span.label { (page.say("含有这些词就不算（一行一个）", "but not with one of these (one a line)")) } textarea.plain name="rule_without" rows="2" { "\n" (without) } }
                }
            }
            div.row {
                label.wide { span.label { (page.say("试一句话", "Try a sentence")) } input type="text" name="sentence" value=(self.sentence) data-try="1"; }
                button.button name="do" value="test" formnovalidate { (page.say("试试规则", "Try the rules")) }
            }
            div data-tried="1" role="status" { @if let Some(tried) = &self.tried { (tried) } }
        }
    }
}

/// A share in percent, without what computers add.
fn percent(entry: &Value) -> String {
    match &entry["max_wrong"] {
        Value::Number(share) => {
            let percent = share.as_f64().unwrap_or(0.0) * 100.0;
            let told = format!("{percent:.6}");
            told.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        Value::String(told) => told.clone(),
        _ => String::new(),
    }
}

/// What rules did to a sentence.
pub(super) fn tried(page: &Page, told: &Value) -> Markup {
    let item = &told["items"][0];
    html! {
        @if let Some(first) = item["caught_by"][0].as_u64() { p.good { (page.say("命中：规则 ", "Caught by rule ")) (first) } }
        @else { p { (page.say("没有规则命中。", "No rule catches it.")) } }
        @for one in list(item, "silenced") {
            p.soft { (page.say("规则 ", "Rule ")) (one["rule"].to_string()) (page.say(" 因为含有“", " is silenced by “")) (text(one, "word")) (page.say("”而不算", "”")) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_beijing() {
        assert_eq!(local("2026-01-31T16:00:00Z"), "2026-02-01T00:00");
        assert_eq!(local("2026-01-31T23:59:59+08:00"), "2026-01-31T23:59:59");
        assert_eq!(local("怎么写"), "怎么写");
    }

    #[test]
    fn shares_stay_what_they_were() {
        for share in [0.05, 0.001, 0.07, 0.29, 0.123_456] {
            let told = percent(&json!({"max_wrong": share}));
            let back = told.parse::<f64>().map(|percent| (percent * 1e6).round() / 1e8);
            assert_eq!(back, Ok(share), "{told}");
        }
    }
}
