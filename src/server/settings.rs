//! With what does this server run, and what does it keep?
//!
//! The flags that are in force, each with where it comes from, and what follows from
//! them; files are named and what is secret in them is not. What can be changed while it
//! runs is what is kept of customers' words.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa_axum::routes;

use super::caller::Caller;
use super::changes::Done;
use super::error::{Kind, Problem, Problems};
use super::keys::whole;
use super::request::{fields, json};
use super::routes::Routes;
use crate::access::{Limits, Right};
use crate::dialogue::told::moment;
use crate::encoder;
use crate::events::{Change, Settings, Text, events_of};

/// The largest body, in bytes.
const BYTES: usize = 4 << 10;

pub(super) fn routes() -> Routes {
    Routes::new().may(Right::Operator, routes!(show)).may(Right::Admin, routes!(kept, keep)).bodies(BYTES)
}

/// Where the value of a flag comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = FlagSource)]
pub enum FlagSource {
    /// It was said on the command line.
    Flag,
    /// An environment variable says it.
    Environment,
    /// Nobody says anything.
    Default,
}

/// A flag of `zhida serve`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = ServerFlag)]
pub struct Flag {
    /// How it is written: `--listen`.
    pub name: String,
    /// Its values; none when it is not set.
    pub values: Vec<String>,
    /// Where they come from.
    pub source: FlagSource,
    /// The environment variable that says the same.
    pub variable: Option<String>,
}

/// A model that answers.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ServedModel {
    /// Its name.
    id: String,
    /// A digest of everything that shapes its vectors.
    fingerprint: String,
    /// The knowledge bases that are answered with it.
    kbs: Vec<String>,
}

/// The processor that answers.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Processor {
    /// Its kind.
    architecture: &'static str,
    /// Cores that this process may use.
    cores: usize,
    /// What of it the model's arithmetic makes use of; empty where portable code runs.
    features: Vec<&'static str>,
}

/// What connections are encrypted with.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ServerCertificate)]
struct Encryption {
    /// The file of the certificate chain.
    file: String,
    /// Until when it is valid, RFC 3339.
    expires: Option<String>,
}

/// With what a server runs.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ServerSettings)]
struct Told {
    /// The version of the server.
    version: &'static str,
    /// The data directory.
    data: String,
    /// Whether nothing can be changed here.
    read_only: bool,
    /// The processor.
    processor: Processor,
    /// The models of what is served; none in lexical-only mode.
    models: Vec<ServedModel>,
    /// What connections are encrypted with; `null` for plain ones.
    tls: Option<Encryption>,
    /// Where people may sign in beside this server; `null` for nowhere.
    sign_in: Option<String>,
    /// All flags; none when the server was not started by `zhida serve`.
    flags: Vec<Flag>,
    /// What the tenant may use.
    limits: Limits,
}

/// Show with what the server runs: its flags with their sources, model, processor and
/// certificate.
#[utoipa::path(
    get,
    operation_id = "show_settings",
    path = "/v1/settings",
    responses((status = 200, description = "What is in force. Secrets are not among it.", body = Told), Problems)
)]
async fn show(caller: Caller) -> Result<Json<Told>, Problem> {
    caller
        .at_desk(|caller| {
            let (server, registry) = (caller.server(), caller.registry());
            let mut models: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
            for (kb, engine) in registry.view().engines().filter(|(kb, _)| caller.knows(kb)) {
                if let Some(model) = &engine.release().manifest().model {
                    let named = (model.id.clone(), model.fingerprint.clone());
                    models.entry(named).or_default().push(kb.to_owned());
                }
            }
            let models = models.into_iter();
            let tls = server.certificate().map(|certificate| Encryption {
                file: certificate.file().display().to_string(),
                expires: certificate.expires().map(|seconds| moment(seconds.saturating_mul(1000))),
            });
            Ok(Json(Told {
                version: env!("CARGO_PKG_VERSION"),
                data: registry.store().root().display().to_string(),
                read_only: registry.is_read_only(),
                processor: Processor {
                    architecture: std::env::consts::ARCH,
                    cores: std::thread::available_parallelism().map_or(1, usize::from),
                    features: encoder::processor_features(),
                },
                models: models.map(|((id, fingerprint), kbs)| ServedModel { id, fingerprint, kbs }).collect(),
                tls,
                sign_in: server.provider().map(|provider| provider.issuer().to_owned()),
                flags: server.flags().to_vec(),
                limits: server.gate().access().table().limits(caller.tenant().name()),
            }))
        })
        .await
}

