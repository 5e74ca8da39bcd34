//! How does a customer leave a question behind, and who sees to it?

use std::collections::{BTreeSet, HashMap};

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa_axum::routes;

use super::address::{Path, Query, page_end, page_size};
use super::caller::Caller;
use super::error::{Fault, Kind, Problem, Problems};
use super::request::{fields, format_named, json};
use super::routes::Routes;
use super::talk::named;
use crate::access::{Right, Role};
use crate::dialogue::conversation::is_sound_id;
use crate::dialogue::ticket::{NOTE_CHARS, TicketState};
use crate::dialogue::ticket_form::TicketForm;
use crate::dialogue::told::in_china;
use crate::error::Error;
use crate::kb::formats::{self, Format};
use crate::store::{NewTicket, Signature, Ticket, TicketChange, WantedTickets};

/// The largest body, in bytes.
pub(super) const BYTES: usize = 256 << 10;

/// Tickets per page at most.
const PAGE: i64 = 500;

/// Tickets in an export at most.
const EXPORTED: i64 = 100_000;

pub(super) fn routes() -> Routes {
    Routes::new()
        .may(Right::Ask, routes!(make))
        .may(Right::Agent, routes!(form))
        .may(Right::Agent, routes!(list))
        .may(Right::Agent, routes!(export))
        .may(Right::Agent, routes!(get, change))
        .bodies(BYTES)
}

/// A question that is left behind.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTicket)]
pub(super) struct Made {
    /// The knowledge base; without it the conversation's, or the default one.
    pub(super) kb: Option<String>,
    /// The conversation that it comes from; there must be one of this name.
    pub(super) session: Option<String>,
    /// Where the customer is.
    pub(super) channel: Option<String>,
    /// What was filled in, by the names of the form's fields.
    #[schema(value_type = Object)]
    pub(super) fields: Map<String, Value>,
    /// The client's name for it: the same one is not made twice.
    pub(super) client_id: Option<String>,
}

/// A ticket as it was made.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct TicketMade {
    /// Its number.
    number: i64,
    /// How far it is: `open`.
    state: TicketState,
    /// What the customer is told.
    message: String,
}

// A ticket with its notes; a plain comment, for the words go into every place.
#[derive(utoipa::ToSchema)]
#[schema(as = Ticket)]
#[expect(dead_code, reason = "describes what `Ticket::told` writes; none is made of it")]
struct Told {
    /// Its number.
    number: i64,
    /// The knowledge base.
    kb: String,
    /// The conversation that it came from.
    conversation: Option<String>,
    /// How far it is.
    state: TicketState,
    /// Which change this is.
    version: i64,
    /// Who sees to it.
    assignee: Option<String>,
    /// Where it came from.
    channel: Option<String>,
    /// What was filled in.
    #[schema(value_type = Object)]
    fields: Map<String, Value>,
    /// What the form calls those fields; of one ticket only, not in lists.
    #[schema(value_type = Option<Object>)]
    labels: Option<Map<String, Value>>,
    /// What was said before, in one paragraph.
    summary: String,
    /// `author`, `text` and `at` of each note, in order.
    #[schema(value_type = Vec<Object>)]
    notes: Vec<Value>,
    /// When it was made, RFC 3339.
    created_at: String,
    /// When it was changed last, RFC 3339.
    updated_at: String,
}

