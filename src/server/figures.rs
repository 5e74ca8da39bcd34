//! What do the figures of some days say?

use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa_axum::routes;

use super::address::{Path, Query};
use super::caller::Caller;
use super::error::{Kind, Problem, Problems};
use super::routes::Routes;
use crate::access::Right;
use crate::error::Error;
use crate::events::stats::{Asked, By, Format, Stats, stats, written};
use crate::events::{Day, Days, Usage};

/// The most days that are looked at at once.
const MOST_DAYS: i64 = 400;

/// The days that are looked at when nobody says which.
const WEEK: i64 = 7;

pub(super) fn routes() -> Routes {
    Routes::new().may(Right::Author, routes!(of_kb)).may(Right::Admin, routes!(metering))
}

/// Which figures.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StatsQuery {
    /// The first day, such as 2026-11-20; days are those of China (+08:00). Without it, seven days up to `to`.
    from: Option<String>,
    /// The last day; without it, today.
    to: Option<String>,
    /// What the groups are told apart by.
    #[param(inline)]
    by: Option<Apart>,
    /// The form of the reply; without it, json.
    #[param(inline)]
    format: Option<Form>,
}

/// What groups are told apart by.
#[derive(Debug, Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum Apart {
    Day,
    Hour,
    Channel,
    Topic,
    Entry,
    Release,
}

/// How figures are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum Form {
    #[default]
    Json,
    Csv,
    Xlsx,
}

impl From<Apart> for By {
    fn from(apart: Apart) -> Self {
        match apart {
            Apart::Day => Self::Day,
            Apart::Hour => Self::Hour,
            Apart::Channel => Self::Channel,
            Apart::Topic => Self::Topic,
            Apart::Entry => Self::Entry,
            Apart::Release => Self::Release,
        }
    }
}

/// The days that are meant.
fn days(from: Option<&str>, to: Option<&str>) -> Result<Days, Problem> {
    let invalid =
        |field: &'static str| move |e: Error| Problem::new(Kind::InvalidField, e.to_string()).of_field(field);
    let to = to.map_or_else(|| Ok(Day::today()), |to| to.parse().map_err(invalid("to")))?;
    let from = from.map_or_else(|| Ok(to.plus(1 - WEEK)), |from| from.parse().map_err(invalid("from")))?;
    let days = Days::new(from, to).map_err(invalid("from"))?;
    if days.count() > MOST_DAYS {
        let detail = format!("{} days are asked for; the limit is {MOST_DAYS}", days.count());
        return Err(Problem::new(Kind::InvalidField, detail).of_field("from"));
    }
    Ok(days)
}

/// Tell what was asked, what was answered, and what came of it.
///
/// Every share with its numerator, denominator, Wilson interval and its change
/// from as many days before; `definitions` says what each one means.
#[utoipa::path(
    get,
    operation_id = "stats",
    path = "/v1/kbs/{kb}/stats",
    params(("kb" = String, Path, description = "The knowledge base."), StatsQuery),
    responses(
        (status = 200, description = "The figures.", content(
            (Stats = "application/json"),
            (String = "text/csv"),
            (String = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        )),
        Problems,
    )
)]
async fn of_kb(
    caller: Caller,
    Path(kb): Path<String>,
    Query(asked): Query<StatsQuery>,
) -> Result<Response, Problem> {
    let days = days(asked.from.as_deref(), asked.to.as_deref())?;
    let (by, form) = (asked.by.map(By::from), asked.format.unwrap_or_default());
    let bytes = caller
        .author(move |caller| {
            let shelf = caller.shelf(&kb)?;
            // Without a release there are no entries that could be cold.
            let entries = if shelf.current()?.is_some() { shelf.known_entries()? } else { Vec::new() };
            let figures = stats(caller.log(), Asked { kb: &kb, days, by, entries: &entries })?;
            let format = match form {
                Form::Json => Format::Json,
                Form::Csv => Format::Csv,
                Form::Xlsx => Format::Xlsx,
            };
            Ok(written(&figures, format)?)
        })
        .await?;
    let kind = match form {
        Form::Json => "application/json",
        Form::Csv => "text/csv; charset=utf-8",
        Form::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    };
    Ok(([(header::CONTENT_TYPE, kind)], bytes).into_response())
}

/// Which usage.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct UsageQuery {
    /// The first day, such as 2026-11-01 (+08:00). Without it, seven days up to `to`.
    from: Option<String>,
    /// The last day; without it, today.
    to: Option<String>,
    /// Only this knowledge base.
    kb: Option<String>,
    /// The form of the reply; without it, json.
    #[param(inline)]
    format: Option<Sheet>,
}

/// How usage is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum Sheet {
    #[default]
    Json,
    Csv,
}

/// Tell how much was asked, by day, knowledge base, channel and key.
///
/// Every decision that was acknowledged counts once, whichever node has made it; those of
/// other nodes are known within a second.
#[utoipa::path(
    get,
    operation_id = "usage",
    path = "/v1/usage",
    params(UsageQuery),
    responses(
        (status = 200, description = "The usage.", content((Usage = "application/json"), (String = "text/csv"))),
        Problems,
    )
)]
async fn metering(caller: Caller, Query(asked): Query<UsageQuery>) -> Result<Response, Problem> {
    let form = asked.format.unwrap_or_default();
    let days = days(asked.from.as_deref(), asked.to.as_deref())?;
    let told = caller
        .author(move |caller| {
            if let Some(kb) = &asked.kb {
                caller.shelf(kb)?;
            }
            let (access, tenant) = (caller.server().gate().access(), caller.tenant());
            let nodes = caller.store().nodes();
            let mut told = access.usage(&nodes, tenant.name(), caller.log(), days, asked.kb.as_deref())?;
            told.items.retain(|row| caller.knows(&row.kb));
            told.questions = told.items.iter().map(|row| row.questions).sum();
            Ok(told)
        })
        .await?;
    Ok(match form {
        Sheet::Json => axum::Json(told).into_response(),
        Sheet::Csv => ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], told.csv()?).into_response(),
    })
}
