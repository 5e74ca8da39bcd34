//! What can a client ask?

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime};

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::caller::Caller;
use super::error::{Kind, Problem, Problems};
use super::metrics::Form;
use super::readiness;
use super::request::{ANSWER_BYTES, AnswerRequest, BATCH_BYTES, BatchRequest, batch_items, json};
use super::routes::{Routes, ways};
use super::told::Reserved;
use super::{
    Server, audit, authoring, canned, channels, condition, drafting, entries, evaluations, feedback, figures,
    files, forget, greeting, handoffs, hooks, importing, jobs, keys, learning, least, members, notes, oidc,
    own, people, pictures, presence, proposals, schedules, service, settings, sign_in, talk, tenancy,
    tickets, trial, undo, widget, words,
};
use crate::access::Right;
use crate::decide::Generation;
use crate::desk::reception::Said;
use crate::dialogue::{Facts, Service, ruling};
use crate::engine::{Engine, Kept, Options, Reply, Stages};
use crate::error::Error;

#[derive(utoipa::OpenApi)]
#[openapi(info(title = "zhida 智答"))]
struct Document;

/// All routes of the API with their description.
pub(super) fn routes() -> (axum::Router<Server>, utoipa::openapi::OpenApi) {
    let answer = Routes::new().may(Right::Ask, routes!(answer)).bodies(ANSWER_BYTES);
    let batch = Routes::new().may(Right::Ask, routes!(answer_batch)).bodies(BATCH_BYTES);
    let rest = Routes::new()
        .may(Right::Ask, routes!(kbs))
        .may(Right::Public, routes!(healthz))
        .may(Right::Operator, routes!(metrics))
        .may(Right::Public, routes!(openapi));
    let all = Routes::new()
        .merge(answer)
        .merge(batch)
        .merge(entries::routes())
        .merge(authoring::routes())
        .merge(importing::routes())
        .merge(files::routes())
        .merge(drafting::routes())
        .merge(trial::routes())
        .merge(undo::routes())
        .merge(words::routes())
        .merge(service::routes())
        .merge(jobs::routes())
        .merge(evaluations::routes())
        .merge(schedules::routes())
        .merge(feedback::routes())
        .merge(forget::routes())
        .merge(greeting::routes())
        .merge(figures::routes())
        .merge(talk::routes())
        .merge(handoffs::routes())
        .merge(tickets::routes())
        .merge(notes::routes())
        .merge(canned::routes())
        .merge(presence::routes())
        .merge(proposals::routes())
        .merge(condition::routes())
        .merge(settings::routes())
        .merge(members::routes())
        .merge(hooks::routes())
        .merge(channels::routes())
        .merge(pictures::routes())
        .merge(learning::routes())
        .merge(keys::routes())
        .merge(people::routes())
        .merge(sign_in::routes())
        .merge(own::routes())
        .merge(oidc::routes())
        .merge(tenancy::routes())
        .merge(audit::routes())
        .merge(readiness::routes())
        .merge(widget::routes())
        .merge(rest);
    let (router, mut document) =
        OpenApiRouter::with_openapi(Document::openapi()).merge(all.into_inner()).split_for_parts();
    document.info.description = Some(description());
    let components = document.components.get_or_insert_default();
    components.security_schemes.extend(ways().map(|(name, scheme)| (name.to_owned(), scheme.into())));
    (router, document)
}

/// The introduction of the API's description, with the table of problems.
fn description() -> String {
    let mut text = String::from(
        "Answers customers' questions from a knowledge base, asks back, or hands them to a person.\n\n\
         Errors are RFC 9457 problem documents (`application/problem+json`). Their `type`s are stable:\n\n\
         | type | status | meaning |\n| --- | --- | --- |\n",
    );
    for kind in Kind::ALL {
        let _ = writeln!(text, "| `{}` | {} | {} |", kind.uri(), kind.status().as_u16(), kind.title());
    }
    text
}