/// Leave a question behind.
///
/// What the form asks for stands in `handoff.ticket` of the reply that offers it.
/// `Idempotency-Key` (or `client_id`) names the ticket: the same one is made once.
#[utoipa::path(
    post,
    operation_id = "make_ticket",
    path = "/v1/tickets",
    request_body = Made,
    responses(
        (status = 201, description = "It has a number.", body = TicketMade),
        (status = 422, description = "A field is not filled in rightly; `problems` names all of them.", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
async fn make(caller: Caller, headers: HeaderMap, request: Request) -> Result<Response, Problem> {
    let mut made: Made = fields(json(request, BYTES).await?)?;
    made.client_id = named(&headers, made.client_id)?;
    left(caller, made).await
}

/// Keeps a question that a customer leaves behind.
pub(super) async fn left(caller: Caller, made: Made) -> Result<Response, Problem> {
    for (field, value) in [("session", &made.session), ("client_id", &made.client_id)] {
        if value.as_ref().is_some_and(|id| !is_sound_id(id)) {
            let detail = format!("`{field}` is 1 to 128 visible characters");
            return Err(Problem::new(Kind::InvalidField, detail).of_field(field));
        }
    }
    caller
        .at_desk(move |caller| {
            let desk = caller.desk();
            let known = match &made.session {
                Some(id) => desk
                    .talk()
                    .find_all(id)?
                    .into_iter()
                    .find(|one| caller.knows(&one.kb) && made.kb.as_ref().is_none_or(|kb| *kb == one.kb)),
                None => None,
            };
            if let (Some(id), None) = (&made.session, &known) {
                let detail = format!(
                    "there is no conversation {id}; leave `session` out for a ticket that comes from none"
                );
                return Err(Problem::new(Kind::InvalidField, detail).of_field("session"));
            }
            let kb = made.kb.clone().or_else(|| known.as_ref().map(|known| known.kb.clone()));
            let (engine, service) = caller.served(kb.as_deref())?;
            let filled = service.ticket.take(&made.fields).map_err(|faults| {
                let problems: Vec<Fault> = faults
                    .iter()
                    .map(|(field, message)| Fault {
                        field: Some(field.clone()),
                        line: None,
                        column: None,
                        sheet: None,
                        message: message.clone(),
                    })
                    .collect();
                let (field, detail) = faults.into_iter().next().unwrap_or_default();
                Problem { problems, ..Problem::new(Kind::InvalidField, detail).of_field(field) }
            })?;
            let summary = match &known {
                Some(known) => desk.summary_of(known)?,
                None => String::new(),
            };
            let ticket = desk.talk().make_ticket(&NewTicket {
                kb: &engine.release().manifest().kb,
                conversation: made.session.as_deref(),
                channel: made.channel.as_deref().or_else(|| known.as_ref()?.channel.as_deref()),
                fields: &filled,
                summary: &summary,
                client_id: made.client_id.as_deref(),
                at: desk.now(),
            })?;
            desk.wake();
            let message = service.ticket.done.replace("{number}", &ticket.number.to_string());
            let made = TicketMade { number: ticket.number, state: ticket.state, message };
            Ok((StatusCode::CREATED, Json(made)).into_response())
        })
        .await
}

/// Whose form is wanted.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Whose {
    /// The knowledge base; without it the default one.
    kb: Option<String>,
}

/// What a ticket of a knowledge base asks for.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct AskedForTicket {
    /// The knowledge base.
    kb: String,
    /// The form, as it is now.
    form: TicketForm,
}

/// Show what a ticket asks for, for people at the desk who make one.
#[utoipa::path(
    get,
    operation_id = "show_ticket_form",
    path = "/v1/tickets/form",
    params(Whose),
    responses((status = 200, description = "The form.", body = AskedForTicket), Problems)
)]
async fn form(caller: Caller, Query(wanted): Query<Whose>) -> Result<Json<AskedForTicket>, Problem> {
    caller
        .at_desk(move |caller| {
            let (engine, service) = caller.served(wanted.kb.as_deref())?;
            let kb = engine.release().manifest().kb.clone();
            Ok(Json(AskedForTicket { kb, form: service.ticket.clone() }))
        })
        .await
}

/// Which tickets are listed.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Listed {
    /// Only those in this state.
    #[param(inline)]
    state: Option<TicketState>,
    /// Only those of this person.
    assignee: Option<String>,
    /// Only those of this knowledge base.
    kb: Option<String>,
    /// Only those with a smaller number: the `next` of the page before.
    before: Option<i64>,
    /// At most so many, 1 to 500; without it 50.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<i64>,
}

