//! What helps an author while they write?
//!
//! Which topics there are, whether a phrasing is free, what a rule would catch, and
//! taking back what was done.

use axum::Json;
use axum::extract::Request;
use serde::{Deserialize, Serialize};
use utoipa_axum::routes;

use super::address::Path;
use super::authoring::{REQUEST_BYTES, refusal};
use super::caller::Caller;
use super::error::{Kind, Problem, Problems};
use super::request::{self, fields};
use super::routes::Routes;
use crate::access::Right;
use crate::error::Error;
use crate::kb::diff::Diff;
use crate::kb::{Entry, EntryId, Rule};
use crate::retrieve::exact::Exact;
use crate::store::{Holder, Outline};

/// The largest body with phrasings, in bytes.
const PHRASINGS_BYTES: usize = 1 << 20;
/// Sentences that are tried at a time.
const TEXTS: usize = 64;

pub(super) fn routes() -> Routes {
    let phrasings = Routes::new().may(Right::Author, routes!(held)).bodies(PHRASINGS_BYTES);
    Routes::new()
        .may(Right::Author, routes!(outline))
        .may(Right::Author, routes!(rewind))
        .may(Right::Author, routes!(try_rules))
        .bodies(REQUEST_BYTES)
        .merge(phrasings)
}

/// Count what the draft holds.
#[utoipa::path(
    get,
    operation_id = "outline_draft",
    path = "/v1/kbs/{kb}/outline",
    params(("kb" = String, Path, description = "The knowledge base.")),
    responses((status = 200, description = "The numbers.", body = Outline), Problems)
)]
async fn outline(caller: Caller, Path(kb): Path<String>) -> Result<Json<Outline>, Problem> {
    caller.author(move |caller| Ok(Json(caller.shelf(&kb)?.outline()?))).await
}

/// Phrasings and keywords that somebody wants.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
struct Claimed {
    /// The entry that they are for; its own do not count.
    entry: Option<String>,
    /// Phrasings.
    questions: Vec<String>,
    /// Keywords.
    keywords: Vec<String>,
}

/// Those that another entry has.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Held {
    /// In the order of the request.
    items: Vec<Holder>,
}

/// Tell which phrasings and keywords another entry has already.
#[utoipa::path(
    post,
    operation_id = "find_holders",
    path = "/v1/kbs/{kb}/holders",
    params(("kb" = String, Path, description = "The knowledge base.")),
    request_body(content = Claimed, example = json!({"entry": "invoice", "questions": ["怎么开发票"]})),
    responses((status = 200, description = "Those that are taken.", body = Held), Problems)
)]
async fn held(caller: Caller, Path(kb): Path<String>, request: Request) -> Result<Json<Held>, Problem> {
    let Claimed { entry, questions, keywords } = fields(request::json(request, PHRASINGS_BYTES).await?)?;
    caller
        .author(move |caller| {
            let entry = entry.map(EntryId);
            Ok(Json(Held { items: caller.shelf(&kb)?.holders(entry.as_ref(), &questions, &keywords)? }))
        })
        .await
}

/// A stretch of the history.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Stretch {
    /// The last revision that stays.
    after: i64,
    /// The last one that is taken back.
    until: i64,
}

/// What was taken back.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct TakenBack {
    /// The draft now against the draft before.
    #[schema(value_type = Object)]
    diff: Diff,
    /// Entries that somebody has changed since; they stay as they are.
    kept: Vec<String>,
    /// Entries that customers had got at once: they get what was there before, too.
    live: Vec<String>,
    /// Such entries of which customers had never got what was there before: they keep what
    /// they have until the next publication.
    still_live: Vec<String>,
}

