//! On which platforms do the knowledge bases answer?
//!
//! The counterpart of `zhida channel`: channels are set up, changed, tried and removed
//! here, and how they stand is told. Secrets go in and never come out.

use axum::Json;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa_axum::routes;

use super::address::Path;
use super::caller::Caller;
use super::changes::Done;
use super::error::{Kind, Problem, Problems};
use super::origins::Origin;
use super::request::{fields, json};
use super::routes::Routes;
use crate::access::{DEFAULT_TENANT, Right};
use crate::desk::channels::{Unfit, Wanted, add, changed, leads_inside, made, path, shown, site, tested};
use crate::desk::{platforms, web};
use crate::dialogue::told::moment;
use crate::error::Error;
use crate::store::{Channel, Standing};

/// The largest body, in bytes.
const BYTES: usize = 64 << 10;

pub(super) fn routes() -> Routes {
    Routes::new()
        .may(Right::Admin, routes!(list, create))
        .may(Right::Admin, routes!(show, change, remove))
        .may(Right::Admin, routes!(test))
        .bodies(BYTES)
}

/// How a channel stands.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ChannelState)]
struct State {
    /// When something came in last, RFC 3339; of a widget, in its knowledge base.
    last_in: Option<String>,
    /// When the robot or a person said something there last, RFC 3339.
    last_out: Option<String>,
    /// What is still to be said or worked on.
    due: i64,
    /// What could not be said or worked on, and is not tried any more.
    dead: i64,
    /// What came of the latest attempt that failed, while it is not mended.
    error: Option<String>,
    /// When that was to be said, RFC 3339.
    error_at: Option<String>,
    /// How many customers may be written to now, where the platform limits that.
    reachable: i64,
    /// To how many of them as much was said as may be until they write again.
    used_up: i64,
}

impl From<Standing> for State {
    fn from(standing: Standing) -> Self {
        let (error, error_at) = standing.error.unzip();
        Self {
            last_in: standing.last_in.map(moment),
            last_out: standing.last_out.map(moment),
            due: standing.due,
            dead: standing.dead,
            error,
            error_at: error_at.map(moment),
            reachable: standing.reachable,
            used_up: standing.used_up,
        }
    }
}

/// A channel.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Channel)]
struct Told {
    /// Its name.
    name: String,
    /// How the platform speaks: `wechat`, `web`, …
    kind: String,
    /// The knowledge base that answers.
    kb: String,
    /// The path of this server that belongs into the platform's console; of a widget, of
    /// its panel. `null` where nobody sends anything.
    path: Option<String>,
    /// The site of a widget, for `data-site` of its line of HTML.
    site: Option<String>,
    /// The settings, without secrets.
    #[schema(value_type = Object)]
    settings: Map<String, Value>,
    /// The names of the secrets that are set.
    secrets: Vec<String>,
    /// When it was made, RFC 3339.
    created_at: String,
    /// What keeps it from working, as far as that shows without asking the platform.
    fault: Option<String>,
    /// How it stands.
    state: State,
}

/// All channels.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ChannelList)]
struct Channels {
    /// The oldest first.
    items: Vec<Told>,
    /// The kinds that a channel can be of.
    kinds: Vec<String>,
}

/// A new channel.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChannelWanted)]
struct New {
    /// Its name: 1 to 64 letters, digits, `-` or `_`. It is part of an address.
    name: String,
    /// How the platform speaks: `web`, `wechat`, `wecom`, `wecom-kf`, `dingtalk`, `feishu`,
    /// `email`, `generic`, `chatwoot`, …
    kind: String,
    /// The knowledge base that answers.
    kb: String,
    /// By the kind's own rules, as `zhida channel add` has them; `null` is not given.
    #[serde(default)]
    #[schema(value_type = Object)]
    settings: Map<String, Value>,
}

/// A channel that was made.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ChannelCreated)]
struct Created {
    /// As it is listed from now on.
    channel: Told,
    /// The secret that was made with it; it is shown this once.
    secret: Option<String>,
}

/// What is changed of a channel.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChannelChange)]
struct Changed {
    /// The knowledge base that answers from now on.
    kb: Option<String>,
    /// Settings by their names; those that are not named stay, secrets too, and `null`
    /// takes one away.
    #[serde(default)]
    #[schema(value_type = Object)]
    settings: Map<String, Value>,
}

/// Whether a channel works.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ChannelTest)]
struct Tested {
    /// Whether the platform lets us in and takes what we send.
    works: bool,
    /// What was seen, or what is wrong.
    detail: String,
}