/// Which tickets are exported, and how.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Exported {
    /// Only those in this state.
    #[param(inline)]
    state: Option<TicketState>,
    /// Only those of this knowledge base.
    kb: Option<String>,
    /// `csv`, which it is without this, `xlsx` or `jsonl`.
    format: Option<String>,
}

/// Tickets, the latest first.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Tickets {
    /// The latest first.
    #[schema(value_type = Vec<Told>)]
    items: Vec<Value>,
    /// The `before` of the next page; `null` when this is the last.
    next: Option<i64>,
}

/// The knowledge bases whose tickets are meant; one that is named must be there.
fn kbs(caller: &Caller, kb: Option<String>) -> Result<Option<Vec<String>>, Problem> {
    if let Some(kb) = &kb {
        caller.shelf(kb)?;
    }
    caller.within(kb)
}

/// List tickets, the latest first.
#[utoipa::path(
    get,
    operation_id = "list_tickets",
    path = "/v1/tickets",
    params(Listed),
    responses((status = 200, description = "The tickets.", body = Tickets), Problems)
)]
async fn list(caller: Caller, Query(wanted): Query<Listed>) -> Result<Json<Tickets>, Problem> {
    let limit = page_size(wanted.limit.unwrap_or(50), PAGE)?;
    caller
        .at_desk(move |caller| {
            let kbs = kbs(caller, wanted.kb)?;
            let mut tickets = caller.desk().talk().tickets(&WantedTickets {
                state: wanted.state,
                assignee: wanted.assignee.as_deref(),
                kbs: kbs.as_deref(),
                before: wanted.before,
                limit: limit + 1,
            })?;
            let next = page_end(&mut tickets, limit, |last| last.number);
            Ok(Json(Tickets { items: tickets.iter().map(Ticket::told).collect(), next }))
        })
        .await
}

/// Export tickets as a file.
#[utoipa::path(
    get,
    operation_id = "export_tickets",
    path = "/v1/tickets/export",
    params(Exported),
    responses(
        (status = 200, description = "One row a ticket, the latest first. Tables are for people, with words and times of China; programs read `jsonl`.", content(
            (String = "text/csv"),
            (String = "application/x-ndjson"),
            (String = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        )),
        Problems,
    )
)]
async fn export(caller: Caller, Query(wanted): Query<Exported>) -> Result<Response, Problem> {
    let format = wanted.format.as_deref().map_or(Ok(Format::Csv), format_named)?;
    caller
        .at_desk(move |caller| {
            let kbs = kbs(caller, wanted.kb)?;
            let tickets = caller.desk().talk().tickets(&WantedTickets {
                state: wanted.state,
                kbs: kbs.as_deref(),
                limit: EXPORTED,
                ..WantedTickets::default()
            })?;
            let bytes = match format {
                Format::Jsonl => tickets
                    .iter()
                    .map(|ticket| format!("{}\n", ticket.told()))
                    .collect::<String>()
                    .into_bytes(),
                format => table(caller, &tickets, format)?,
            };
            let disposition = format!("attachment; filename=\"tickets.{}\"", format.name());
            let headers = [
                (header::CONTENT_TYPE, format.media_type().to_owned()),
                (header::CONTENT_DISPOSITION, disposition),
            ];
            Ok((headers, bytes).into_response())
        })
        .await
}

