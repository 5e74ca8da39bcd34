//! What would a file change, and what do its columns hold?
//!
//! The first rows with what each column is taken for, which the author may say
//! otherwise; what is wrong, cell by cell; and what would be new, changed and gone.
//! All choices stand in the address, so the page may be kept and shared.

use axum::extract::{Path, RawQuery};
use axum::http::Method;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde_json::Value;

use super::super::inside::{Refusal, address, part};
use super::super::page::{Outcome, Page, Sheet};
use super::parts::{api, base, count, field_name, in_words, list, text, would_be};
use super::{super::form::Form, file as kept_file};

/// Faults that are shown.
const FAULTS: usize = 50;

/// How somebody wants a file to be taken.
struct Wanted {
    mode: String,
    /// Headings and fields, as they stand in the form.
    columns: Vec<(String, String)>,
    hidden: bool,
    yes: bool,
}

impl Wanted {
    fn of<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut wanted = Self { mode: "update".to_owned(), columns: Vec::new(), hidden: false, yes: false };
        let mut headings = Vec::new();
        for (name, value) in fields {
            match name {
                "mode" if ["update", "add", "replace"].contains(&value) => value.clone_into(&mut wanted.mode),
                "h" => headings.push(value.to_owned()),
                "f" => wanted.columns.push((String::new(), value.to_owned())),
                "hidden" => wanted.hidden = true,
                "yes" => wanted.yes = true,
                _ => {}
            }
        }
        for (column, heading) in wanted.columns.iter_mut().zip(headings) {
            column.0 = heading;
        }
        wanted.columns.retain(|(heading, _)| !heading.is_empty() && !heading.contains('\n'));
        wanted
    }

    /// What is said of the columns, as the API takes it.
    fn columns(&self) -> String {
        self.columns.iter().map(|(heading, field)| format!("{heading}={field}\n")).collect()
    }

    fn query<'a>(&'a self, file: &'a str, columns: &'a str) -> Vec<(&'static str, &'a str)> {
        vec![
            ("file", file),
            ("mode", &self.mode),
            ("good_rows", "true"),
            ("columns", columns),
            ("hidden", if self.hidden { "true" } else { "" }),
        ]
    }
}

