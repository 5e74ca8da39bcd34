//! Which words does a knowledge base add, and what do its words and rules do?
//!
//! The lexicon's `ETag` is its last revision. Who replaces all of it names the
//! one they saw; single lines are put in and taken out by what they begin
//! with, and need no condition. Both count from the next release on.

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa_axum::routes;

use super::address::{Path, Query};
use super::authoring::refusal;
use super::caller::Caller;
use super::entries::{Condition, MayCondition, etag, expected, needs_condition};
use super::error::{Kind, Problem, Problems};
use super::request::{self, File, fields, format_named};
use super::routes::Routes;
use crate::access::Right;
use crate::engine::{Engine, Filter, Options, RuleTest};
use crate::error::Error;
use crate::kb::check::CODES;
use crate::kb::formats::{self, Format};
use crate::publish;
use crate::release::hear_in;
use crate::store::Expected;
use crate::text::AuthoredLexicon;
use crate::text::anatomy::Anatomy;
use crate::text::lexicon::{Item, LexiconChanges};

/// The largest lexicon, in bytes.
const LEXICON_BYTES: usize = 8 << 20;
/// The largest of the other bodies, in bytes.
const REQUEST_BYTES: usize = 64 << 10;
/// Sentences that are tested at a time.
const TEXTS: usize = 64;

pub(super) fn routes() -> Routes {
    let lexicon = Routes::new().may(Right::Author, routes!(lexicon, replace, edit)).bodies(LEXICON_BYTES);
    Routes::new()
        .may(Right::Author, routes!(restore))
        .may(Right::Author, routes!(tokens))
        .may(Right::Author, routes!(rule_test))
        .may(Right::Author, routes!(check_codes))
        .bodies(REQUEST_BYTES)
        .merge(lexicon)
}

/// How the lexicon is written.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct LexiconQuery {
    /// `jsonl`, which it is without this, `csv` or `xlsx`.
    format: Option<String>,
}

fn format_of(LexiconQuery { format }: LexiconQuery) -> Result<Format, Problem> {
    format.map_or(Ok(Format::default()), |name| format_named(&name))
}

/// Show the lexicon of the draft, with its `ETag`.
#[utoipa::path(
    get,
    operation_id = "get_lexicon",
    path = "/v1/kbs/{kb}/lexicon",
    params(("kb" = String, Path, description = "The knowledge base."), LexiconQuery),
    responses(
        (
            status = 200,
            description = "One line a word, group or question, as in a file; its content type says what it is.",
            content(
                (String = "application/x-ndjson"),
                (inline(File) = "application/octet-stream"),
                (String = "text/csv"),
                (String = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
            ),
        ),
        Problems,
    )
)]
async fn lexicon(
    caller: Caller,
    Path(kb): Path<String>,
    Query(query): Query<LexiconQuery>,
) -> Result<Response, Problem> {
    let format = format_of(query)?;
    caller
        .author(move |caller| {
            let words = caller.shelf(&kb)?.words()?;
            let headers = [
                (header::CONTENT_TYPE, format.media_type().to_owned()),
                (header::ETAG, etag(words.revision)),
            ];
            Ok((headers, formats::written_lexicon(&words.lexicon, format)?).into_response())
        })
        .await
}

