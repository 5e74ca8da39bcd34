//! How is a mistake undone, and how does a whole knowledge base go?

use axum::Json;
use axum::extract::Request;
use serde::{Deserialize, Serialize};
use utoipa_axum::routes;

use super::address::{Path, Query};
use super::authoring::{REQUEST_BYTES, refusal};
use super::caller::Caller;
use super::error::{Kind, Problem, Problems};
use super::request::{self, fields};
use super::routes::Routes;
use crate::access::Right;
use crate::kb::diff::Diff;
use crate::store::{Deleted, Record, Restored, Shelf};
use crate::text::lexicon::LexiconChanges;

pub(super) fn routes() -> Routes {
    Routes::new()
        .may(Right::Author, routes!(rollback))
        .may(Right::Author, routes!(restore))
        .may(Right::Admin, routes!(delete))
        .bodies(REQUEST_BYTES)
}

/// A release by its number.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WantedRelease)]
struct Wanted {
    /// Its number.
    release: u32,
}

/// What is served after a rollback, and what the draft still holds.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct RolledBack {
    /// The release that is served.
    current: Option<u32>,
    /// All releases, oldest first.
    items: Vec<Record>,
    /// How the draft, which stays as it was, differs from what is served now;
    /// `null` when they are the same. The next publication would bring that
    /// back, unless `POST …/restore` takes it out of the draft.
    draft: Option<DraftDiffers>,
}

/// How the draft differs from a release.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct DraftDiffers {
    /// Entries that only the draft has.
    added: usize,
    /// Entries that say something else in the draft.
    changed: usize,
    /// Entries that the draft lacks.
    removed: usize,
    /// Lines of the lexicon that differ.
    lexicon: usize,
    /// Whether the service document differs.
    service: bool,
}

impl DraftDiffers {
    fn of(shelf: &Shelf, number: u32) -> Option<Self> {
        // It is served whatever becomes of this comparison.
        let found = shelf.draft_against(number).ok().filter(|found| !found.is_empty())?;
        let LexiconChanges { added, removed, changed, .. } = &found.lexicon;
        Some(Self {
            added: found.diff.removed.len(),
            changed: found.diff.changed.len(),
            removed: found.diff.added.len(),
            lexicon: added.len() + removed.len() + changed.len(),
            service: found.service,
        })
    }
}

/// Serve a release that was published before, exactly as it was.
#[utoipa::path(
    post,
    operation_id = "rollback_kb",
    path = "/v1/kbs/{kb}/rollback",
    params(("kb" = String, Path, description = "The knowledge base.")),
    request_body(content = Wanted, example = json!({"release": 3})),
    responses(
        (status = 200, description = "It is served now; the draft stays, and `draft` says what it still holds.", body = RolledBack),
        (status = 404, description = "There is no such release; `known` lists those that are.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "A publication is running.", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
async fn rollback(
    caller: Caller,
    Path(kb): Path<String>,
    request: Request,
) -> Result<Json<RolledBack>, Problem> {
    let Wanted { release } = fields(request::json(request, REQUEST_BYTES).await?)?;
    caller
        .author(move |caller| {
            let shelf = caller.shelf(&kb)?;
            // What cannot be opened would be served by nobody.
            caller.registry().models().encoder_of(&shelf, release).map_err(refusal)?;
            shelf.rollback(release).map_err(refusal)?;
            caller.registry().refresh();
            let (current, items) = (shelf.current()?, shelf.records()?);
            Ok(Json(RolledBack { current, items, draft: DraftDiffers::of(&shelf, release) }))
        })
        .await
}

/// What a restoration changed in the draft.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct RestoredDraft {
    /// The release that the draft equals now.
    release: u32,
    /// Added, removed and changed entries, field by field.
    #[schema(value_type = Object)]
    diff: Diff,
    /// Added, removed and changed lines of the lexicon.
    #[schema(value_type = Object)]
    lexicon: LexiconChanges,
    /// Whether the service document is another one.
    service: bool,
}

/// Make the draft what a release holds, lexicon included; what is served stays.
///
/// Entries that were switched off when it was published come back switched
/// off. Every change is in the history.
#[utoipa::path(
    post,
    operation_id = "restore_kb",
    path = "/v1/kbs/{kb}/restore",
    params(("kb" = String, Path, description = "The knowledge base.")),
    request_body(content = Wanted, example = json!({"release": 3})),
    responses(
        (status = 200, description = "The draft is what the release holds; the body says what that changed.", body = RestoredDraft),
        (status = 404, description = "There is no such release; `known` lists those that are.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The release is an old one whose entries contradict each other by today's rules; `problems` names all of them.", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
async fn restore(
    caller: Caller,
    Path(kb): Path<String>,
    request: Request,
) -> Result<Json<RestoredDraft>, Problem> {
    let Wanted { release } = fields(request::json(request, REQUEST_BYTES).await?)?;
    caller
        .author(move |caller| {
            let shelf = caller.shelf(&kb)?;
            let Restored { release, diff, lexicon, service } = shelf.restore(release).map_err(refusal)?;
            Ok(Json(RestoredDraft { release, diff, lexicon, service }))
        })
        .await
}

/// Whether a removal is meant.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DeleteQuery {
    /// It is meant: without this nothing is removed.
    #[serde(default)]
    yes: bool,
}

/// Remove a knowledge base: draft, history, words, labelled questions, releases.
///
/// Only with `?yes=true`. It is served no more when the reply comes.
#[utoipa::path(
    delete,
    operation_id = "delete_kb",
    path = "/v1/kbs/{kb}",
    params(("kb" = String, Path, description = "The knowledge base."), DeleteQuery),
    responses(
        (status = 200, description = "It is gone; the body says what went with it.", body = Deleted),
        (status = 404, description = "There is no such knowledge base; `known` lists those that are.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It must be confirmed with `yes=true` (`removed` says how many entries would go), or a publication is running.", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
async fn delete(
    caller: Caller,
    Path(kb): Path<String>,
    Query(DeleteQuery { yes }): Query<DeleteQuery>,
) -> Result<Json<Deleted>, Problem> {
    caller
        .author(move |caller| {
            let shelf = caller.shelf(&kb)?;
            let Deleted { entries, releases, .. } = shelf.deletable()?;
            if !yes {
                let detail = format!(
                    "this removes knowledge base {kb} for good: {entries} entries with their history and {releases} releases; send `yes=true` if that is meant"
                );
                let problem = Problem::new(Kind::NeedsConfirmation, detail).of_field("yes");
                return Err(Problem { removed: Some(entries), ..problem });
            }
            let deleted = shelf.delete().map_err(refusal)?;
            caller.registry().refresh();
            Ok(Json(deleted))
        })
        .await
}
