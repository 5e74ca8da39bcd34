//! How does somebody bring their questions and answers?
//!
//! A file that is dropped or chosen, or rows that are pasted from a spreadsheet.
//! Nothing is changed here: the next page shows what would be.

use axum::extract::Path;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde_json::Value;

use super::super::form::{Form, Upload};
use super::super::inside::{Refusal, address, part};
use super::super::page::{Outcome, Page, Sheet};
use super::file;
use super::parts::{api, base, text};

/// What a file of the authors' own may look like.
const TEMPLATE: &str = "\u{feff}标准问题,相似问法,答案,主题,关键词,启用\n\
几点开门,\"几点上班\n你们营业时间是什么\",早上九点到晚上十点，全年无休。,营业,营业时间,是\n\
会员卡可以转让吗,卡能给别人用吗,可以转让一次，请本人带身份证到前台办理。,会员卡,,是\n";

/// A new knowledge base begins with a file.
pub(super) async fn new(page: Page) -> Response {
    if !page.may("author") {
        return page.failed(Refusal {
            code: 403,
            kind: "/problems/forbidden".to_owned(),
            ..Refusal::default()
        });
    }
    page.show(begin(&page, None, "", &html! {}, ""))
}

pub(super) async fn page(page: Page, Path(kb): Path<String>) -> Response {
    page.reply(shown(&page, &kb).await)
}

async fn shown(page: &Page, kb: &str) -> Outcome {
    // Whoever may not know of it learns nothing.
    page.inside.get(&format!("{}/outline", api(kb))).got().await?;
    Ok(page.show(begin(page, Some(kb), "", &html! {}, "")))
}

/// The form that brings something; `wrong` says what was wrong with it, `name` and
/// `pasted` what was filled in.
fn begin(page: &Page, kb: Option<&str>, name: &str, wrong: &Markup, pasted: &str) -> Sheet {
    let is_wrong = !wrong.0.is_empty();
    let body = html! {
        @if is_wrong { div.card.problem role="alert" { (wrong) } }
        form.card.upload method="post" enctype="multipart/form-data" data-drop="1" {
            (page.csrf())
            @if kb.is_none() {
                label.block { span.label { (page.say("知识库的名字（汉字、字母、数字、“-”“_”“.”，不以“.”开头，最多 64 个字，如 gym 或 力健健身）", "The knowledge base's name (letters, digits, Chinese characters, “-”, “_”, “.”, not beginning with “.”, up to 64, such as gym)")) }
                    input.narrow type="text" name="kb" required maxlength="64" value=(name) autocomplete="off"; }
            }
            div.drop data-target="1" {
                p { b { (page.say("把文件拖到这里，或者选择文件", "Drop a file here, or choose one")) } }
                label { span.hidden-label { (page.say("文件", "File")) } input type="file" name="file" accept=".xlsx,.xls,.xlsm,.ods,.csv,.tsv,.txt,.json,.jsonl"; }
                p.soft { (page.say("Excel、WPS、CSV、JSONL 都可以，最大 64 MB。要有问题和答案两列，列名会自动认出来。", "Excel, WPS, CSV or JSONL, up to 64 MB. It needs a column of questions and one of answers; the headings are recognised.")) }
            }
            details open[!pasted.is_empty()] {
                summary { (page.say("或者从表格里复制几行，粘贴到这里", "Or copy rows in a spreadsheet and paste them here")) }
                label { span.hidden-label { (page.say("粘贴的表格", "Pasted rows")) } textarea name="paste" rows="6" placeholder=(page.say("标准问题\t答案", "question\tanswer")) { "\n" (pasted) } }
            }
            div.toolbar {
                button.button.primary type="submit" { (page.say("看看会导入什么", "See what would be imported")) }
                span.soft { (page.say("下一步只是预览，不会改动任何内容。", "The next step is only a preview; nothing is changed.")) }
            }
        }
        (help(page, kb))
    };
    let title = if kb.is_some() {
        page.say("导入表格", "Import a spreadsheet")
    } else {
        page.say("新建知识库", "New knowledge base")
    };
    let mut sheet = Sheet::new(title, body).with_script("import.js");
    if let Some(kb) = kb {
        sheet = sheet.of_kb(kb);
    }
    if is_wrong { sheet.refused(StatusCode::UNPROCESSABLE_ENTITY) } else { sheet }
}

fn help(page: &Page, kb: Option<&str>) -> Markup {
    let template = format!("{}/import/template.csv", base(kb.unwrap_or("new")));
    html! {
        div.toolbar {
            a.button.small href=(template) { (page.say("下载模板", "Download a template")) }
            @if let Some(kb) = kb {
                a.button.small href={ (base(kb)) "/export/xlsx" } { (page.say("导出现有条目（改完再导入）", "Export what is there (edit, then import)")) }
                a.button.small href={ (base(kb)) "/entries/new" } { (page.say("手写一个条目", "Write one entry")) }
            }
        }
    }
}

