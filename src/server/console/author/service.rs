//! How does the robot speak, and when does it call a person?
//!
//! The service document by forms, one for each of its parts; what they do not know
//! stands in the text. A form changes what was filled in and nothing else.

pub(super) mod history;
mod hours;
mod rule;
mod rules;
mod text;
mod ticket;
mod voice;

use axum::extract::{Path, Query};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::super::form::Form;
use super::super::inside::{Refusal, address};
use super::super::page::{Outcome, Page, Sheet};
use super::parts::{Asked, api, asked, base, faults, list, text as said};

pub(super) async fn page(page: Page, Path(kb): Path<String>, Query(query): Asked) -> Response {
    let outcome = match asked(&query, "part") {
        "text" => text::page(&page, &kb).await,
        "history" => history::page(&page, &kb).await,
        "hours" => hours::page(&page, &kb).await,
        "ticket" => ticket::page(&page, &kb).await,
        "rules" => rules::page(&page, &kb).await,
        "rule" => rule::page(&page, &kb, asked(&query, "id")).await,
        _ => voice::page(&page, &kb).await,
    };
    page.reply(outcome)
}

pub(super) async fn change(page: Page, Path(kb): Path<String>, form: Form) -> Response {
    let outcome = match form.get("part") {
        "history" => history::change(&page, &kb, &form).await,
        "hours" => hours::change(&page, &kb, &form).await,
        "ticket" => ticket::change(&page, &kb, &form).await,
        "rules" => rules::change(&page, &kb, &form).await,
        "rule" => rule::change(&page, &kb, &form).await,
        "voice" => voice::change(&page, &kb, &form).await,
        _ => text::change(&page, &kb, &form).await,
    };
    page.reply(outcome)
}

/// What the document says, and the condition for changing it.
struct Values {
    said: Value,
    etag: String,
    /// Whether customers could get a change at once.
    is_published: bool,
}

async fn values(page: &Page, kb: &str) -> Result<Values, Refusal> {
    let got = page.inside.get(&format!("{}/service/values", api(kb))).got().await?;
    let outline = super::entries::outline(page, kb).await?;
    Ok(Values { said: got.read()?, etag: got.etag(), is_published: !outline["current"].is_null() })
}

/// The address of a part.
fn place(kb: &str, part: &str) -> String {
    address(&format!("{}/service", base(kb)), &[("part", part)])
}

/// A page of one of the parts, with the way to the others.
fn sheet(page: &Page, kb: &str, here: &str, body: Markup) -> Sheet {
    let parts = [
        ("voice", page.say("说什么", "What it says")),
        ("hours", page.say("服务时间", "Hours")),
        ("ticket", page.say("工单", "Tickets")),
        ("rules", page.say("转人工规则", "Handoff rules")),
        ("text", page.say("全文", "As a text")),
        ("history", page.say("历史与恢复", "History")),
    ];
    let whole = html! {
        nav.toolbar aria-label=(page.say("话术与规则的各部分", "Parts of voice and rules")) {
            @for (part, name) in parts {
                a.button.small.chosen[part == here] href=(place(kb, part)) aria-current=[(part == here).then_some("page")] { (name) }
            }
        }
        (body)
    };
    Sheet::new(page.say("话术与规则", "Voice and rules"), whole).of_kb(kb).with_script("author.js")
}

/// How a form of a part begins: which one, for which state.
fn begin(page: &Page, part: &str, etag: &str) -> Markup {
    html! {
        (page.csrf())
        input type="hidden" name="part" value=(part);
        input type="hidden" name="etag" value=(etag);
    }
}

/// What a form was filled in upon: only what differs from it is sent, so that what
/// somebody else has changed meanwhile stays.
fn basis(value: &Value) -> Markup {
    html! { textarea hidden name="base" { "\n" (value.to_string()) } }
}

/// The same as it comes back.
fn based(form: &Form) -> Option<Value> {
    serde_json::from_str(form.get("base")).ok().filter(Value::is_object)
}

/// How it ends.
fn save(page: &Page, is_published: bool) -> Markup {
    html! {
        div.toolbar.save {
            button.button.primary name="do" value="draft" { (page.say("保存到草稿", "Save to the draft")) }
            @if is_published { button.button name="do" value="live" data-confirm=(page.say("顾客马上按这样得到服务？", "Serve customers like this at once?")) { (page.say("保存并立即生效", "Save and serve at once")) } }
        }
    }
}

/// What is wrong with what was filled in.
fn wrong(page: &Page, told: &[String]) -> Markup {
    html! { @if !told.is_empty() { div.card.problem role="alert" { b { (page.say("没有保存，请改好这些：", "Not saved; mend these:")) } ul { @for one in told { li { (one) } } } } } }
}