impl From<Unfit> for Problem {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Field { field, why } => {
                let problem = Self::new(Kind::InvalidField, why);
                match field {
                    Some(field) => problem.of_field(field),
                    None => problem,
                }
            }
            Unfit::Failed(error) => error.into(),
        }
    }
}

/// What cannot be opened is the operator's to mend, and the text names no secret.
fn closed(error: Error) -> Problem {
    match error {
        Error::Refused(why) => Problem::new(Kind::NotNow, why),
        error => error.into(),
    }
}

/// The tenant as addresses name it.
fn tenant(caller: &Caller) -> Option<&str> {
    Some(caller.tenant().name()).filter(|name| *name != DEFAULT_TENANT)
}

/// A channel that the caller may know of, its secrets sealed.
fn sealed(caller: &Caller, name: &str) -> Result<Channel, Problem> {
    let all = caller.desk().talk().channels_sealed()?;
    let found = all.into_iter().find(|one| one.id == name).filter(|one| caller.knows(&one.kb));
    let none = || Error::Absent { what: "channel", name: name.chars().take(100).collect() };
    found.ok_or_else(|| none().into())
}

/// A channel with its secrets.
fn opened(caller: &Caller, name: &str) -> Result<Channel, Problem> {
    sealed(caller, name)?;
    let none = || Error::Absent { what: "channel", name: name.to_owned() };
    caller.desk().talk().channel(name).map_err(closed)?.ok_or_else(|| none().into())
}

fn told(caller: &Caller, channel: &Channel) -> Result<Told, Problem> {
    let (settings, secrets) = shown(channel);
    let talk = caller.desk().talk();
    let begins = (channel.kind == web::KIND).then_some("web-");
    let fault = match talk.channel(&channel.id) {
        Ok(Some(known)) => {
            let settings = serde_json::from_str(&known.settings).unwrap_or_default();
            platforms::settings_fault(&known.kind, &settings)
        }
        Ok(None) => None,
        Err(why) => Some(why.to_string()),
    };
    Ok(Told {
        path: path(channel, tenant(caller)),
        site: site(channel, tenant(caller)),
        settings,
        secrets,
        created_at: moment(channel.created_at),
        fault,
        state: talk.standing(channel, begins, caller.desk().now())?.into(),
        name: channel.id.clone(),
        kind: channel.kind.clone(),
        kb: channel.kb.clone(),
    })
}

/// Whether settings are for a server inside the house.
fn is_private(settings: &Map<String, Value>) -> bool {
    settings.get("private").is_some_and(|private| !matches!(private, Value::Null | Value::Bool(false)))
}

/// Origins as browsers send them, in place of what was typed.
fn as_origins(kind: &str, settings: &mut Map<String, Value>) -> Result<(), Problem> {
    let Some(Value::Array(list)) = settings.get_mut("origins").filter(|_| kind == web::KIND) else {
        return Ok(());
    };
    for one in list {
        let wrong = |why: String| Problem::new(Kind::InvalidField, why).of_field("origins");
        let text = one.as_str().ok_or_else(|| wrong("an origin is a text".to_owned()))?;
        *one = text.trim().trim_end_matches('/').parse::<Origin>().map_err(wrong)?.to_string().into();
    }
    Ok(())
}

/// List the channels, and how they stand.
#[utoipa::path(
    get,
    operation_id = "list_channels",
    path = "/v1/channels",
    responses((status = 200, description = "The channels.", body = Channels), Problems)
)]
async fn list(caller: Caller) -> Result<Json<Channels>, Problem> {
    caller
        .at_desk(|caller| {
            let all = caller.desk().talk().channels_sealed()?;
            let mine = all.iter().filter(|one| caller.knows(&one.kb));
            let items = mine.map(|one| told(caller, one)).collect::<Result<_, _>>()?;
            Ok(Json(Channels { items, kinds: platforms::KINDS.map(str::to_owned).to_vec() }))
        })
        .await
}