/// Put a lexicon in the place of the one that `If-Match` names.
#[utoipa::path(
    put,
    operation_id = "put_lexicon",
    path = "/v1/kbs/{kb}/lexicon",
    params(("kb" = String, Path, description = "The knowledge base."), LexiconQuery, Condition),
    request_body(content = inline(File), content_type = "application/octet-stream"),
    responses(
        (status = 200, description = "What has changed; `ETag` names the lexicon now.", body = LexiconChanges),
        (status = 412, description = "Somebody else was faster; `current` is the `ETag` now.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A line has a fault; `problems` names all of them.", body = Problem, content_type = "application/problem+json"),
        (status = 428, description = "`If-Match` is missing.", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
async fn replace(
    caller: Caller,
    Path(kb): Path<String>,
    Query(query): Query<LexiconQuery>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Problem> {
    let format = format_of(query)?;
    let expected = expected(&headers)?;
    let bytes = request::bytes(request, LEXICON_BYTES).await?;
    caller
        .author(move |caller| {
            let shelf = caller.shelf(&kb)?;
            let Some(expected) = expected else { return Err(needs_condition(shelf.words()?.revision)) };
            let lexicon = formats::lexicon_of_bytes("lexicon", format, &bytes)?;
            if lexicon.is_empty() {
                let detail = "文件里没有词，词表没有变；要删去几行请用 PATCH 的 remove";
                return Err(Problem::new(Kind::InvalidEntry, detail));
            }
            Ok(changed(shelf.change_lexicon(&expected, |_| Ok(lexicon))?))
        })
        .await
}

/// Lines to put in and to take out.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct LexiconEdit {
    /// Each takes the place of the line of its kind that begins with the same
    /// word, or is added.
    #[serde(default)]
    #[schema(value_type = Vec<Item>)]
    put: Vec<Value>,
    /// Lines named by their kind and first word, such as `{"stop": "麻烦"}`.
    #[serde(default)]
    #[schema(value_type = Vec<Item>)]
    remove: Vec<Value>,
}

/// Put lines into the lexicon and take lines out, all of it or nothing.
#[utoipa::path(
    patch,
    operation_id = "patch_lexicon",
    path = "/v1/kbs/{kb}/lexicon",
    params(("kb" = String, Path, description = "The knowledge base."), MayCondition),
    request_body(content = LexiconEdit, example = json!({"put": [{"synonyms": ["退货", "退掉"]}], "remove": [{"stop": "麻烦"}]})),
    responses(
        (status = 200, description = "What has changed; `ETag` names the lexicon now.", body = LexiconChanges),
        (status = 412, description = "`If-Match` was sent, and somebody else was faster.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A line has a fault, or is not there to be taken out.", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
async fn edit(
    caller: Caller,
    Path(kb): Path<String>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Problem> {
    let expected = expected(&headers)?.unwrap_or(Expected::Anything);
    let LexiconEdit { put, remove } = fields(request::json(request, LEXICON_BYTES).await?)?;
    caller
        .author(move |caller| {
            let shelf = caller.shelf(&kb)?;
            let edit = || -> crate::error::Result<_> {
                let (put, remove) = (read("put", &put)?, read("remove", &remove)?);
                shelf.change_lexicon(&expected, |before| before.edited(&put, &remove))
            };
            Ok(changed(edit().map_err(in_the_body)?))
        })
        .await
}

/// Reads lines as those of a file are read.
fn read(name: &str, lines: &[Value]) -> crate::error::Result<AuthoredLexicon> {
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    AuthoredLexicon::read(name, lines.join("\n").as_bytes())
}

/// The body is no file: its places are fields.
fn in_the_body(error: Error) -> Error {
    let Error::Corpus(mut problems) = error else { return error };
    for problem in problems.iter_mut().filter(|problem| ["put", "remove"].contains(&problem.file.as_str())) {
        let field = problem.field.take().map_or_else(String::new, |field| format!(".{field}"));
        problem.field = Some(format!("{}[{}]{field}", problem.file, problem.line.saturating_sub(1)));
        problem.line = 0;
    }
    Error::Corpus(problems)
}

fn changed((changes, revision): (LexiconChanges, i64)) -> Response {
    ([(header::ETAG, etag(revision))], Json(changes)).into_response()
}

/// Which state of the words is wanted.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct WordsWanted {
    /// A revision of the words: they become what they were right after it; 0 for
    /// none at all.
    #[schema(minimum = 0)]
    revision: i64,
}

/// Make the lexicon of the draft what it was right after a revision.
#[utoipa::path(
    post,
    operation_id = "restore_lexicon",
    path = "/v1/kbs/{kb}/lexicon/restore",
    params(("kb" = String, Path, description = "The knowledge base."), MayCondition),
    request_body(content = WordsWanted, example = json!({"revision": 12})),
    responses(
        (status = 200, description = "What has changed; `ETag` names the lexicon now.", body = LexiconChanges),
        (status = 412, description = "`If-Match` was sent, and somebody else was faster.", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
async fn restore(
    caller: Caller,
    Path(kb): Path<String>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Problem> {
    let expected = expected(&headers)?.unwrap_or(Expected::Anything);
    let WordsWanted { revision } = fields(request::json(request, REQUEST_BYTES).await?)?;
    if revision < 0 {
        let detail = format!("`revision` is a revision of the words, or 0 for none at all, got {revision}");
        return Err(Problem::new(Kind::InvalidField, detail).of_field("revision"));
    }
    caller.author(move |caller| Ok(changed(caller.shelf(&kb)?.restore_words(&expected, revision)?))).await
}

/// A sentence.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Sentence {
    /// Its text.
    text: String,
}

/// Show how a sentence is cut into words with the lexicon of the draft, and why.
#[utoipa::path(
    post,
    operation_id = "read_tokens",
    path = "/v1/kbs/{kb}/tokens",
    params(("kb" = String, Path, description = "The knowledge base.")),
    request_body(content = Sentence, example = json!({"text": "拾光卡plus怎么退"})),
    responses(
        (status = 200, description = "The sentence, taken apart.", body = Anatomy),
        Problems,
    )
)]
async fn tokens(caller: Caller, Path(kb): Path<String>, request: Request) -> Result<Json<Anatomy>, Problem> {
    let Sentence { text } = fields(request::json(request, REQUEST_BYTES).await?)?;
    caller
        .author(move |caller| {
            let base = caller.shelf(&kb)?.draft()?;
            let analyzer = base.analyzer();
            let heard = hear_in(&base, &analyzer, &text);
            Ok(Json(Anatomy::of(&analyzer, &text, heard)?))
        })
        .await
}

/// Which state is tested.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct TestQuery {
    /// Test the draft, which has to be indexed first: the reply is a job.
    #[serde(default)]
    draft: bool,
}

/// The sentences of a test.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct RuleTestRequest {
    /// 1 to 64 sentences.
    #[schema(min_items = 1, max_items = 64)]
    texts: Vec<String>,
    /// Which entries may be found; without it, all.
    #[schema(value_type = Option<Filter>)]
    filter: Option<Value>,
}

/// What rules do to some sentences.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct RuleTests {
    /// One for each sentence, in their order.
    items: Vec<RuleTest>,
}

/// Show which questions, keywords and rules claim a sentence, what silences
/// them, in which order they win, and what the engine then does.
///
/// Asks what is served, live edits included; with `draft=true` the draft.
#[utoipa::path(
    post,
    operation_id = "test_rules",
    path = "/v1/kbs/{kb}/rule-test",
    params(("kb" = String, Path, description = "The knowledge base."), TestQuery),
    request_body(content = RuleTestRequest, example = json!({"texts": ["多久能到账"], "filter": {"topic": ["售后"]}})),
    responses(
        (status = 200, description = "What the rules do.", body = RuleTests),
        (status = 202, description = "With `draft=true`: `Location` is the job's address.", body = super::jobs::Job),
        Problems,
    )
)]
async fn rule_test(
    caller: Caller,
    Path(kb): Path<String>,
    Query(TestQuery { draft }): Query<TestQuery>,
    request: Request,
) -> Result<Response, Problem> {
    let RuleTestRequest { texts, filter } = fields(request::json(request, REQUEST_BYTES).await?)?;
    if texts.is_empty() || texts.len() > TEXTS {
        let detail = format!("`texts` holds 1 to {TEXTS} sentences, got {}", texts.len());
        return Err(Problem::new(Kind::InvalidField, detail).of_field("texts"));
    }
    let filter = filter.as_ref().map(Filter::read).transpose()?;
    let test = move |engine: &Engine| -> crate::error::Result<RuleTests> {
        let options = Options { filter: filter.as_ref(), ..Options::default() };
        let items = texts.iter().map(|text| engine.rule_test(text, options)).collect::<Result<_, _>>()?;
        Ok(RuleTests { items })
    };
    caller
        .author(move |caller| {
            let shelf = caller.shelf(&kb)?;
            let registry = std::sync::Arc::clone(caller.registry());
            if !draft {
                let engine = registry.engine(Some(&kb))?;
                return Ok(Json(test(&engine)?).into_response());
            }
            caller.jobs().start(
                "rule-test",
                &kb,
                |_| (),
                move |progress| {
                    let engine = publish::engine_of_draft(
                        &shelf,
                        registry.models().for_building()?,
                        registry.default_goal(),
                        progress,
                    )
                    .map_err(refusal)?;
                    serde_json::to_value(test(&engine)?).map_err(|e| Error::internal("rule-test", e).into())
                },
            )
        })
        .await
}

/// A kind of finding.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Code {
    /// As in findings.
    code: &'static str,
    /// What it means, for authors.
    meaning: &'static str,
}

/// List the kinds of findings of a check.
#[utoipa::path(
    get,
    operation_id = "list_check_codes",
    path = "/v1/check-codes",
    responses((status = 200, description = "The kinds of findings.", body = Vec<Code>), Problems)
)]
async fn check_codes() -> Json<Vec<Code>> {
    Json(CODES.iter().map(|&(code, meaning)| Code { code, meaning }).collect())
}
