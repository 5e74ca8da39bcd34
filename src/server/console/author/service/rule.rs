//! When does one rule hold, and what does it do?
//!
//! The conditions that are common are filled in; others that the rule has stay as
//! they are, and are shown. Beside it a sentence is tried before anything is saved.

use super::rules::{action, deed_of, in_words, outcome};
use super::*;

/// Conditions that are lists of words, with their names.
const LISTS: [(&str, &str, &str); 5] = [
    ("words", "顾客说到其中一个词", "The customer says one of"),
    ("without", "并且没有说这些词", "and none of"),
    ("topics", "将要回答的主题是", "The topic that is answered"),
    ("tags", "将要回答的条目有标签", "The tags of the entry that is answered"),
    ("channels", "渠道是", "The channel"),
];
/// Conditions that are numbers.
const COUNTS: [(&str, &str, &str); 3] = [
    ("misses", "连续几条没有答案", "Misses in a row"),
    ("repeats", "同一个问题又问了几次", "Asked again so often"),
    ("queue", "排队的至少几人", "Waiting in the queue, at least"),
];
/// Conditions that hold or do not.
const FLAGS: [(&str, &str, &str); 4] = [
    ("asks_for_person", "顾客要找人工", "Asks for a person"),
    ("angry", "顾客很不满", "Is angry"),
    ("session", "在会话里", "In a conversation"),
    ("open", "在人工服务时间", "People are there"),
];
const OUTCOMES: [&str; 6] = ["answer", "clarify", "handoff", "no_match", "low_confidence", "requested"];
const ACTIONS: [&str; 4] = ["handoff", "answer", "ticket", "answer_then_handoff"];

fn find(values: &Values, id: &str) -> Option<Value> {
    list(&values.said, "rules").find(|rule| said(rule, "id") == id).cloned()
}

pub(super) async fn page(page: &Page, kb: &str, id: &str) -> Outcome {
    let values = values(page, kb).await?;
    let rule = if id.is_empty() {
        json!({"if": {}})
    } else {
        match find(&values, id) {
            Some(rule) => rule,
            None => {
                return Ok(page.go_with_fault(
                    &place(kb, "rules"),
                    page.say(
                        "没有这条规则，可能已被删除。",
                        "There is no such rule; it may have been removed.",
                    ),
                ));
            }
        }
    };
    shown(page, kb, &values, &Shown { id, rule: &rule, base: &rule, form: None, tried: None }, &[])
}

/// What the page shows.
struct Shown<'a> {
    /// The id that it has in the document; empty for a new one.
    id: &'a str,
    rule: &'a Value,
    /// What it was when the form was opened.
    base: &'a Value,
    form: Option<&'a Form>,
    /// What came of the sentence that was tried.
    tried: Option<Value>,
}

/// The rule as it was filled in, on top of what it was.
fn filled(form: &Form, before: &Value) -> Map<String, Value> {
    let mut condition = before["if"].as_object().cloned().unwrap_or_default();
    let mut set = |name: &str, value: Option<Value>| match value {
        Some(value) => {
            condition.insert(name.to_owned(), value);
        }
        None => {
            condition.remove(name);
        }
    };
    for (name, ..) in LISTS {
        let typed = form.raw(name);
        let words = match texts(&before["if"], name) {
            // A word that itself holds a comma is not parted unless the list is changed.
            shown if shown.join("、") == typed => shown.into_iter().map(str::to_owned).collect(),
            _ => split(typed),
        };
        set(name, (!words.is_empty()).then(|| json!(words)));
    }
    for (name, ..) in COUNTS {
        // A range is not shown as a number, and stays.
        if !before["if"][name].is_object() {
            set(name, form.get(name).parse::<u32>().ok().map(|number| json!(number)));
        }
    }
    for (name, ..) in FLAGS {
        set(
            name,
            match form.get(name) {
                "yes" => Some(json!(true)),
                "no" => Some(json!(false)),
                _ => None,
            },
        );
    }
    let known: Vec<String> = form.all("outcome").map(str::to_owned).collect();
    let others = texts(&before["if"], "outcome")
        .into_iter()
        .filter(|name| !OUTCOMES.contains(name))
        .map(str::to_owned);
    let outcomes: Vec<String> = known.into_iter().chain(others).collect();
    set("outcome", (!outcomes.is_empty()).then(|| json!(outcomes)));
    let mut rule = Map::new();
    let text = |name: &str| {
        Some(form.get(name)).filter(|text| !text.is_empty()).map_or(Value::Null, |text| json!(text))
    };
    rule.insert("if".to_owned(), condition.into());
    let is_said = |name: &str, value: Value, usual: &Value| {
        if value == *usual && before[name].is_null() { Value::Null } else { value }
    };
    rule.insert("enabled".to_owned(), is_said("enabled", json!(form.has("enabled")), &json!(true)));
    rule.insert(
        "when".to_owned(),
        is_said(
            "when",
            json!(if form.get("when") == "before" { "before" } else { "after" }),
            &json!("after"),
        ),
    );
    let deed = form.get("action");
    rule.insert("action".to_owned(), is_said("action", json!(deed), &json!(deed_of(before))));
    rule.insert("answer".to_owned(), if deed == "answer" { text("answer") } else { Value::Null });
    rule.insert("message".to_owned(), text("message"));
    rule.insert("reason".to_owned(), text("reason"));
    let mut tests: Vec<Value> = list(before, "tests").cloned().collect();
    let mut at = 0;
    tests.retain(|_| {
        at += 1;
        !form.has(&format!("forget-{}", at - 1))
    });
    if form.get("keep") == "yes" || form.get("keep") == "no" {
        tests.push(tested(form, form.get("keep") == "yes"));
    }
    rule.insert("tests".to_owned(), if tests.is_empty() { Value::Null } else { tests.into() });
    rule
}

