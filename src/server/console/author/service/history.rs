//! What has the service document been?

use super::super::super::told::when;
use super::super::history::action;
use super::*;

/// Revisions that are shown.
const SHOWN: &str = "50";

async fn revisions(page: &Page, kb: &str) -> Result<Value, Refusal> {
    page.inside
        .get(&address(&format!("{}/history", api(kb)), &[("of", "service"), ("limit", SHOWN)]))
        .read()
        .await
}

pub(super) async fn page(page: &Page, kb: &str) -> Outcome {
    let history = revisions(page, kb).await?;
    let values = values(page, kb).await?;
    let newest = &history["revisions"][0];
    let body = html! {
        @if newest.is_null() { p.empty { (page.say("还没有改过，用的是出厂的文件。", "It was never changed; the shipped document is used.")) } }
        @for revision in list(&history, "revisions") {
            section.card {
                div.verdict-head {
                    b { (action(page, said(revision, "action"))) }
                    span { (page.called(said(revision, "author"))) }
                    (when(said(revision, "at")))
                    @if revision["live"] == json!(true) { span.tag.good { (page.say("立即生效", "served at once")) } }
                    span.soft { "#" (revision["number"].to_string()) }
                }
                @if !said(revision, "reason").is_empty() { p.soft { (said(revision, "reason")) } }
                (changes(page, said(&revision["before"], "service"), said(&revision["after"], "service")))
                @if revision["number"] != newest["number"] { (restore(page, &values.etag, revision, "after", page.say("恢复到这个样子", "Restore this version"))) }
            }
        }
        @if let Some(first) = list(&history, "revisions").last() {
            @if first["before"].is_null() && list(&history, "revisions").count() < 50 { section.card { p { (page.say("最初：出厂的文件", "At first: the shipped document")) } (restore(page, &values.etag, first, "before", page.say("恢复到出厂的文件", "Restore the shipped document"))) } }
        }
    };
    Ok(page.show(sheet(page, kb, "history", body)))
}

fn restore(page: &Page, etag: &str, revision: &Value, side: &str, label: &str) -> Markup {
    html! { form method="post" {
        (begin(page, "history", etag))
        input type="hidden" name="number" value=(revision["number"].to_string());
        input type="hidden" name="side" value=(side);
        button.button.small name="do" value="restore" { (label) }
    } }
}

/// Lines that went and came; long documents change in few places.
pub(in super::super) fn changes(page: &Page, before: &str, after: &str) -> Markup {
    let shipped = page.say("（出厂的文件）", "(the shipped document)");
    let (gone, come) = lines_between(before, after);
    html! {
        @if before.is_empty() || after.is_empty() { p.soft { (if before.is_empty() { shipped } else { page.say("自己的文件", "a document of its own") }) " → " (if after.is_empty() { shipped } else { page.say("自己的文件", "a document of its own") }) } }
        @else {
            @for line in gone.iter().take(40) { p.gone { "− " code { (line) } } }
            @for line in come.iter().take(40) { p.come { "+ " code { (line) } } }
            @if gone.is_empty() && come.is_empty() { p.soft { (page.say("次序或空行变了", "another order, or blank lines")) } }
        }
    }
}

/// The lines that only one of two texts has, as often as it has them more.
fn lines_between<'a>(before: &'a str, after: &'a str) -> (Vec<&'a str>, Vec<&'a str>) {
    let only = |one: &'a str, other: &'a str| -> Vec<&'a str> {
        let mut left: std::collections::HashMap<&str, usize> = std::collections::HashMap::new();
        for line in other.lines() {
            *left.entry(line).or_default() += 1;
        }
        let mut found = Vec::new();
        for line in one.lines() {
            match left.get_mut(line) {
                Some(count) if *count > 0 => *count -= 1,
                _ if line.trim().is_empty() => {}
                _ => found.push(line),
            }
        }
        found
    };
    (only(before, after), only(after, before))
}

pub(super) async fn change(page: &Page, kb: &str, form: &Form) -> Outcome {
    let history = revisions(page, kb).await?;
    let here = place(kb, "history");
    let side = if form.get("side") == "before" { "before" } else { "after" };
    let number: Option<i64> = form.get("number").parse().ok();
    let found = list(&history, "revisions").find(|one| number.is_some_and(|number| one["number"] == number));
    let Some(revision) = found else {
        return Ok(page.go_with_fault(&here, page.say("找不到那个版本。", "There is no such version.")));
    };
    let document = said(&revision[side], "service").to_owned();
    let ask = form.ask(page, Method::PUT, &format!("{}/service", api(kb))).if_match(form.get("etag"));
    match ask.file("application/toml", document).got().await {
        Ok(_) => Ok(page.go(
            &here,
            page.say(
                "已恢复到草稿，发布以后生效。",
                "Restored in the draft; it counts once it is published.",
            ),
        )),
        Err(refusal) if [409, 412, 422].contains(&refusal.code) => {
            let told: Vec<String> = faults(page, &refusal).into_iter().map(|(_, message)| message).collect();
            Ok(page.go_with_fault(&here, &told.join("；")))
        }
        Err(refusal) => page.ended(form, &refusal).ok_or(refusal),
    }
}

#[cfg(test)]
mod tests {
    use super::lines_between;

    #[test]
    fn lines_that_differ_are_told() {
        let (gone, come) = lines_between("a\nb\nb\n\nc", "a\nb\nd\nc");
        assert_eq!((gone, come), (vec!["b"], vec!["d"]));
    }
}