/// What is kept of customers' words, and for how long.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Retention)]
struct Kept {
    /// What is stored of a text: `none`, `masked` or `full`.
    text: String,
    /// Whether numbers of orders and parcels are masked too.
    mask_orders: bool,
    /// After so many days texts are erased; the events stay.
    text_days: u32,
    /// After so many days whole events are; `null` when they stay.
    event_days: Option<u32>,
    /// After so many days what was said in conversations is; `null` when it stays as long
    /// as there is room. The flag `--conversation-days` says so.
    conversation_days: Option<i64>,
}

/// What is to be kept from now on; what is not named stays as it is.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RetentionChange)]
struct Wanted {
    /// What is stored of a text: `none`, `masked` or `full`.
    text: Option<String>,
    /// Whether numbers of orders and parcels are masked too.
    mask_orders: Option<bool>,
    /// Erase texts after so many days, 1 to 36500.
    #[schema(minimum = 1, maximum = 36500)]
    text_days: Option<u32>,
    /// Remove whole events after so many days, up to 36500; 0 to keep them.
    #[schema(maximum = 36500)]
    event_days: Option<u32>,
}

fn told(caller: &Caller, settings: &Settings) -> Kept {
    const DAY: i64 = 24 * 60 * 60 * 1000;
    Kept {
        text: settings.text.name().to_owned(),
        mask_orders: settings.orders,
        text_days: settings.text_days,
        event_days: settings.event_days,
        conversation_days: caller.registry().talk().keep.map(|millis| millis / DAY),
    }
}

/// Show what is kept of customers' words, and for how long.
#[utoipa::path(
    get,
    operation_id = "show_retention",
    path = "/v1/retention",
    responses((status = 200, description = "What is kept.", body = Kept), Problems)
)]
async fn kept(caller: Caller) -> Result<Json<Kept>, Problem> {
    caller
        .at_desk(|caller| {
            let settings = Settings::read(&events_of(caller.store().root()))?;
            Ok(Json(told(caller, &settings)))
        })
        .await
}

/// Change what is kept of customers' words. It counts for new events within a second, and
/// what is older than may be kept is erased with the next maintenance, for good.
#[utoipa::path(
    patch,
    operation_id = "change_retention",
    path = "/v1/retention",
    request_body = Wanted,
    responses((status = 200, description = "What is kept from now on.", body = Kept), Problems)
)]
async fn keep(caller: Caller, request: Request) -> Result<Response, Problem> {
    whole(&caller)?;
    let wanted: Wanted = fields(json(request, BYTES).await?)?;
    let wrong = |field: &str, detail: String| Err(Problem::new(Kind::InvalidField, detail).of_field(field));
    let text = match wanted.text.as_deref() {
        None => None,
        Some("none") => Some(Text::None),
        Some("masked") => Some(Text::Masked),
        Some("full") => Some(Text::Full),
        Some(other) => return wrong("text", format!("`text` is none, masked or full, got {other:?}")),
    };
    let Wanted { mask_orders: orders, text_days, event_days, .. } = wanted;
    let change = Change { text, orders, text_days, event_days };
    if let Some((field, detail)) = change.fault() {
        return wrong(field, detail);
    }
    caller
        .author(move |caller| {
            caller.store().writable()?;
            let events = events_of(caller.store().root());
            let before = Settings::read(&events)?;
            let after = before.changed(change);
            if after != before {
                after.write(&events)?;
            }
            let in_words = |settings: &Settings| {
                settings.named().map(|(name, value)| format!("{name} = {value}")).join(", ")
            };
            let done = Done {
                object: "what is kept".to_owned(),
                before: Some(in_words(&before)),
                after: Some(in_words(&after)),
            };
            Ok(done.beside(Json(told(caller, &after)).into_response()))
        })
        .await
}