/// What came of sending a change: done, or why not, for the form to be shown again.
enum Sent {
    Done(Response),
    Refused(Vec<String>, String),
}

/// Sends what a form changes; nothing when it changes nothing.
async fn send(page: &Page, kb: &str, form: &Form, patch: &Value, back: &str) -> Result<Sent, Refusal> {
    let is_live = form.get("do") == "live";
    let is_empty = patch
        .as_object()
        .is_none_or(|parts| parts.values().all(|part| part.as_object().is_some_and(Map::is_empty)));
    if is_empty && !is_live {
        return Ok(Sent::Done(page.go(back, page.say("没有改动。", "Nothing was changed."))));
    }
    if is_live
        && let Some(asking) = page.unsure(
            form,
            page.say("顾客马上按这样得到服务？", "Serve customers like this at once?"),
            back,
        )
    {
        return Ok(Sent::Done(asking));
    }
    let to = address(&format!("{}/service", api(kb)), &[("live", if is_live { "true" } else { "" })]);
    let ask = form.ask(page, Method::PATCH, &to).if_match(form.get("etag")).json(patch);
    match ask.read::<Value>().await {
        Ok(done) => {
            let failed = done["tests"]["failed"].as_u64().unwrap_or(0);
            if failed > 0 {
                let told = page.say(
                    "已保存，但有规则的测试没通过，发布时会被拦下；在“转人工规则”里看是哪些。",
                    "Saved, but tests of rules fail, and publishing will refuse them; see the handoff rules.",
                );
                return Ok(Sent::Done(page.go_with_fault(back, told)));
            }
            let told = if is_live {
                page.say("已保存，立即生效。", "Saved, and served at once.")
            } else {
                page.say(
                    "已保存到草稿，发布以后生效。",
                    "Saved to the draft; it counts once it is published.",
                )
            };
            Ok(Sent::Done(page.go(back, told)))
        }
        Err(refusal) if refusal.code == 412 => {
            let now = values(page, kb).await?;
            let told = page.say("别人刚改过话术与规则。您填的还在下面；再保存一次，您改过的几项以您的为准，其余保留对方的。", "Somebody has just changed this. What you filled in is below; save again, and what you changed is as you say, the rest stays as they left it.");
            Ok(Sent::Refused(vec![told.to_owned()], now.etag))
        }
        Err(refusal) if [400, 413, 422].contains(&refusal.code) => {
            let told = faults(page, &refusal).into_iter().map(|(field, message)| match placed(&field) {
                _ if field == "*" => message,
                Some(place) if !page.is_english() => format!("{place}：{message}"),
                _ => format!("{message}（{field}）"),
            });
            Ok(Sent::Refused(told.collect(), form.get("etag").to_owned()))
        }
        Err(refusal) => page.ended(form, &refusal).map(Sent::Done).ok_or(refusal),
    }
}

/// What the forms call the parts of the document; of those that there are several of, `{}`
/// is which one.
const PARTS: [(&str, &str); 34] = [
    ("fields", "第 {} 项"),
    ("phrases", "自己加的第 {} 组话"),
    ("rules", "第 {} 条规则"),
    ("tests", "第 {} 个测试"),
    ("says", "“顾客说”"),
    ("entries", "第 {} 个"),
    ("voice", ""),
    ("hours", ""),
    ("ticket", ""),
    ("name", "“程序用的名称”"),
    ("label", "“顾客看到的名称”"),
    ("kind", "“填什么”"),
    ("options", "“选项”"),
    ("max_chars", "“最多几个字”"),
    ("intro", "“表单上面的话”"),
    ("done", "“留好以后说的话”"),
    ("greeting", "“欢迎语”"),
    ("clarify", "“反问”"),
    ("choose_again", "“没听懂顾客选了哪一个”"),
    ("none_of_these", "“顾客说都不是”"),
    ("no_answer", "“答不上来”"),
    ("handed_off", "“转人工时”"),
    ("withdrawn", "“顾客不等人工了”"),
    ("outside_hours", "“不在人工服务时间”"),
    ("closing", "“顾客说没事了”"),
    ("quick_questions", "“欢迎语下面的常见问题”"),
    ("most_asked", "“不选时显示几个”"),
    ("reply", "“回复”"),
    ("time_zone", "“时区”"),
    ("holidays", "“放假”"),
    ("workdays", "“调休”"),
    ("id", "“编号”"),
    ("answer", "“固定的回复”"),
    ("message", "“转接时对顾客说”"),
];