/// Answer one question.
///
/// Always 200 for a decision; a handoff is a decision too. With `session` the question
/// is a message of that conversation: it is read in the light of what was said, and
/// `owner` says whether people were called (`queued`, with `handoff.id`): by the customer's
/// wish or by a rule, not by every `handoff`. `Idempotency-Key` names the message.
/// `Zhida-Min-Release` is a release that the answer must not be older than, as replies
/// name it (`12+3`): what was published or edited at another node is read first. 503 when
/// this node cannot. What was never published, or was rolled back, is waited for by nobody: the
/// answer is of what is served, which `release` names.
#[utoipa::path(
    post,
    operation_id = "answer",
    path = "/v1/answer",
    request_body = AnswerRequest,
    responses(
        (status = 200, description = "The decision.", body = Reply),
        Problems,
    )
)]
async fn answer(caller: Caller, headers: HeaderMap, request: Request) -> Result<Response, Problem> {
    let start = Instant::now();
    let question = AnswerRequest::of(&caller, json(request, ANSWER_BYTES).await?)?;
    // A replica keeps nothing; there every question stands for itself.
    if question.session.is_some() && !caller.registry().is_read_only() {
        return in_conversation(&caller, question.keyed(&headers)?, start).await;
    }
    if question.choice.is_some() {
        let detail = "`choice` takes a question that was offered in a conversation; name it with `session`";
        return Err(Problem::new(Kind::MissingField, detail).of_field("session"));
    }
    least::reach(&caller, question.kb.as_deref()).await?;
    let (engine, service) = caller.served(question.kb.as_deref())?;
    let (asking, reserved) = (caller.clone(), caller.reserve(1)?);
    let reply = caller
        .server()
        .admission()
        .work(move |_| one(&asking, &reserved, &engine, &service, &question))
        .await??;
    caller.record(&reply, start.elapsed());
    Ok(Json(reply).into_response())
}

/// Answers a question of a conversation.
async fn in_conversation(
    caller: &Caller,
    question: AnswerRequest,
    start: Instant,
) -> Result<Response, Problem> {
    let (kb, channel) = (question.kb.clone(), question.channel.clone());
    Ok(match talk::heard(caller, question, start).await? {
        Said::Replied(turned) => Json(turned.reply).into_response(),
        Said::Again(reply) => Json(reply).into_response(),
        Said::WithPerson(with) => {
            let engine = caller.engine(kb.as_deref())?;
            Json(talk::silent(&engine, &with, channel.as_deref())).into_response()
        }
    })
}

/// One of the results of a batch.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub(super) enum BatchItem {
    /// A decision.
    Reply(Box<Reply>),
    /// What is wrong with this item.
    Problem(Box<Problem>),
}

/// The results of a batch.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct BatchReply {
    /// In the order of the questions.
    items: Vec<BatchItem>,
}

/// Answer up to 64 questions.
///
/// Each stands for itself: an item with `session`, `choice` or `client_id` belongs to a
/// conversation, whose messages come one by one. A faulty item gets a problem document in its
/// place; the others are answered, or none of them when fewer questions are left of the month.
#[utoipa::path(
    post,
    operation_id = "answer_batch",
    path = "/v1/answer/batch",
    request_body = BatchRequest,
    responses(
        (status = 200, description = "A decision or a problem for each question.", body = BatchReply),
        Problems,
    )
)]
async fn answer_batch(caller: Caller, request: Request) -> Result<Json<BatchReply>, Problem> {
    let items = batch_items(json(request, BATCH_BYTES).await?)?;
    let named: BTreeSet<Option<&str>> =
        items.iter().map(|item| item.get("kb").and_then(Value::as_str)).collect();
    for kb in named {
        least::reach(&caller, kb).await?;
    }
    let prepared: Vec<_> = items
        .into_iter()
        .map(|item: Value| {
            let question = AnswerRequest::of(&caller, item)?.alone()?;
            let (engine, service) = caller.served(question.kb.as_deref())?;
            Ok::<_, Problem>((engine, service, question))
        })
        .collect();
    let questions = prepared.iter().filter(|item| item.is_ok()).count();
    let (asking, reserved) = (caller.clone(), caller.reserve(u64::try_from(questions).unwrap_or(u64::MAX))?);
    // One permit for all of them: a batch is one client, and must not get
    // more of the machine than another one.
    let results = caller
        .server()
        .admission()
        .work(move |abandoned| {
            let mut results = Vec::with_capacity(prepared.len());
            for item in prepared {
                if abandoned.is_set() {
                    break;
                }
                let start = Instant::now();
                let result = item.and_then(|(engine, service, question)| {
                    one(&asking, &reserved, &engine, &service, &question)
                });
                results.push((result, start.elapsed()));
            }
            results
        })
        .await?;
    let items = results
        .into_iter()
        .map(|(result, took): (Result<Reply, Problem>, Duration)| match result {
            Ok(reply) => {
                caller.record(&reply, took);
                BatchItem::Reply(Box::new(reply))
            }
            Err(problem) => {
                caller.server().metrics().rejected(problem.kind());
                BatchItem::Problem(Box::new(problem))
            }
        })
        .collect();
    Ok(Json(BatchReply { items }))
}