/// Tickets as a table for people: what all have, then a column for every field of any form.
fn table(caller: &Caller, tickets: &[Ticket], format: Format) -> crate::error::Result<Vec<u8>> {
    let mut names: Vec<&String> = Vec::new();
    for name in tickets.iter().flat_map(|ticket| ticket.fields.keys()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let fixed =
        ["工单号", "知识库", "状态", "负责人", "渠道", "会话", "创建时间", "更新时间", "摘要", "备注"];
    // A field is called as the form calls it now; one that no form has any more keeps its name.
    let mut labels: HashMap<&str, String> = HashMap::new();
    for kb in tickets.iter().map(|ticket| ticket.kb.as_str()).collect::<BTreeSet<_>>() {
        let Ok((_, service)) = caller.served(Some(kb)) else { continue };
        for field in &service.ticket.fields {
            if let Some(name) = names.iter().find(|name| **name == &field.name) {
                labels.entry(name.as_str()).or_insert_with(|| field.label.clone());
            }
        }
    }
    // Those of the form as it is shipped have a name of their own whatever became of theirs.
    for field in TicketForm::default().fields {
        if let Some(name) = names.iter().find(|name| **name == &field.name) {
            labels.entry(name.as_str()).or_insert(field.label);
        }
    }
    // People as their colleagues know them, and as they sign in: two may be called the same.
    let people = caller.server().gate().access().people(&caller.identity().tenant)?;
    let person = |login: &str| {
        let known =
            people.iter().find(|person| person.name == login).map(|person| person.display_name.trim());
        match known.filter(|name| !name.is_empty() && *name != login) {
            Some(name) => format!("{name}（{login}）"),
            None => login.to_owned(),
        }
    };
    let called = |name: &&String| labels.get(name.as_str()).map_or(name.as_str(), String::as_str).to_owned();
    let asked: Vec<String> = names.iter().map(called).collect();
    let headings: Vec<&str> = fixed.into_iter().chain(asked.iter().map(String::as_str)).collect();
    let rows = tickets.iter().map(|ticket| {
        let told = ticket.told();
        let text = |field: &str| told.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let notes: Vec<String> =
            ticket.notes.iter().map(|note| format!("{}：{}", person(&note.author), note.text)).collect();
        let mut row = vec![ticket.number.to_string()];
        row.push(text("kb"));
        row.push(ticket.state.in_chinese().to_owned());
        row.push(person(&text("assignee")));
        row.extend(["channel", "conversation"].map(text));
        row.extend([ticket.created_at, ticket.updated_at].map(in_china));
        row.push(text("summary"));
        row.push(notes.join("\n"));
        row.extend(
            names
                .iter()
                .map(|name| ticket.fields.get(*name).and_then(Value::as_str).unwrap_or_default().to_owned()),
        );
        row
    });
    formats::written_table("tickets", &headings, rows.collect(), format)
}

/// A ticket that the caller may know of.
fn found(caller: &Caller, number: i64) -> Result<Ticket, Problem> {
    let none = || Error::Absent { what: "ticket", name: number.to_string() };
    let found = caller.desk().talk().ticket(number)?.filter(|ticket| caller.knows(&ticket.kb));
    found.ok_or_else(|| none().into())
}

/// Show a ticket.
#[utoipa::path(
    get,
    operation_id = "get_ticket",
    path = "/v1/tickets/{number}",
    params(("number" = i64, Path, description = "The ticket.")),
    responses((status = 200, description = "The ticket.", body = Told), Problems)
)]
async fn get(caller: Caller, Path(number): Path<i64>) -> Result<Json<Value>, Problem> {
    caller
        .at_desk(move |caller| {
            let ticket = found(caller, number)?;
            let mut told = ticket.told();
            // A form that was changed since has other fields, which keep their names; those of
            // the form as it is shipped have one all the same.
            if let Some(told) = told.as_object_mut() {
                let mut fields = TicketForm::default().fields;
                if let Ok((_, service)) = caller.served(Some(&ticket.kb)) {
                    fields.extend(service.ticket.fields.iter().cloned());
                }
                let labels: Map<String, Value> = fields
                    .into_iter()
                    .filter(|field| ticket.fields.contains_key(&field.name))
                    .map(|field| (field.name, field.label.into()))
                    .collect();
                told.insert("labels".to_owned(), labels.into());
            }
            Ok(Json(told))
        })
        .await
}

