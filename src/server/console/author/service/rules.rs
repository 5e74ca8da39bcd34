//! Which handoff rules are there, in which order?

use super::*;

pub(super) async fn page(page: &Page, kb: &str) -> Outcome {
    let values = values(page, kb).await?;
    let to = format!("{}/service/test", api(kb));
    let token = page.me.csrf_token.as_deref().unwrap_or_default();
    // Without a body the draft's are tested.
    let tested: Option<Value> =
        page.inside.ask(Method::POST, &to).with("x-csrf-token", token).read().await.ok();
    let rules: Vec<&Value> = list(&values.said, "rules").collect();
    let failing = |id: &str| {
        let tests = tested.as_ref().map(|tested| list(tested, "tests"));
        tests
            .into_iter()
            .flatten()
            .filter(|test| said(test, "rule") == id && test["passed"] == json!(false))
            .count()
    };
    let body = html! {
        p.soft { (page.say("从上到下看，第一条成立的生效。“检索以前”的先看。", "From the top; the first that holds is in force. Those before the search come first.")) }
        form method="post" {
            (begin(page, "rules", &values.etag))
            div.scroll tabindex="0" role="region" aria-label=(page.say("表格", "Table")) { table.list {
                thead { tr { th { (page.say("规则", "Rule")) } th { (page.say("状态", "State")) } th { (page.say("次序与开关", "Order and switch")) } } }
                tbody { @for (at, rule) in rules.iter().enumerate() {
                    @let id = said(rule, "id");
                    @let is_on = rule["enabled"] != json!(false);
                    @let failed = failing(id);
                    tr {
                        td { a href=(address(&place(kb, "rule"), &[("id", id)])) { (in_words(page, rule)) } br; code.soft { (id) } }
                        td { @if is_on { span.tag.good { (page.say("启用", "On")) } } @else { span.tag { (page.say("停用", "Off")) } }
                            @if failed > 0 { " " span.tag.bad { (page.say("测试没通过 ", "failing tests ")) (failed) } } }
                        td { span.pair {
                            button.icon name="do" value={ "up-" (at) } disabled[at == 0] aria-label={ (page.say("上移 ", "Move up ")) (id) } { "↑" }
                            button.icon name="do" value={ "down-" (at) } disabled[at + 1 == rules.len()] aria-label={ (page.say("下移 ", "Move down ")) (id) } { "↓" }
                            button.button.small name="do" value={ (if is_on { "off-" } else { "on-" }) (at) } { (if is_on { page.say("停用", "Switch off") } else { page.say("启用", "Switch on") }) }
                        } }
                    }
                } }
            } }
            div.toolbar {
                a.button.primary href=(place(kb, "rule")) { (page.say("加一条规则", "Add a rule")) }
                @if values.is_published { button.button name="do" value="live" data-confirm=(page.say("草稿里的话术与规则马上对顾客生效？", "Serve customers by the draft's voice and rules at once?")) { (page.say("让草稿的规则立即生效", "Serve by the draft's rules at once")) } }
            }
        }
        @if let Some(tested) = &tested { (text::report(page, tested)) }
    };
    Ok(page.show(sheet(page, kb, "rules", body)))
}

pub(super) async fn change(page: &Page, kb: &str, form: &Form) -> Outcome {
    let values = values(page, kb).await?;
    let rules: Vec<&Value> = list(&values.said, "rules").collect();
    let mut order: Vec<&str> = rules.iter().map(|rule| said(rule, "id")).collect();
    let deed = form.get("do");
    let switched = |prefix: &str| -> Option<&str> {
        let at: usize = deed.strip_prefix(prefix)?.parse().ok()?;
        order.get(at).copied()
    };
    let patch = match (switched("on-"), switched("off-")) {
        (Some(id), _) => json!({"rules": {id: {"enabled": true}}}),
        (_, Some(id)) => json!({"rules": {id: {"enabled": false}}}),
        _ if arrange(deed, &mut order) => json!({"rule_order": order}),
        // What is in the draft, at once.
        _ => json!({}),
    };
    match send(page, kb, form, &patch, &place(kb, "rules")).await? {
        Sent::Done(response) => Ok(response),
        Sent::Refused(told, _) => Ok(page.go_with_fault(&place(kb, "rules"), &told.join("；"))),
    }
}

