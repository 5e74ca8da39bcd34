//! What takes so long that nobody waits for the reply?
//!
//! Publishing and checking are jobs: the request starts one and gets its
//! address, under which it says how far it is, how long it will take, and in
//! the end what came of it. A job can be cancelled; then nothing has changed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use utoipa_axum::routes;

use super::address::Path;
use super::caller::Caller;
use super::error::{Kind, Problem, Problems};
use super::neighbours::Neighbours;
use super::routes::Routes;
use crate::access::Right;
use crate::publish;

/// Jobs that have ended and are still told of.
const REMEMBERED: usize = 100;

pub(super) fn routes() -> Routes {
    Routes::new().may(Right::Author, routes!(list)).may(Right::Author, routes!(get, cancel))
}

/// All jobs of a server.
#[derive(Default)]
pub(super) struct Jobs(Mutex<BTreeMap<String, Arc<Work>>>);

/// One job.
struct Work {
    id: String,
    kind: &'static str,
    kb: String,
    started: Instant,
    cancelled: AtomicBool,
    state: Mutex<Progress>,
}

/// How far a job is.
#[derive(Default)]
struct Progress {
    stage: &'static str,
    done: usize,
    total: usize,
    since: Option<Instant>,
    outcome: Option<(Outcome, Duration)>,
}

/// Whether a job still works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = JobState)]
enum State {
    Running,
    Done,
    Failed,
    Cancelled,
}

enum Outcome {
    Done(Value),
    Failed(Box<Problem>),
    Cancelled,
}

impl Outcome {
    /// For the audit.
    fn in_words(&self, job: &str) -> String {
        match self {
            Self::Done(value) => match (&value["published"], &value["release"]) {
                (Value::Bool(false), _) => format!("job {job}: refused"),
                (_, Value::Number(number)) => format!("job {job}: release {number}"),
                _ => format!("job {job}: done"),
            },
            Self::Failed(problem) => format!("job {job}: failed, {}", problem.kind().slug()),
            Self::Cancelled => format!("job {job}: cancelled"),
        }
    }
}

/// A job as a client sees it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Job {
    /// Its name.
    id: String,
    /// `publish`, `rollback`, `check`, `rule-test`, `import`, `index`, `preview` or `evaluation`.
    kind: &'static str,
    /// The knowledge base.
    kb: String,
    /// Whether it still works.
    state: State,
    /// What it is doing: `index`, `vectors`, `strangers`, `calibration`, `checkup`, `queries`, `generation 1`, `generation 2`, `goals`.
    stage: &'static str,
    /// Steps of the stage that are done.
    done: usize,
    /// Steps of the stage.
    total: usize,
    /// How long this stage will probably take from now on.
    remaining_seconds: Option<f64>,
    /// How long it has taken or took.
    seconds: f64,
    /// What came of it.
    #[schema(value_type = Option<Object>)]
    result: Option<Value>,
    /// Why it failed.
    problem: Option<Problem>,
}

impl Work {
    fn told(&self) -> Job {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let remaining = state
            .since
            .filter(|_| state.outcome.is_none() && state.done > 0 && state.total >= state.done)
            .map(|since| {
                since.elapsed().as_secs_f64() * (state.total - state.done) as f64 / state.done as f64
            });
        let (now, result, problem) = match state.outcome.as_ref().map(|(outcome, _)| outcome) {
            None => (State::Running, None, None),
            Some(Outcome::Done(value)) => (State::Done, Some(value.clone()), None),
            Some(Outcome::Failed(problem)) => (State::Failed, None, Some(Problem::clone(problem))),
            Some(Outcome::Cancelled) => (State::Cancelled, None, None),
        };
        let took = state.outcome.as_ref().map_or_else(|| self.started.elapsed(), |(_, took)| *took);
        Job {
            id: self.id.clone(),
            kind: self.kind,
            kb: self.kb.clone(),
            state: now,
            stage: state.stage,
            done: state.done,
            total: state.total,
            remaining_seconds: remaining,
            seconds: took.as_secs_f64(),
            result,
            problem,
        }
    }