pub(super) async fn page(
    page: Page,
    Path((kb, file)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    let fields: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let wanted = Wanted::of(fields.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    page.reply(shown(&page, &kb, &file, wanted).await)
}

async fn shown(page: &Page, kb: &str, file: &str, mut wanted: Wanted) -> Outcome {
    let place = format!("{}/files/{}", api(kb), part(file));
    let look = match page.inside.get(&place).read::<Value>().await {
        Err(refusal) if refusal.code == 404 && refusal.field.as_deref() == Some("file") => {
            let told =
                page.say("文件只保留一小时，请重新选择。", "Files are kept for an hour; choose it again.");
            return Ok(page.go_with_fault(&format!("{}/import", base(kb)), told));
        }
        look => look?,
    };
    if wanted.columns.is_empty() {
        // What nobody knows is left out, unless the author says what it is.
        let unknown = list(&look, "sheets").flat_map(|sheet| list(sheet, "columns"));
        let unknown =
            unknown.filter(|column| column["field"].is_null() && column["ignored"] == Value::Bool(false));
        wanted.columns = unknown.map(|column| (text(column, "heading").to_owned(), String::new())).collect();
    }
    let said = wanted.columns();
    let tried = address(
        &format!("{}/import", api(kb)),
        &[wanted.query(file, &said), vec![("dry_run", "true"), ("yes", "true")]].concat(),
    );
    let token = page.me.csrf_token.as_deref().unwrap_or_default();
    let ask = page.inside.ask(Method::POST, &tried).with("x-csrf-token", token);
    let outcome = ask.file("application/octet-stream", "").read::<Value>().await;
    let body = html! {
        p { b { (text(&look, "name")) } " · " a href={ (base(kb)) "/import" } { (page.say("换一个文件", "Another file")) } }
        (choices(page, &look, &wanted))
        @match outcome {
            Ok(outcome) => { (would(page, kb, file, &wanted, &outcome)) }
            Err(refusal) if [409, 422].contains(&refusal.code) => { (cannot(page, &refusal)) }
            Err(refusal) => { div.card.problem role="alert" { (page.fault(&refusal)) } }
        }
    };
    Ok(page.show(Sheet::new(page.say("导入预览", "Import preview"), body).of_kb(kb).with_script("import.js")))
}

/// What the columns hold, and how the file is taken.
fn choices(page: &Page, look: &Value, wanted: &Wanted) -> Markup {
    let modes = [
        (
            "update",
            page.say(
                "更新：同编号的替换，新的加进去，其余不动",
                "Update: the same ids are replaced, new ones added, others stay",
            ),
        ),
        ("add", page.say("只加新的，已有的不动", "Only add what is new")),
        (
            "replace",
            page.say(
                "替换全部：文件里没有的条目会删除",
                "Replace all: entries that the file lacks are removed",
            ),
        ),
    ];
    html! {
        form.card.mapping method="get" data-submit="1" {
            @for sheet in list(look, "sheets") {
                h2 { @if let Some(name) = sheet["sheet"].as_str() { (page.say("工作表 ", "Sheet ")) "“" (name) "” " } (page.say("前几行和列的含义", "First rows, and what the columns hold")) }
                @if sheet["header"].is_null() {
                    p.fault { (page.say("没有认出列名。第一行应是列名；请在下面说明哪一列是问题、哪一列是答案。", "No headings were recognised. The first row should hold them; say below which column is what.")) }
                }
                div.scroll tabindex="0" role="region" aria-label=(page.say("表格", "Table")) { table.list {
                    thead {
                        tr { @for column in list(sheet, "columns") { th { (text(column, "letter")) " · " (text(column, "heading")) } } }
                        tr { @for column in list(sheet, "columns") { td { (field(page, look, column, wanted)) } } }
                    }
                    tbody { @for row in list(sheet, "rows") { tr { @for cell in row.as_array().into_iter().flatten() { td.cell { (cell.as_str().unwrap_or_default()) } } } } }
                } }
                p.soft { (page.say("共 ", "")) (sheet["total"].to_string()) (page.say(" 行", " rows in all")) }
            }
            fieldset.modes { legend.label { (page.say("怎么导入", "How")) }
                @for (mode, name) in modes { label.check { input type="radio" name="mode" value=(mode) checked[mode == wanted.mode]; " " (name) } }
                label.check { input type="checkbox" name="hidden" value="1" checked[wanted.hidden]; " " (page.say("隐藏的行列也导入", "Hidden rows and columns too")) }
            }
            button.button type="submit" { (page.say("重新预览", "Preview again")) }
        }
    }
}

/// What a column is taken for.
fn field(page: &Page, look: &Value, column: &Value, wanted: &Wanted) -> Markup {
    let heading = text(column, "heading");
    let said = wanted.columns.iter().find(|(known, _)| known == heading).map(|(_, field)| field.as_str());
    let chosen = said.unwrap_or_else(|| text(column, "field"));
    let is_strange = column["field"].is_null() && column["ignored"] == Value::Bool(false);
    html! {
        input type="hidden" name="h" value=(heading);
        select.map name="f" aria-label={ (page.say("这一列是：", "This column holds: ")) (heading) } {
            option value="" selected[chosen.is_empty()] { (page.say("不导入", "Left out")) }
            @for one in list(look, "fields") {
                @let name = one[0].as_str().unwrap_or_default();
                option value=(name) selected[name == chosen] { (field_name(page, name)) }
            }
        }
        @if is_strange && chosen.is_empty() { span.tag.warn { (page.say("没认出", "unknown")) } }
    }
}

/// Where a fault is, as a spreadsheet shows it.
fn place(page: &Page, fault: &Value) -> String {
    let sheet = text(fault, "sheet");
    let line = fault["line"]
        .as_u64()
        .map(|line| if page.is_english() { format!("row {line}") } else { format!("第 {line} 行") });
    [Some(sheet.to_owned()).filter(|sheet| !sheet.is_empty()), line]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" ")
}

/// What the command line is told of, in words for this page.
fn in_page(message: &str) -> String {
    let cut = message.split("；可用的列名").next().unwrap_or(message);
    cut.split("；确实要导入，请加上")
        .next()
        .unwrap_or(cut)
        .split("；要重新检查这些列")
        .next()
        .unwrap_or(cut)
        .to_owned()
}

fn faults<'a>(page: &Page, faults: impl Iterator<Item = &'a Value>) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(page.say("表格", "Table")) { table.list { tbody { @for fault in faults.take(FAULTS) {
            tr { td.nowrap { (place(page, fault)) } td { @if !text(fault, "field").is_empty() { (field_name(page, text(fault, "field"))) } } td { (in_page(text(fault, "message"))) } }
        } } } }
    }
}