/// Whether somebody can see to a ticket of a knowledge base: who may not see it would not
/// find it. A desk of a program's own, where nobody signs in to work at the desk here,
/// names whom it likes; else others would look for somebody who is not there.
fn may_see_to_it(caller: &Caller, name: &str, kb: &str) -> Result<(), Problem> {
    if name.is_empty() {
        return Ok(());
    }
    let wrong = |detail: String| Err(Problem::new(Kind::InvalidField, detail).of_field("assignee"));
    let people = caller.server().gate().access().people(&caller.identity().tenant)?;
    if people.iter().any(|person| person.name == name) {
        return if caller.may_see(name, kb) {
            Ok(())
        } else {
            wrong(format!("{name} may not see knowledge base {kb}"))
        };
    }
    let is_own_desk =
        !caller.identity().is_person() && people.iter().all(|person| person.role != Role::Agent);
    if is_own_desk || caller.signature().author == name || caller.desk().is_present(name)? {
        return Ok(());
    }
    wrong(format!("nobody is called {name}; `assignee` is the name that a colleague signs in with"))
}

/// What is to change of a ticket; what is left out stays.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TicketChange)]
struct Change {
    /// Its new state.
    state: Option<TicketState>,
    /// Who sees to it from now on; empty for nobody. One of the tenant's people who may
    /// see the knowledge base, or somebody at the desk. A program may name anybody else
    /// where no person has the role `agent`.
    #[schema(max_length = 100)]
    assignee: Option<String>,
    /// A note to add.
    #[schema(max_length = 4000)]
    note: Option<String>,
    /// The change that was seen: another one since then is told with 412.
    version: Option<i64>,
}

/// Change a ticket, or add a note.
///
/// A closed ticket is only opened again, with `state` `open`; a note or an assignee may
/// come along with that, and with what closes it.
#[utoipa::path(
    patch,
    operation_id = "change_ticket",
    path = "/v1/tickets/{number}",
    params(("number" = i64, Path, description = "The ticket.")),
    request_body = Change,
    responses(
        (status = 200, description = "The ticket as it is now.", body = Told),
        (status = 409, description = "It is closed, and `state` does not open it; or it has as many notes as it may.", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "Somebody else was faster.", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
async fn change(caller: Caller, Path(number): Path<i64>, request: Request) -> Result<Json<Value>, Problem> {
    let change: Change = fields(json(request, BYTES).await?)?;
    let chars = |text: &Option<String>| text.as_ref().map_or(0, |text| text.chars().count());
    for (field, chars, limit) in [
        ("note", chars(&change.note), NOTE_CHARS),
        ("assignee", chars(&change.assignee), Signature::AUTHOR_CHARS),
    ] {
        if chars > limit {
            let detail = format!("`{field}` has {chars} characters; the limit is {limit}");
            return Err(Problem::new(Kind::TextTooLong, detail).of_field(field));
        }
    }
    caller
        .at_desk(move |caller| {
            let ticket = found(caller, number)?;
            // Whoever has it already need not be here any more.
            let is_other = |name: &&String| ticket.assignee.as_deref() != Some(name.trim());
            if let Some(name) = change.assignee.as_ref().filter(is_other) {
                may_see_to_it(caller, name.trim(), &ticket.kb)?;
            }
            let assignee =
                change.assignee.map(|name| Some(name.trim().to_owned()).filter(|name| !name.is_empty()));
            let note = change.note.filter(|note| !note.trim().is_empty());
            let changes = TicketChange { state: change.state, assignee, note, version: change.version };
            let desk = caller.desk();
            let ticket =
                desk.talk().change_ticket(number, &changes, &caller.signature().author, desk.now())?;
            desk.wake();
            Ok(Json(ticket.told()))
        })
        .await
}