    fn heard(&self, stage: &'static str, done: usize, total: usize) {
        publish::stop_if(&self.cancelled);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.stage != stage {
            (state.stage, state.since) = (stage, Some(Instant::now()));
            state.done = 0;
        }
        // Cores report in any order.
        state.done = state.done.max(done);
        state.total = total;
    }

    fn end(&self, outcome: Outcome) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.outcome = Some((outcome, self.started.elapsed()));
    }

    fn is_running(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).outcome.is_none()
    }
}

impl Jobs {
    /// Starts a job, or leads to the one of this kind that works on the knowledge base.
    pub(super) fn start_or_join(
        &self,
        kind: &'static str,
        kb: &str,
        work: impl FnOnce(crate::release::Progress<'_>) -> Result<Value, Problem> + Send + 'static,
    ) -> Result<Response, Problem> {
        let running = {
            let jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            jobs.values().find(|job| job.kind == kind && job.kb == kb && job.is_running()).cloned()
        };
        match running {
            Some(job) => Ok(begun(&job.told())),
            None => self.start(kind, kb, |_| (), work),
        }
    }

    /// Starts a job on a thread of its own, which tells in the end what came of it.
    /// One at a time for a knowledge base.
    pub(super) fn start(
        &self,
        kind: &'static str,
        kb: &str,
        tell: impl FnOnce(String) + Send + 'static,
        work: impl FnOnce(crate::release::Progress<'_>) -> Result<Value, Problem> + Send + 'static,
    ) -> Result<Response, Problem> {
        let mut jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = jobs.values().find(|job| job.kb == kb && job.is_running()) {
            let detail =
                format!("job {} ({}) works on {kb} already; wait for it or cancel it", other.id, other.kind);
            return Err(Problem::new(Kind::NotNow, detail));
        }
        // Ids are in the order of time: the first ones are the oldest.
        while jobs.len() >= REMEMBERED {
            let Some(old) = jobs.iter().find(|(_, job)| !job.is_running()).map(|(id, _)| id.clone()) else {
                break;
            };
            jobs.remove(&old);
        }
        let job = Arc::new(Work {
            id: uuid::Uuid::now_v7().simple().to_string(),
            kind,
            kb: kb.to_owned(),
            started: Instant::now(),
            cancelled: AtomicBool::new(false),
            state: Mutex::default(),
        });
        jobs.insert(job.id.clone(), Arc::clone(&job));
        let response = begun(&job.told());
        std::thread::spawn(move || {
            let heard = Arc::clone(&job);
            let progress = move |stage, done, total| heard.heard(stage, done, total);
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                publish::stoppable(|| Ok(work(&progress)))
            }));
            let outcome = match outcome {
                Ok(Ok(Some(Ok(value)))) => Outcome::Done(value),
                Ok(Ok(Some(Err(problem)))) => Outcome::Failed(Box::new(problem)),
                Ok(Ok(None)) => Outcome::Cancelled,
                Ok(Err(e)) => Outcome::Failed(Box::new(e.into())),
                Err(_) => {
                    let detail = "the job ended with a defect of the server; its log says more";
                    Outcome::Failed(Box::new(Problem::new(Kind::Internal, detail)))
                }
            };
            // Before anybody hears that it is done.
            tell(outcome.in_words(&job.id));
            job.end(outcome);
        });
        Ok(response)
    }

    /// All of them, or those of a kind and a knowledge base, in the order in which they began.
    pub(super) fn told(&self, of: Option<(&str, &str)>) -> Vec<Value> {
        let jobs: Vec<Arc<Work>> = {
            let jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let wanted = |job: &&Arc<Work>| of.is_none_or(|of| of == (job.kind, job.kb.as_str()));
            jobs.values().filter(wanted).cloned().collect()
        };
        jobs.iter().filter_map(|job| serde_json::to_value(job.told()).ok()).collect()
    }

    /// Whether one of this name is known.
    pub(super) fn has(&self, id: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(id)
    }

    fn find(&self, id: &str, caller: &Caller) -> Result<Arc<Work>, Problem> {
        let jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let unknown = || {
            let detail = format!(
                "there is no job {id:?}; a server that stops forgets its jobs, and so does one that has had a hundred newer ones: what was not finished by then is to be begun again"
            );
            Problem::new(Kind::UnknownJob, detail)
        };
        jobs.get(id).filter(|job| caller.knows(&job.kb)).cloned().ok_or_else(unknown)
    }
}