/// The sentence that is tried, as a test of the rule.
fn tested(form: &Form, fires: bool) -> Value {
    let mut test = json!({"text": form.get("try"), "fires": fires});
    if form.has("try-session") {
        test["session"] = json!(true);
    }
    for (name, field) in [("misses", "try-misses"), ("repeats", "try-repeats"), ("queue", "try-queue")] {
        if let Ok(number) = form.get(field).parse::<u32>() {
            test[name] = json!(number);
        }
    }
    for (name, field) in [("outcome", "try-outcome"), ("topic", "try-topic"), ("channel", "try-channel")] {
        if !form.get(field).is_empty() {
            test[name] = json!(form.get(field));
        }
    }
    if !form.get("try-tags").is_empty() {
        test["tags"] = json!(split(form.get("try-tags")));
    }
    test
}

/// A name for a rule that has none: `rule-1`, or the first that is free.
fn fresh(values: &Values) -> String {
    (1..).map(|number| format!("rule-{number}")).find(|id| find(values, id).is_none()).unwrap_or_default()
}

pub(super) async fn change(page: &Page, kb: &str, form: &Form) -> Outcome {
    let mut values = values(page, kb).await?;
    let old = form.get("was");
    let before = based(form).or_else(|| find(&values, old)).unwrap_or_else(|| json!({"if": {}}));
    let here = place(kb, "rules");
    if form.get("do") == "remove" {
        let what = format!(
            "{}{}",
            page.say(
                "删除这条规则？可以从历史里恢复。",
                "Remove this rule? It can be restored from the history. "
            ),
            in_words(page, &before)
        );
        if let Some(asking) = page.unsure(form, &what, &here) {
            return Ok(asking);
        }
        return match send(page, kb, form, &json!({"rules": {old: null}}), &here).await? {
            Sent::Done(response) => Ok(response),
            Sent::Refused(told, _) => Ok(page.go_with_fault(&here, &told.join("；"))),
        };
    }
    let mut rule = filled(form, &before);
    let typed = form.get("id").to_owned();
    let id = match (old, typed.as_str()) {
        ("", "") => fresh(&values),
        ("", typed) => typed.to_owned(),
        (old, _) => old.to_owned(),
    };
    let mut whole = Value::Object(rule.clone());
    whole["id"] = json!(id);
    let is_taken = old.is_empty() && find(&values, &id).is_some();
    let shown_again = |values: &Values, tried: Option<Value>, told: &[String]| {
        shown(
            page,
            kb,
            values,
            &Shown { id: old, rule: &whole, base: &before, form: Some(form), tried },
            told,
        )
    };
    if is_taken {
        let told = format!("{}{id}", page.say("已经有这个编号的规则：", "There is a rule of this id: "));
        return shown_again(&values, None, &[told]);
    }
    if form.get("do") == "try" {
        let mut tests: Vec<Value> = list(&whole, "tests").cloned().collect();
        tests.push(tested(form, true));
        rule.insert("tests".to_owned(), tests.into());
        let to = format!("{}/service?dry_run=true", api(kb));
        let asked =
            form.ask(page, Method::PATCH, &to).json(&json!({"rules": {&id: rule}})).read::<Value>().await;
        form.get("etag").clone_into(&mut values.etag);
        return match asked {
            Ok(done) => {
                let last =
                    list(&done["tests"], "tests").filter(|test| said(test, "rule") == id).last().cloned();
                shown_again(&values, last, &[])
            }
            Err(refusal) if refusal.code == 422 => {
                let told: Vec<String> =
                    faults(page, &refusal).into_iter().map(|(_, message)| message).collect();
                shown_again(&values, None, &told)
            }
            Err(refusal) => page.ended(form, &refusal).ok_or(refusal),
        };
    }
    if !old.is_empty() {
        // Only what differs is written.
        rule = differing(&before, &rule);
    }
    let patch = if rule.is_empty() { json!({}) } else { json!({"rules": {&id: rule}}) };
    match send(page, kb, form, &patch, &here).await? {
        Sent::Done(response) => Ok(response),
        Sent::Refused(told, etag) => {
            values.etag = etag;
            shown_again(&values, None, &told)
        }
    }
}