/// What the import would do, and the button that does it.
fn would(page: &Page, kb: &str, file: &str, wanted: &Wanted, outcome: &Value) -> Markup {
    let rejected = &outcome["rejected"];
    let bad = rejected["entries"].as_u64().unwrap_or(0);
    let diff = &outcome["diff"];
    let (removed, changed) =
        (count(diff, "removed"), count(diff, "changed") + count(diff, "added") + count(diff, "removed"));
    let said = wanted.columns();
    let download =
        address(&format!("{}/import/{}/rejected.xlsx", base(kb), part(file)), &wanted.query("", &said));
    html! {
        section.card {
            h2 { (page.say("导入以后", "Afterwards")) }
            p.big { (in_words(page, diff)) }
            @if removed > 0 { p.fault { (page.say("会删除 ", "Removes ")) (removed) (page.say(" 个条目；导入后可以撤销。", " entries; it can be undone afterwards.")) } }
            form method="post" {
                (page.csrf())
                input type="hidden" name="mode" value=(wanted.mode);
                @if wanted.hidden { input type="hidden" name="hidden" value="1"; }
                @for (heading, field) in &wanted.columns { input type="hidden" name="h" value=(heading); input type="hidden" name="f" value=(field); }
                @if removed > 0 { label.check { input type="checkbox" name="yes" value="1" required; " " (page.say("确实要删除这些条目", "These entries are meant to go")) } }
                @if changed == 0 { p { (page.say("和现在的草稿一样，没有要导入的。", "It is what the draft is already; there is nothing to import.")) } }
                @else { button.button.primary type="submit" {
                    @if bad > 0 { (page.say("导入没有问题的行", "Import the good rows")) } @else { (page.say("导入到草稿", "Import into the draft")) }
                } " " span.soft { (page.say("只改草稿，发布以后顾客才会得到。", "Only the draft is changed; customers get it when it is published.")) } }
            }
            (would_be(page, kb, diff, 100))
        }
        @if bad > 0 {
            section.card.rejected {
                h2 { (page.say("不能导入的行：", "Rows that cannot be imported: ")) (bad) }
                (faults(page, list(rejected, "problems")))
                @if count(rejected, "problems") > FAULTS { p.soft { (page.say("只列出前 50 处，全部在下载的表格里。", "The first 50 are listed; all are in the download.")) } }
                p { a.button.small href=(download) { (page.say("下载这些行（带原因，改好再导入）", "Download these rows (with reasons; mend and import them)")) } }
            }
        }
        @if count(outcome, "notes") > 0 {
            // A few are seen at once: what is not imported should not be missed.
            details.card open[count(outcome, "notes") <= 10] { summary { (page.say("说明 ", "Notes ")) (count(outcome, "notes")) } (faults(page, list(outcome, "notes"))) }
        }
    }
}

/// What keeps all of a file from being imported.
fn cannot(page: &Page, refusal: &Refusal) -> Markup {
    let told = refusal.more.get("problems").and_then(Value::as_array);
    html! {
        section.card.rejected role="alert" {
            h2 { (page.say("还不能导入", "It cannot be imported yet")) }
            @match told {
                Some(told) => { (faults(page, told.iter())) }
                None => { p { (page.why(refusal)) } }
            }
        }
    }
}

pub(super) async fn confirm(page: Page, Path((kb, file)): Path<(String, String)>, form: Form) -> Response {
    page.reply(confirmed(&page, &kb, &file, &form).await)
}

async fn confirmed(page: &Page, kb: &str, file: &str, form: &Form) -> Outcome {
    let wanted = Wanted::of(form.fields().iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let said = wanted.columns();
    let mut query = wanted.query(file, &said);
    query.extend([("background", "true"), ("yes", if wanted.yes { "true" } else { "" })]);
    let place = address(&format!("{}/import", api(kb)), &query);
    match form.ask(page, Method::POST, &place).file("application/octet-stream", "").read::<Value>().await {
        Ok(job) => {
            let place = format!("{}/jobs/{}", base(kb), part(text(&job, "id")));
            let then = format!("{}/import/done", base(kb));
            Ok(Redirect::to(&address(&place, &[("then", &then)])).into_response())
        }
        Err(refusal) => page.ended(form, &refusal).ok_or(refusal),
    }
}

/// The rows that were not taken, for a spreadsheet.
pub(super) async fn rejected(
    page: Page,
    Path((kb, file)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Response {
    let place = format!("{}/files/{}/rejected?{}", api(&kb), part(&file), query.unwrap_or_default());
    match page.inside.get(&place).got().await {
        Ok(got) => kept_file(
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            &format!("{kb}-不能导入的行.xlsx"),
            got.body,
        ),
        Err(refusal) => page.failed(refusal),
    }
}