/// What the last job of a kind came to that is done, at whatever node; for threads that may
/// wait.
pub(super) fn last_result(caller: &Caller, kind: &str, kb: &str) -> Option<Value> {
    let mut jobs = caller.jobs().told(Some((kind, kb)));
    if let Some(others) = Neighbours::of(caller.server().share(), caller.tenant().name()) {
        jobs.extend(others.jobs_of(kind, kb));
    }
    let done = jobs.into_iter().filter(|job| job["state"] == "done");
    // Ids are in the order of time.
    let last = done.max_by_key(|job| job["id"].as_str().unwrap_or_default().to_owned());
    last.map(|mut job| job["result"].take())
}

/// The reply that leads to a job.
fn begun(job: &Job) -> Response {
    let mut response = (StatusCode::ACCEPTED, Json(job)).into_response();
    if let Ok(place) = HeaderValue::from_str(&format!("/v1/jobs/{}", job.id)) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    response
}

/// Some jobs.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct JobList {
    /// Newest first.
    #[schema(value_type = Vec<Job>)]
    items: Vec<Value>,
    /// Nodes whose jobs the list lacks: they could not be asked.
    missing_nodes: Vec<String>,
}

/// List the jobs of all nodes, newest first; of those that have ended, each node's last hundred.
#[utoipa::path(
    get,
    operation_id = "list_jobs",
    path = "/v1/jobs",
    responses((status = 200, description = "The jobs.", body = JobList), Problems)
)]
async fn list(caller: Caller) -> Json<JobList> {
    let neighbours = Neighbours::of(caller.server().share(), caller.tenant().name());
    let (mut items, missing_nodes) = match neighbours {
        Some(others) => others.jobs().await,
        None => (Vec::new(), Vec::new()),
    };
    items.extend(caller.jobs().told(None));
    let text = |job: &Value, field: &str| job[field].as_str().unwrap_or_default().to_owned();
    items.retain(|job| caller.knows(&text(job, "kb")));
    // Ids are in the order of time.
    items.sort_by_cached_key(|job| std::cmp::Reverse(text(job, "id")));
    Json(JobList { items, missing_nodes })
}

/// Say how far a job is, or what came of it.
///
/// Jobs are forgotten when their server stops; then this is 404 `unknown-job`, and what was
/// not finished is to be begun again.
#[utoipa::path(
    get,
    operation_id = "get_job",
    path = "/v1/jobs/{id}",
    params(("id" = String, Path, description = "The job.")),
    responses(
        (status = 200, description = "How far the job is, or what came of it.", body = Job),
        Problems,
    )
)]
async fn get(caller: Caller, Path(id): Path<String>) -> Result<Json<Job>, Problem> {
    Ok(Json(caller.jobs().find(&id, &caller)?.told()))
}

/// Cancel a job; it ends at its next step, and nothing has changed then.
#[utoipa::path(
    delete,
    operation_id = "cancel_job",
    path = "/v1/jobs/{id}",
    params(("id" = String, Path, description = "The job.")),
    responses(
        (status = 202, description = "It will end, unless it was done in this moment.", body = Job),
        Problems,
    )
)]
async fn cancel(caller: Caller, Path(id): Path<String>) -> Result<Response, Problem> {
    let job = caller.jobs().find(&id, &caller)?;
    job.cancelled.store(true, Ordering::Relaxed);
    Ok((StatusCode::ACCEPTED, Json(job.told())).into_response())
}