/// The place of a fault in the words of the forms, as 第 7 项的“顾客看到的名称” for
/// `ticket.fields[7].label`; `None` for one that no form shows.
fn placed(path: &str) -> Option<String> {
    let mut told: Vec<String> = Vec::new();
    for step in path.split('.') {
        let (name, at) = match step.split_once('[') {
            Some((name, rest)) => (name, Some(rest.strip_suffix(']')?)),
            None => (step, None),
        };
        let (_, part) = PARTS.iter().find(|(known, _)| *known == name)?;
        match at {
            Some(at) if part.contains("{}") => told.push(part.replace("{}", at)),
            Some(at) => told.push(format!("{part}第 {at} 句")),
            // The list as such stands under the name of what it is in.
            None if part.contains("{}") || part.is_empty() => {}
            None => told.push((*part).to_owned()),
        }
    }
    Some(told.join("的")).filter(|told| !told.is_empty())
}

/// Shows a form again with what is wrong.
fn again(page: &Page, sheet: Sheet, told: &[String]) -> Outcome {
    let sheet = if told.is_empty() { sheet } else { sheet.refused(StatusCode::UNPROCESSABLE_ENTITY) };
    Ok(page.show(sheet))
}

/// The keys of a table that a form has changed.
fn differing(before: &Value, after: &Map<String, Value>) -> Map<String, Value> {
    let changed = after.iter().filter(|(key, value)| before[key.as_str()] != **value);
    changed.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// What a button of a list does with it: `up-2`, `down-2` or `drop-2`, from 0. Says
/// whether it was one.
fn arrange<T>(deed: &str, items: &mut Vec<T>) -> bool {
    let Some((what, at)) = deed.split_once('-') else { return false };
    let Ok(at) = at.parse::<usize>() else { return false };
    match what {
        "up" if at > 0 && at < items.len() => items.swap(at - 1, at),
        "down" if at + 1 < items.len() => items.swap(at, at + 1),
        "drop" if at < items.len() => {
            items.remove(at);
        }
        "up" | "down" | "drop" => {}
        _ => return false,
    }
    true
}

/// The buttons for it.
fn arranging(page: &Page, at: usize, count: usize, what: &str) -> Markup {
    let label = |zh: &str, en: &str| format!("{} {what}", if page.is_english() { en } else { zh });
    html! {
        span.pair {
            button.icon name="do" value={ "up-" (at) } disabled[at == 0] aria-label=(label("上移", "Move up")) { "↑" }
            button.icon name="do" value={ "down-" (at) } disabled[at + 1 == count] aria-label=(label("下移", "Move down")) { "↓" }
            button.icon name="do" value={ "drop-" (at) } aria-label=(label("去掉", "Take out")) { "×" }
        }
    }
}

/// The texts of a list, without those that are none.
fn texts<'a>(value: &'a Value, name: &str) -> Vec<&'a str> {
    value[name].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Words as somebody types them: by commas, strokes or lines.
fn split(typed: &str) -> Vec<String> {
    let parts = typed.split(['\n', '、', '，', ',', '；', ';']);
    parts.map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_arranged_by_their_buttons() {
        let mut list = vec!["a", "b", "c"];
        assert!(arrange("up-2", &mut list) && list == ["a", "c", "b"]);
        assert!(arrange("down-0", &mut list) && list == ["c", "a", "b"]);
        assert!(arrange("drop-1", &mut list) && list == ["c", "b"]);
        assert!(arrange("up-0", &mut list) && arrange("down-9", &mut list) && list == ["c", "b"]);
        assert!(!arrange("draft", &mut list) && !arrange("add-x", &mut list));
        assert_eq!(split("律师函、起诉， 曝光\n"), ["律师函", "起诉", "曝光"]);
    }

    #[test]
    fn only_what_differs_is_sent() {
        let after = json!({"a": 1, "b": "y"});
        let after = after.as_object().cloned().unwrap_or_default();
        assert_eq!(Value::Object(differing(&json!({"a": 1, "b": "x", "c": 3}), &after)), json!({"b": "y"}));
    }

    #[test]
    fn a_place_is_told_in_the_words_of_the_forms() {
        for (path, told) in [
            ("ticket.fields[7].name", "第 7 项的“程序用的名称”"),
            ("ticket.intro", "“表单上面的话”"),
            ("voice.phrases[2].says[3]", "自己加的第 2 组话的“顾客说”第 3 句"),
            ("voice.quick_questions.entries[4]", "“欢迎语下面的常见问题”的第 4 个"),
            ("hours.time_zone", "“时区”"),
            ("rules[1].id", "第 1 条规则的“编号”"),
        ] {
            assert_eq!(placed(path).as_deref(), Some(told), "{path}");
        }
        for path in ["rules[1].if.regex", "rules", "voice", "ticket.fields[1", "*"] {
            assert_eq!(placed(path), None, "{path}");
        }
    }
}