/// Add a channel. A secret that is made with it is in this response and nowhere else.
#[utoipa::path(
    post,
    operation_id = "add_channel",
    path = "/v1/channels",
    request_body = New,
    responses((status = 201, description = "The channel.", body = Created), Problems)
)]
async fn create(caller: Caller, request: Request) -> Result<Response, Problem> {
    let New { name, kind, kb, mut settings } = fields(json(request, BYTES).await?)?;
    as_origins(&kind, &mut settings)?;
    caller.may_reach_inside(is_private(&settings))?;
    caller
        .at_desk(move |caller| {
            caller.shelf(&kb)?;
            let made = made(Wanted { name, kind, kb, settings }, caller.desk().now())?;
            add(caller.store(), &made).map_err(closed)?;
            let channel = told(caller, &made.channel)?;
            let done = Done {
                object: format!("channel {}", channel.name),
                before: None,
                after: Some(format!("a {} channel of {}", channel.kind, channel.kb)),
            };
            let created = Created { channel, secret: made.secret };
            Ok(done.beside((StatusCode::CREATED, Json(created)).into_response()))
        })
        .await
}

/// Show a channel, and how it stands.
#[utoipa::path(
    get,
    operation_id = "show_channel",
    path = "/v1/channels/{name}",
    params(("name" = String, Path, description = "The channel's name.")),
    responses((status = 200, description = "The channel.", body = Told), Problems)
)]
async fn show(caller: Caller, Path(name): Path<String>) -> Result<Json<Told>, Problem> {
    caller.at_desk(move |caller| Ok(Json(told(caller, &sealed(caller, &name)?)?))).await
}

/// Change a channel; secrets that are not given stay. Whoever changes where it calls (`url`, hosts, ports) gives
/// the secret that is sent there again.
#[utoipa::path(
    patch,
    operation_id = "change_channel",
    path = "/v1/channels/{name}",
    params(("name" = String, Path, description = "The channel's name.")),
    request_body = Changed,
    responses((status = 200, description = "The channel.", body = Told), Problems)
)]
async fn change(caller: Caller, Path(name): Path<String>, request: Request) -> Result<Response, Problem> {
    let Changed { kb, mut settings } = fields(json(request, BYTES).await?)?;
    caller
        .at_desk(move |caller| {
            let before = sealed(caller, &name)?;
            caller.may_reach_inside(leads_inside(&before, &settings))?;
            as_origins(&before.kind, &mut settings)?;
            if let Some(kb) = &kb {
                caller.shelf(kb)?;
            }
            let mut named: Vec<String> = settings.keys().cloned().collect();
            named.extend(kb.iter().map(|kb| format!("kb: {kb}")));
            let change = |known: &Channel| changed(known, kb.as_deref(), settings);
            let now = caller.desk().talk().change_channel(&name, change).map_err(|unfit| match unfit {
                Unfit::Failed(error) => closed(error),
                unfit => unfit.into(),
            })?;
            let done = Done {
                object: format!("channel {name}"),
                before: Some(format!("a {} channel of {}", before.kind, before.kb)),
                // The names alone: what a secret is now belongs nowhere.
                after: Some(format!("changed: {}", named.join(", "))),
            };
            Ok(done.beside(Json(told(caller, &now)?).into_response()))
        })
        .await
}

/// Remove a channel with what was not said there yet.
#[utoipa::path(
    delete,
    operation_id = "remove_channel",
    path = "/v1/channels/{name}",
    params(("name" = String, Path, description = "The channel's name.")),
    responses((status = 204, description = "It is gone."), Problems)
)]
async fn remove(caller: Caller, Path(name): Path<String>) -> Result<Response, Problem> {
    caller
        .at_desk(move |caller| {
            let known = sealed(caller, &name)?;
            caller.desk().talk().remove_channel(&name)?;
            let done = Done {
                object: format!("channel {name}"),
                before: Some(format!("a {} channel of {}", known.kind, known.kb)),
                after: Some("removed".to_owned()),
            };
            Ok(done.beside(StatusCode::NO_CONTENT.into_response()))
        })
        .await
}

/// Ask the platform of a channel whether it hears us, and say what is wrong if not.
#[utoipa::path(
    post,
    operation_id = "test_channel",
    path = "/v1/channels/{name}/test",
    params(("name" = String, Path, description = "The channel's name.")),
    responses((status = 200, description = "Whether it works.", body = Tested), Problems)
)]
async fn test(caller: Caller, Path(name): Path<String>) -> Result<Json<Tested>, Problem> {
    // Another one's server may take its time; no customer waits for it.
    caller
        .author(move |caller| {
            let channel = opened(caller, &name)?;
            let (works, detail) = match tested(caller.desk(), caller.store(), &channel) {
                Ok(told) => (true, told),
                Err(why) => (false, why),
            };
            Ok(Json(Tested { works, detail }))
        })
        .await
}