fn shown(page: &Page, kb: &str, values: &Values, one: &Shown<'_>, told: &[String]) -> Outcome {
    let Shown { id, rule, base, form, tried } = one;
    let is_new = id.is_empty();
    let condition = &rule["if"];
    let typed = |name: &str| form.map_or("", |form| form.get(name));
    let body = html! {
        (wrong(page, told))
        p { a.button.small href=(place(kb, "rules")) { (page.say("返回规则", "Back to the rules")) } @if !is_new { " " span.soft { (in_words(page, rule)) } } }
        form method="post" data-keep="1" {
            button.hidden-label type="submit" name="do" value="try" tabindex="-1" aria-hidden="true" {}
            (begin(page, "rule", &values.etag))
            (basis(base))
            input type="hidden" name="was" value=(id);
            div.columns {
                section.card {
                    h2 { (page.say("什么时候", "When")) }
                    p.soft { (page.say("填了的都要成立；没填的不看。至少填一项。", "All that is filled in must hold. Fill in one at least.")) }
                    @for (name, zh, en) in LISTS { label.block { span.label { (page.say(zh, en)) } input type="text" name=(name) value=(texts(condition, name).join("、")) placeholder=(page.say("用顿号分开", "by commas")); } }
                    div.row { @for (name, zh, en) in COUNTS {
                        @if condition[name].is_object() { p { (page.say(zh, en)) "：" code { (condition[name].to_string()) } } }
                        @else { label.narrow { span.label { (page.say(zh, en)) } input type="number" min="0" name=(name) value=(condition[name].as_u64().map(|number| number.to_string()).unwrap_or_default()); } }
                    } }
                    div.row { @for (name, zh, en) in FLAGS { label.narrow { span.label { (page.say(zh, en)) } select name=(name) {
                        option value="" { (page.say("不看", "whatever")) }
                        option value="yes" selected[condition[name] == json!(true)] { (page.say("是", "yes")) }
                        option value="no" selected[condition[name] == json!(false)] { (page.say("否", "no")) }
                    } } } }
                    fieldset { legend.label { (page.say("检索的结果是（任一）", "The search comes to (any of)")) }
                        @for name in OUTCOMES { label.check { input type="checkbox" name="outcome" value=(name) checked[texts(condition, "outcome").contains(&name)]; " " (outcome(page, name)) " " } } }
                    (others(page, condition))
                }
                section.card {
                    h2 { (page.say("做什么", "What it does")) }
                    label.check { input type="checkbox" name="enabled" value="1" checked[rule["enabled"] != json!(false)]; " " (page.say("启用", "On")) }
                    label.block { span.label { (page.say("什么时候看", "Looks")) } select name="when" {
                        option value="after" { (page.say("检索以后", "after the search")) }
                        option value="before" selected[said(rule, "when") == "before"] { (page.say("检索以前（不再检索）", "before the search, which is spared")) } } }
                    label.block { span.label { (page.say("生效时", "When it holds")) } select name="action" { @for name in ACTIONS { option value=(name) selected[deed_of(rule) == name] { (action(page, name)) } } } }
                    label.block { span.label { (page.say("固定的回复（“回复固定的话”时）", "The fixed reply")) } textarea.plain name="answer" rows="3" { "\n" (said(rule, "answer")) } }
                    label.block { span.label { (page.say("转接时对顾客说", "What the customer is told beside it")) } textarea.plain name="message" rows="2" { "\n" (said(rule, "message")) } }
                    label.block { span.label { (page.say("编号（小写字母、数字、-）", "Id (small letters, digits, -)")) } input type="text" name="id" value=(if is_new { typed("id") } else { id }) readonly[!is_new] maxlength="64" placeholder=(page.say("空着就自动取", "made up if blank")); }
                    label.block { span.label { (page.say("原因代码（进统计，空着就用编号）", "Code of the reason (for the figures; blank: the id)")) } input type="text" name="reason" value=(said(rule, "reason")) maxlength="64"; }
                }
            }
            (trial(page, tried.as_ref(), &typed, form.is_some_and(|form| form.has("try-session"))))
            (kept_tests(page, rule))
            (save(page, values.is_published))
            @if !is_new { p { button.button.danger name="do" value="remove" data-confirm=(page.say("删除这条规则？可以从历史里恢复。", "Remove this rule? It can be restored from the history.")) { (page.say("删除这条规则", "Remove this rule")) } } }
        }
    };
    again(page, sheet(page, kb, "rules", body), told)
}