/// What a rule says, in a sentence.
pub(super) fn in_words(page: &Page, rule: &Value) -> String {
    let condition = &rule["if"];
    let mut when: Vec<String> = Vec::new();
    let named = |name: &str| -> String { texts(condition, name).join("、") };
    let mut say = |name: &str, zh: &str, en: &str| {
        if !condition[name].is_null() {
            let value = match &condition[name] {
                Value::Array(_) => named(name),
                other => counted(page, other),
            };
            let pattern = if page.is_english() { en } else { zh };
            when.push(pattern.replace("{}", &value));
        }
    };
    say("words", "顾客说到“{}”", "says “{}”");
    say("without", "顾客没有说“{}”", "does not say “{}”");
    say("patterns", "顾客的话符合“{}”", "matches “{}”");
    say("misses", "连续 {} 条没有答案", "{} misses in a row");
    say("repeats", "同一个问题又问了 {} 次", "asked again {} times");
    say("entries", "答案是条目“{}”", "is answered from “{}”");
    say("topics", "主题是“{}”", "the topic is “{}”");
    say("tags", "条目有标签“{}”", "the entry is tagged “{}”");
    say("channels", "来自“{}”", "comes by “{}”");
    say("queue", "排队的有 {} 人", "{} wait in the queue");
    if !condition["outcome"].is_null() {
        let names: Vec<&str> =
            texts(condition, "outcome").into_iter().map(|name| outcome(page, name)).collect();
        let joined = names.join(page.say("或", " or "));
        when.push(if page.is_english() {
            format!("the outcome is: {joined}")
        } else {
            format!("结果是：{joined}")
        });
    }
    for (name, is, zh, en) in [
        ("asks_for_person", true, "顾客要找人工", "asks for a person"),
        ("asks_for_person", false, "顾客没有要找人工", "does not ask for a person"),
        ("angry", true, "顾客很不满", "is angry"),
        ("angry", false, "顾客没有不满", "is not angry"),
        ("session", true, "在会话里", "is in a conversation"),
        ("session", false, "不在会话里", "is in no conversation"),
        ("open", true, "在人工服务时间", "people are there"),
        ("open", false, "不在人工服务时间", "nobody is there"),
    ] {
        if condition[name] == json!(is) {
            when.push(page.say(zh, en).to_owned());
        }
    }
    if let Some(fields) = condition["fields"].as_object() {
        let told: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{name} = {}", value.to_string().replace('"', "")))
            .collect();
        when.push(format!("{}{}", page.say("顾客资料里 ", "the customer's "), told.join("、")));
    }
    let then = action(page, deed_of(rule));
    let early = if said(rule, "when") == "before" {
        page.say("（检索以前）", " (before the search)")
    } else {
        ""
    };
    if page.is_english() {
        format!("When the customer {} → {then}{early}", when.join(" and "))
    } else {
        format!("{} → {then}{early}", when.join("，并且"))
    }
}

fn counted(page: &Page, value: &Value) -> String {
    let bound = |name: &str| value[name].as_u64();
    match (value.as_u64(), bound("at_least"), bound("at_most")) {
        (Some(number), ..) => number.to_string(),
        (_, Some(least), Some(most)) => format!("{least}–{most}"),
        (_, Some(least), None) => format!("{}{least}", page.say("至少 ", "at least ")),
        (_, None, Some(most)) => format!("{}{most}", page.say("至多 ", "at most ")),
        _ => "?".to_owned(),
    }
}

/// What a rule does.
pub(super) fn deed_of(rule: &Value) -> &str {
    match said(rule, "action") {
        "" if !said(rule, "answer").trim().is_empty() => "answer",
        "" => "handoff",
        named => named,
    }
}

pub(super) fn action(page: &Page, name: &str) -> &'static str {
    match name {
        "answer" => page.say("回复固定的话", "a fixed reply"),
        "ticket" => page.say("请顾客留工单", "a ticket"),
        "answer_then_handoff" => page.say("回答以后再转人工", "the answer, then a person"),
        _ => page.say("转人工", "a person"),
    }
}

/// What the search came to.
pub(super) fn outcome<'a>(page: &Page, name: &'a str) -> &'a str {
    match name {
        "answer" => page.say("答得上来", "an answer"),
        "clarify" => page.say("要反问", "asking back"),
        "handoff" => page.say("答不上来或要找人工", "no answer, or a person"),
        "no_match" => page.say("知识库里没有", "not in the knowledge base"),
        "low_confidence" => page.say("把握不够", "not sure enough"),
        "requested" => page.say("要找人工", "a person is asked for"),
        other => other,
    }
}