/// Answers a question; synchronous from here on.
fn one(
    caller: &Caller,
    reserved: &Reserved,
    engine: &Engine,
    service: &Service,
    question: &AnswerRequest,
) -> Result<Reply, Problem> {
    let (began, stages) = (SystemTime::now(), Stages::default());
    let options = Options {
        generation: question.last_generation(),
        filter: question.filter.as_ref(),
        stages: Some(&stages),
        ..Options::default()
    };
    let mut facts = Facts::of(&question.text);
    facts.channel = question.channel.as_deref();
    facts.fields = question.fields.as_ref();
    let (outcome, reply) = ruling::answer(engine, service, facts, options, question.explain == Some(true))?;
    caller.staged(began, &stages);
    reserved.tell(engine, question, &outcome, &reply);
    // The only place where a customer's words may reach the log.
    tracing::debug!(trace_id = reply.trace_id, text = question.text, "question");
    Ok(reply)
}

/// A knowledge base that is served.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct KnowledgeBase {
    /// Its name.
    kb: String,
    /// Its release.
    release: String,
    /// Entries in the release.
    entries: usize,
    /// Phrasings in the release.
    phrasings: usize,
    /// The model of the release; `null` in lexical-only mode.
    model: Option<String>,
    /// When the release was made, RFC 3339.
    created: String,
    /// Whether requests without `kb` mean this one.
    default: bool,
    /// What the decisions keep.
    goal: Goals,
}

/// What the decisions of a knowledge base keep.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Goals {
    /// The largest share wrong among the answers given.
    max_wrong: f64,
    /// Generation 1 answers from this confidence on.
    bar_generation1: f64,
    /// Generation 2 does; `null` in lexical-only mode.
    bar_generation2: Option<f64>,
    /// What keeping it gave on the calibration questions, by the last
    /// generation that there is.
    kept: Kept,
}

/// All knowledge bases that are served.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct KnowledgeBases {
    /// By name.
    items: Vec<KnowledgeBase>,
}

/// List the knowledge bases that are served.
#[utoipa::path(
    get,
    operation_id = "list_kbs",
    path = "/v1/kbs",
    responses(
        (status = 200, description = "The knowledge bases that are served.", body = KnowledgeBases),
        Problems,
    )
)]
async fn kbs(caller: Caller) -> Json<KnowledgeBases> {
    let known = caller.registry().view();
    for name in known.answering().filter(|name| caller.knows(name)) {
        // One that does not open is told in the readiness.
        let _ = caller.awake(Some(name)).await;
    }
    let view = caller.registry().view();
    let default = caller.engine(None).ok().map(|engine| engine.release().manifest().kb.clone());
    let items = view
        .engines()
        .filter(|(name, _)| caller.knows(name))
        .map(|(name, engine)| {
            let manifest = engine.release().manifest();
            let (entries, phrasings) = engine.release().counts();
            let one = engine.policy(Generation::One);
            let two = manifest.model.as_ref().map(|_| engine.policy(Generation::Two));
            KnowledgeBase {
                kb: name.to_owned(),
                release: engine.release().label(),
                entries,
                phrasings,
                model: manifest.model.as_ref().map(|model| model.id.clone()),
                created: manifest
                    .created
                    .format(&time::format_description::well_known::Rfc3339)
                    .unwrap_or_default(),
                default: default.as_deref() == Some(name),
                goal: Goals {
                    max_wrong: one.max_wrong,
                    bar_generation1: one.bar.value(),
                    bar_generation2: two.map(|two| two.bar.value()),
                    kept: two.unwrap_or(one).into(),
                },
            }
        })
        .collect();
    Json(KnowledgeBases { items })
}

/// Whether the process lives.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Health {
    /// `ok`.
    status: &'static str,
    /// The version of zhida.
    version: &'static str,
}

/// Say that the process lives.
#[utoipa::path(
    get,
    operation_id = "health",
    path = "/healthz",
    responses((status = 200, description = "The process lives.", body = Health))
)]
pub(super) async fn healthz() -> Json<Health> {
    Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

/// Show the metrics, in the text format of Prometheus or, if `Accept` asks for it, as OpenMetrics.
#[utoipa::path(
    get,
    operation_id = "metrics",
    path = "/metrics",
    responses(
        (status = 200, description = "The metrics.", content(
            (String = "text/plain"),
            (String = "application/openmetrics-text"),
        )),
        Problems,
    )
)]
async fn metrics(State(server): State<Server>, headers: HeaderMap) -> Result<Response, Problem> {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let form = Form::wanted(accepted);
    let media_type = form.media_type();
    // Not one of the permits: monitoring must see what keeps all of them.
    let _one = server.0.reading.lock().await;
    let reading = server.clone();
    let text = tokio::task::spawn_blocking(move || reading.metrics().text(form, &reading)).await;
    let text = text.map_err(|e| Error::internal("metrics", e))??;
    Ok(([(header::CONTENT_TYPE, media_type)], text).into_response())
}

/// Show this description.
#[utoipa::path(
    get,
    operation_id = "openapi",
    path = "/openapi.json",
    responses((status = 200, description = "This description.", content_type = "application/json"))
)]
async fn openapi(State(server): State<Server>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], server.description()).into_response()
}