/// Conditions that the form does not know.
fn others(page: &Page, condition: &Value) -> Markup {
    let names = ["patterns", "entries", "fields"];
    html! { @for name in names.into_iter().filter(|name| !condition[*name].is_null()) {
        p.soft { (page.say("还有一个条件（在全文里改）：", "Another condition (change it in the text): ")) code { (name) " = " (condition[name].to_string()) } }
    } }
}

/// A sentence to try.
fn trial<'a>(
    page: &Page,
    tried: Option<&Value>,
    typed: &dyn Fn(&str) -> &'a str,
    in_session: bool,
) -> Markup {
    html! {
        section.card {
            h2 { (page.say("试一句话", "Try a sentence")) }
            div.row {
                label.wide { span.label { (page.say("顾客说", "The customer says")) } input type="text" name="try" value=(typed("try")) maxlength="2000"; }
                label.narrow { span.label { (page.say("检索的结果", "The search comes to")) } select name="try-outcome" { option value="" { (page.say("按这句话猜", "as it says itself")) } @for name in OUTCOMES { option value=(name) selected[typed("try-outcome") == name] { (outcome(page, name)) } } } }
                button.button name="do" value="try" { (page.say("试试", "Try")) }
            }
            details { summary { (page.say("假定", "Suppose")) }
                div.row {
                    label.check { input type="checkbox" name="try-session" value="1" checked[in_session]; " " (page.say("在会话里", "In a conversation")) }
                    @for (field, zh, en) in [("try-misses", "连续几条没有答案", "Misses in a row"), ("try-repeats", "又问了几次", "Asked again"), ("try-queue", "排队的人", "In the queue")] {
                        label.narrow { span.label { (page.say(zh, en)) } input type="number" min="0" name=(field) value=(typed(field)); }
                    }
                    @for (field, zh, en) in [("try-topic", "回答的主题", "Topic"), ("try-tags", "条目的标签", "Tags"), ("try-channel", "渠道", "Channel")] {
                        label.narrow { span.label { (page.say(zh, en)) } input type="text" name=(field) value=(typed(field)); }
                    }
                }
            }
            @if let Some(tried) = tried {
                p role="status" {
                    @if tried["fired"] == json!(true) { span.tag.good { (page.say("这条规则会生效", "This rule fires")) } }
                    @else { span.tag.warn { (page.say("这条规则不会生效", "This rule does not fire")) }
                        @if let Some(winner) = tried["winner"].as_str() { " " (page.say("先生效的是 ", "first comes ")) code { (winner) } }
                        @if let Some(failed) = tried["failed"].as_str() { " " (page.say("不成立的条件：", "what does not hold: ")) code { (failed) } } }
                }
                label.block { span.label { (page.say("把这句话留作规则的测试", "Keep the sentence as a test of the rule")) } select name="keep" {
                    option value="" { (page.say("不留", "no")) }
                    option value="yes" { (page.say("留：应该生效", "yes: it should fire")) }
                    option value="no" { (page.say("留：不应该生效", "yes: it should not fire")) } } }
            }
        }
    }
}

/// The rule's own tests.
fn kept_tests(page: &Page, rule: &Value) -> Markup {
    let tests: Vec<&Value> = list(rule, "tests").collect();
    html! { @if !tests.is_empty() {
        details.card { summary { (page.say("规则自己的测试", "Its own tests")) " " span.tag { (tests.len()) } }
            div.scroll tabindex="0" role="region" aria-label=(page.say("表格", "Table")) { table.list {
                thead { tr { th { (page.say("顾客说", "The customer says")) } th { (page.say("应该生效", "Should fire")) } th { (page.say("去掉", "Take out")) } } }
                tbody { @for (at, test) in tests.iter().enumerate() {
                    tr { td { (said(test, "text")) } td { (if test["fires"] == json!(true) { page.say("是", "yes") } else { page.say("否", "no") }) } td { input type="checkbox" name={ "forget-" (at) } value="1" aria-label={ (page.say("去掉 ", "Take out ")) (said(test, "text")) }; } }
                } }
            } }
        }
    } }
}