pub(super) async fn template(_: Page) -> Response {
    file("text/csv; charset=utf-8", "模板.csv", TEMPLATE)
}

pub(super) async fn create(page: Page, upload: Upload) -> Response {
    let kb = upload.form.get("kb").to_owned();
    page.reply(brought(&page, &kb, true, upload).await)
}

pub(super) async fn upload(page: Page, Path(kb): Path<String>, upload: Upload) -> Response {
    page.reply(brought(&page, &kb, false, upload).await)
}

async fn brought(page: &Page, kb: &str, is_new: bool, upload: Upload) -> Outcome {
    let Upload { form, file } = upload;
    let shown = (!is_new).then_some(kb);
    let pasted = form.raw("paste");
    if is_new && page.me.knowledge_bases.iter().any(|known| known == kb) {
        let wrong = taken(page, kb, file.is_some());
        return Ok(page.show(begin(page, None, kb, &wrong, pasted)));
    }
    let put = match file {
        Some((name, bytes)) => put_up(page, &form, kb, &name, bytes.into()).await,
        None if pasted.trim().is_empty() => {
            let told = page.say("请选择文件，或者粘贴几行。", "Choose a file, or paste rows.");
            return Ok(page.show(begin(page, shown, kb, &html! { (told) }, "")));
        }
        None => paste(page, &form, kb, pasted).await,
    };
    match put {
        Ok(file) => {
            let place = format!("{}/import/{}", base(kb), part(text(&file, "id")));
            Ok(Redirect::to(&place).into_response())
        }
        Err(refusal) if [400, 404, 422].contains(&refusal.code) => {
            Ok(page.show(begin(page, shown, kb, &html! { (told(page, &refusal)) }, pasted)))
        }
        Err(refusal) => Err(refusal),
    }
}

/// There is one of this name: what was meant for a new one does not go into it unasked.
fn taken(page: &Page, kb: &str, has_file: bool) -> Markup {
    html! {
        p { (page.say("已经有一个知识库叫“", "There is a knowledge base “")) (kb) (page.say("”，什么都没有导入。请换一个名字；要把内容加到它里面，请到", "” already; nothing was imported. Choose another name; to add to that one, go to "))
            a href={ (base(kb)) "/import" } { (page.say("它的导入页", "its import page")) } (page.say("。", ".")) }
        @if has_file { p { (page.say("文件要重新选择一次。", "The file has to be chosen again.")) } }
    }
}

fn told(page: &Page, refusal: &Refusal) -> String {
    let known = match refusal.field.as_deref() {
        Some("kb") => page.say(
            "这个名字不能用：用汉字、字母、数字、“-”“_”“.”，不以“.”开头，不要空格和斜线。",
            "This name cannot be used: letters, digits, Chinese characters, “-”, “_” and “.”, no blanks or strokes.",
        ),
        Some("name") => page.say(
            "认不出这种文件：请用 .xlsx、.csv、.txt 或 .jsonl。",
            "This kind of file is not known: use .xlsx, .csv, .txt or .jsonl.",
        ),
        _ => "",
    };
    if known.is_empty() { page.why(refusal) } else { known.to_owned() }
}

async fn put_up(
    page: &Page,
    form: &Form,
    kb: &str,
    name: &str,
    bytes: axum::body::Body,
) -> Result<Value, Refusal> {
    let place = address(&format!("{}/files", api(kb)), &[("name", name)]);
    form.ask(page, Method::POST, &place).file("application/octet-stream", bytes).read().await
}

/// Rows without a line of headings get one: a question and its answer come first.
async fn paste(page: &Page, form: &Form, kb: &str, pasted: &str) -> Result<Value, Refusal> {
    let name = "paste.tsv";
    let put = put_up(page, form, kb, name, pasted.to_owned().into()).await?;
    let sheet = &put["sheets"][0];
    let columns = sheet["columns"].as_array().map_or(0, Vec::len);
    if columns < 2 || !sheet["header"].is_null() {
        return Ok(put);
    }
    let mark = if pasted.lines().next().unwrap_or_default().contains('\t') { "\t" } else { "," };
    let others = (3..=columns).map(|number| format!("第{number}列"));
    let headings: Vec<String> =
        ["标准问题".to_owned(), "答案".to_owned()].into_iter().chain(others).collect();
    let whole = format!("{}\n{pasted}", headings.join(mark));
    put_up(page, form, kb, name, whole.into()).await
}
