//! What does a customer see before the first question?
//!
//! The greeting, and questions to press: those that the knowledge base's author
//! chose, or the ones that were asked most in the last seven days. They are shown in
//! the words of their entries; no customer's words reach another one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use serde::Serialize;
use utoipa_axum::routes;

use super::address::Path;
use super::caller::Caller;
use super::error::{Problem, Problems};
use super::routes::Routes;
use crate::access::Right;
use crate::desk::messengers::opening;
use crate::events::habits::Habits;
use crate::events::{Day, Days, Log};

/// Days that are looked at, today included.
const WEEK: i64 = 7;

/// How long what was counted is good for.
const FRESH: Duration = Duration::from_secs(600);

pub(super) fn routes() -> Routes {
    Routes::new().may(Right::Ask, routes!(greeting))
}

/// What a conversation begins with.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Greeting {
    /// The knowledge base.
    kb: String,
    /// What is said.
    greeting: String,
    /// Questions to press: send one as `{"choice":"ENTRY"}` with the conversation's `session`.
    quick_questions: Vec<QuickQuestion>,
    /// Where they come from.
    chosen_by: ChosenBy,
}

/// A question to press.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct QuickQuestion {
    /// The entry's id.
    entry: String,
    /// Its question.
    question: String,
}

/// Who chose the questions.
#[derive(Debug, Clone, Copy, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum ChosenBy {
    /// The knowledge base's author.
    Author,
    /// What was asked most in the last seven days.
    Asked,
}

/// Show what a conversation begins with: the greeting, and questions to press.
///
/// The questions are those that the service document names, or those that were
/// answered in most conversations of the last seven days, counted anew every ten
/// minutes.
#[utoipa::path(
    get,
    operation_id = "get_greeting",
    path = "/v1/kbs/{kb}/greeting",
    params(("kb" = String, Path, description = "The knowledge base.")),
    responses((status = 200, description = "What to show.", body = Greeting), Problems)
)]
async fn greeting(caller: Caller, Path(kb): Path<String>) -> Result<Json<Greeting>, Problem> {
    caller.at_desk(move |caller| greeted(caller, kb).map(Json)).await
}

/// What a conversation in a knowledge base begins with.
pub(super) fn greeted(caller: &Caller, kb: String) -> Result<Greeting, Problem> {
    let (engine, service) = caller.served(Some(&kb))?;
    let opening = opening(&engine, &service, || Some(caller.habits(&kb)));
    let chosen_by = if opening.authored { ChosenBy::Author } else { ChosenBy::Asked };
    let questions = opening.questions.into_iter();
    let quick_questions =
        questions.map(|(id, question)| QuickQuestion { entry: id.to_string(), question }).collect();
    Ok(Greeting { kb, greeting: service.voice.greeting.clone(), quick_questions, chosen_by })
}

/// What was counted of each knowledge base, and when; `None` while somebody counts
/// for the first time.
pub(super) struct Counted {
    known: Mutex<HashMap<String, (Instant, Arc<Habits>)>>,
    /// Of so many days.
    days: i64,
}

impl Default for Counted {
    fn default() -> Self {
        Self::over(WEEK)
    }
}

impl Counted {
    /// Those of the last days, today among them.
    pub(super) fn over(days: i64) -> Self {
        Self { known: Mutex::default(), days }
    }

    /// What customers of a knowledge base ask for; counts if that is long ago,
    /// which takes its time.
    pub(super) fn read(&self, log: &Log, kb: &str) -> Arc<Habits> {
        // Whoever comes meanwhile waits here instead of counting too.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((counted, habits)) = known.get(kb)
            && counted.elapsed() < FRESH
        {
            return Arc::clone(habits);
        }
        let habits = Arc::new(count(log, kb, self.days));
        known.insert(kb.to_owned(), (Instant::now(), Arc::clone(&habits)));
        habits
    }

    /// The same without waiting: what is known, if anything is; what is too old is
    /// counted anew beside.
    pub(super) fn known(self: &Arc<Self>, log: &Log, kb: &str) -> Option<Arc<Habits>> {
        // While somebody counts, an answer goes out without.
        let known = self.known.try_lock().ok()?;
        let (fresh, habits) = match known.get(kb) {
            Some((counted, habits)) => (counted.elapsed() < FRESH, Some(Arc::clone(habits))),
            None => (false, None),
        };
        drop(known);
        if !fresh {
            let (counted, log, kb) = (Arc::clone(self), log.clone(), kb.to_owned());
            let begun = std::thread::Builder::new().name("habits".to_owned()).spawn(move || {
                counted.read(&log, &kb);
            });
            if let Err(error) = begun {
                tracing::warn!(%error, "no thread to count what is asked");
            }
        }
        habits
    }
}

fn count(log: &Log, kb: &str, days: i64) -> Habits {
    let today = Day::today();
    let habits = Days::new(today.plus(1 - days), today).and_then(|days| Habits::read(log, kb, days));
    habits.unwrap_or_else(|error| {
        tracing::warn!(%error, kb, "cannot count what is asked");
        Habits::default()
    })
}