/// Take back what was done to entries of the draft, such as by one import; entries
/// that somebody has changed since stay as they are.
#[utoipa::path(
    post,
    operation_id = "rewind_draft",
    path = "/v1/kbs/{kb}/rewind",
    params(("kb" = String, Path, description = "The knowledge base.")),
    request_body(content = Stretch, example = json!({"after": 120, "until": 168})),
    responses((status = 200, description = "What that changed.", body = TakenBack), Problems)
)]
async fn rewind(
    caller: Caller,
    Path(kb): Path<String>,
    request: Request,
) -> Result<Json<TakenBack>, Problem> {
    let Stretch { after, until } = fields(request::json(request, REQUEST_BYTES).await?)?;
    caller
        .author(move |caller| {
            let found = caller.shelf(&kb)?.rewind(after, until).map_err(refusal)?;
            caller.tenant().looks().forget(&kb);
            let names = |ids: Vec<EntryId>| ids.into_iter().map(|id| id.0).collect();
            let (kept, live, still_live) = (names(found.kept), names(found.live), names(found.still_live));
            Ok(Json(TakenBack { diff: found.diff, kept, live, still_live }))
        })
        .await
}

/// Rules that are not in the draft yet, and sentences.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
struct RulesTried {
    /// As an entry has them.
    rules: Vec<Rule>,
    /// Up to 64 sentences.
    texts: Vec<String>,
}

/// What rules do to sentences.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct RulesTold {
    /// One for each sentence, in their order.
    items: Vec<RulesOfText>,
}

/// What rules do to one sentence.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct RulesOfText {
    /// As it was typed.
    text: String,
    /// The rules that catch it, by their numbers from 1.
    caught_by: Vec<usize>,
    /// Rules that would.
    silenced: Vec<SilencedRule>,
}

/// A rule that would catch a sentence.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct SilencedRule {
    /// Its number, from 1.
    rule: usize,
    /// The word of `without` that silences it.
    word: String,
}

/// Tell which of some rules catch which sentences, without keeping anything.
#[utoipa::path(
    post,
    operation_id = "try_rules",
    path = "/v1/kbs/{kb}/rules/try",
    params(("kb" = String, Path, description = "The knowledge base.")),
    request_body(content = RulesTried, example = json!({"rules": [{"contains": ["停卡"], "without": ["不"]}], "texts": ["能不能停卡"]})),
    responses((status = 200, description = "What they do.", body = RulesTold), Problems)
)]
async fn try_rules(
    caller: Caller,
    Path(kb): Path<String>,
    request: Request,
) -> Result<Json<RulesTold>, Problem> {
    let RulesTried { rules, texts } = fields(request::json(request, REQUEST_BYTES).await?)?;
    if texts.len() > TEXTS {
        let detail = format!("`texts` holds up to {TEXTS} sentences, got {}", texts.len());
        return Err(Problem::new(Kind::InvalidField, detail).of_field("texts"));
    }
    for (number, rule) in (1..).zip(&rules) {
        rule.check().map_err(|message| {
            Problem::new(Kind::InvalidEntry, format!("第 {number} 条规则：{message}")).of_field("rules")
        })?;
    }
    caller
        .author(move |caller| {
            let analyzer = caller.shelf(&kb)?.draft()?.analyzer();
            let only = Entry { rules, ..Entry::of(EntryId(String::new()), String::new(), String::new()) };
            let exact = Exact::new(std::slice::from_ref(&only), &[], analyzer.lexicon().normalizer())
                .map_err(|e| Error::internal("rules", e))?;
            let mut items = Vec::with_capacity(texts.len());
            for text in texts {
                let query = analyzer.query(&text)?;
                let mut told = RulesOfText { text, caught_by: Vec::new(), silenced: Vec::new() };
                for claim in exact.claims(&query.text) {
                    let Some(number) = claim.rule else { continue };
                    match claim.silenced_by.and_then(|word| only.rules.get(number)?.without().get(word)) {
                        Some(word) => {
                            told.silenced.push(SilencedRule { rule: number + 1, word: word.clone() });
                        }
                        None => told.caught_by.push(number + 1),
                    }
                }
                items.push(told);
            }
            Ok(Json(RulesTold { items }))
        })
        .await
}
