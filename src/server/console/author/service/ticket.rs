//! What do customers fill in when nobody is there?

use super::*;

/// What a field takes.
const KINDS: [(&str, &str, &str); 6] = [
    ("text", "一行字", "A line"),
    ("long", "几行字", "Several lines"),
    ("phone", "电话", "Telephone"),
    ("email", "邮箱", "E-mail"),
    ("contact", "任何联系方式", "Any way to reach them"),
    ("choice", "从选项里选", "A choice"),
];

/// The form as it would be, as `[ticket]` has it.
fn filled(form: &Form) -> Map<String, Value> {
    let count = form.get("fields").parse::<usize>().unwrap_or(0).min(100);
    let mut fields: Vec<Value> = Vec::new();
    for at in 0..count {
        let get = |name: &str| form.get(&format!("{name}-{at}"));
        let options = split(form.raw(&format!("options-{at}")));
        let mut field = json!({
            "name": get("name"), "label": get("label"), "kind": get("kind"),
            "required": form.has(&format!("required-{at}")),
            "max_chars": get("max").parse::<u64>().unwrap_or(200),
        });
        if !options.is_empty() {
            field["options"] = json!(options);
        }
        fields.push(field);
    }
    let mut told = Map::new();
    told.insert("enabled".to_owned(), json!(form.has("enabled")));
    told.insert("intro".to_owned(), json!(form.get("intro")));
    told.insert("done".to_owned(), json!(form.get("done")));
    told.insert("fields".to_owned(), fields.into());
    told
}

pub(super) async fn page(page: &Page, kb: &str) -> Outcome {
    let values = values(page, kb).await?;
    shown(page, kb, &values, &values.said["ticket"], &[])
}

pub(super) async fn change(page: &Page, kb: &str, form: &Form) -> Outcome {
    let mut values = values(page, kb).await?;
    if let Some(base) = based(form) {
        values.said["ticket"] = base;
    }
    let mut told = filled(form);
    let mut fields = told.get("fields").and_then(Value::as_array).cloned().unwrap_or_default();
    let deed = form.get("do");
    let is_added = deed == "add";
    if is_added {
        // Programs need a name; people see the label.
        let is_free = |name: &String| !fields.iter().any(|field| field["name"] == json!(name));
        let name = (1..).map(|number| format!("field_{number}")).find(is_free).unwrap_or_default();
        fields.push(json!({"name": name, "label": "", "kind": "text", "required": false, "max_chars": 200}));
    }
    if is_added || arrange(deed, &mut fields) {
        told.insert("fields".to_owned(), fields.into());
        form.get("etag").clone_into(&mut values.etag);
        return shown(page, kb, &values, &Value::Object(told), &[]);
    }
    let patch = json!({"ticket": differing(&values.said["ticket"], &told)});
    match send(page, kb, form, &patch, &place(kb, "ticket")).await? {
        Sent::Done(response) => Ok(response),
        Sent::Refused(faults, etag) => {
            values.etag = etag;
            shown(page, kb, &values, &Value::Object(told), &faults)
        }
    }
}

fn shown(page: &Page, kb: &str, values: &Values, ticket: &Value, told: &[String]) -> Outcome {
    let fields: Vec<&Value> = list(ticket, "fields").collect();
    let body = html! {
        (wrong(page, told))
        form method="post" data-keep="1" {
            button.hidden-label type="submit" name="do" value="draft" tabindex="-1" aria-hidden="true" {}
            (begin(page, "ticket", &values.etag))
            (basis(&values.said["ticket"]))
            section.card {
                h2 { (page.say("没有人在线时请顾客留的工单", "What customers leave when nobody is there")) }
                label.check { input type="checkbox" name="enabled" value="1" checked[ticket["enabled"] == json!(true)]; " " (page.say("可以留工单", "Tickets can be left")) }
                label.block { span.label { (page.say("表单上面的话", "Above the form")) } textarea.plain name="intro" rows="2" { "\n" (said(ticket, "intro")) } }
                label.block { span.label { (page.say("留好以后说的话（{number} 是工单号）", "Said afterwards ({number} is its number)")) } textarea.plain name="done" rows="2" { "\n" (said(ticket, "done")) } }
            }
            section.card {
                h2 { (page.say("要填什么", "What is filled in")) }
                input type="hidden" name="fields" value=(fields.len());
                @for (at, field) in fields.iter().enumerate() {
                    @let label = said(field, "label");
                    fieldset.field {
                        legend { b { (at + 1) ". " (label) } " " (arranging(page, at, fields.len(), label)) }
                        div.row {
                            label { span.label { (page.say("顾客看到的名称", "Its name for customers")) } input type="text" name={ "label-" (at) } value=(label) required; }
                            label { span.label { (page.say("填什么", "What it takes")) } select name={ "kind-" (at) } { @for (kind, zh, en) in KINDS { option value=(kind) selected[said(field, "kind") == kind] { (page.say(zh, en)) } } } }
                            label.narrow { span.label { (page.say("最多几个字", "Most characters")) } input type="number" name={ "max-" (at) } min="1" max="10000" value=(field["max_chars"].to_string()); }
                            label.check { input type="checkbox" name={ "required-" (at) } value="1" checked[field["required"] == json!(true)]; " " (page.say("必填", "Required")) }
                        }
                        div.row {
                            label { span.label { (page.say("选项（选“从选项里选”时，用顿号分开）", "Options (of a choice, by commas)")) } input type="text" name={ "options-" (at) } value=(texts(field, "options").join("、")); }
                            label.narrow { span.label { (page.say("程序用的名称", "Its name for programs")) } input type="text" name={ "name-" (at) } value=(said(field, "name")) pattern="[a-z0-9_]{1,40}" required; }
                        }
                    }
                }
                p { button.button name="do" value="add" formnovalidate { (page.say("加一项", "Add a field")) } }
            }
            (save(page, values.is_published))
        }
    };
    again(page, sheet(page, kb, "ticket", body), told)
}
