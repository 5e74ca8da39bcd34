//! What may a client send?
//!
//! Bodies are read by hand and not by a derived deserializer, because every
//! complaint has to name the field or the place, and a faulty item of a batch
//! must not cost the others their answers.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde_json::{Map, Value};

use super::caller::Caller;
use super::error::{Kind, Problem};
use super::packed::{Packed, refuse_packed};
use crate::access::visitor::VERIFIED;
use crate::decide::Generation;
use crate::dialogue::conversation::{CUSTOMER_BYTES, is_sound_id};
use crate::engine::Filter;
use crate::events::check_channel;
use crate::kb::formats::Format;

/// The largest body of `POST /v1/answer`, in bytes.
pub const ANSWER_BYTES: usize = 64 * 1024;
/// The largest body of `POST /v1/answer/batch`, in bytes.
pub const BATCH_BYTES: usize = 1024 * 1024;
/// The longest batch.
pub const BATCH_ITEMS: usize = 64;
/// How long a body may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);
/// How long a file may take to arrive.
pub(super) const FILE_ARRIVAL: Duration = Duration::from_secs(300);

/// The format of a file that is sent or wanted.
pub(super) fn format_named(name: &str) -> Result<Format, Problem> {
    Format::named(name).ok_or_else(|| {
        let detail = format!("`format` is jsonl, csv or xlsx, got {name:?}");
        Problem::new(Kind::InvalidField, detail).of_field("format")
    })
}

// The content of a file; a plain comment, for the words go into every place.
#[derive(utoipa::ToSchema)]
#[schema(value_type = String, format = Binary)]
pub(super) struct File(#[expect(dead_code, reason = "describes bodies; none is made of it")] Vec<u8>);

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, utoipa::ToSchema)]
#[schema(as = AnswerRequest, example = json!({"text": "不想要了怎么退", "kb": "demo", "channel": "web"}))]
pub struct AnswerRequest {
    /// What the customer typed: 1 to 2000 characters, one of them visible.
    #[schema(min_length = 1, max_length = 2000)]
    pub text: String,
    /// The knowledge base to ask; without it the server's default one, or the only one.
    pub kb: Option<String>,
    /// Names the conversation: 1 to 128 characters, made on first use. Without it
    /// nothing is kept, and every question stands for itself.
    #[schema(max_length = 128)]
    pub session: Option<String>,
    /// In a conversation: the entry that the customer pressed, of those that were
    /// offered or of a menu of your own; `text` may be left out then. One that may not
    /// be given now is refused, unless it was offered before: then the customer is told.
    pub choice: Option<String>,
    /// In a conversation: what is known of the customer, such as `{"id": "9", "vip": true}`; handoff
    /// rules look at it, and people see it; `id` is whose events it becomes. `verified` of a key that
    /// stands in pages is not believed. At most 4096 bytes.
    #[schema(value_type = Option<Object>)]
    pub fields: Option<Map<String, Value>>,
    /// In a conversation: the client's name for the message, as `Idempotency-Key`;
    /// the same one is heard once.
    #[schema(max_length = 128)]
    pub client_id: Option<String>,
    /// The channel whose wording is wanted, such as `web`, `wechat` or `phone`; one line.
    #[schema(max_length = 100)]
    pub channel: Option<String>,
    /// Which entries may be found, in all matchers; without it, all.
    pub filter: Option<Filter>,
    /// The last generation of matchers that may run.
    #[schema(minimum = 1, maximum = 2, default = 2)]
    pub generation: Option<u8>,
    /// Whether the reply tells what every stage saw.
    #[schema(default = false)]
    pub explain: Option<bool>,
}

/// Several questions at once.
#[derive(Debug, Clone, PartialEq, Eq, utoipa::ToSchema)]
pub struct BatchRequest {
    /// At most 64 questions.
    #[schema(max_items = 64)]
    pub items: Vec<AnswerRequest>,
}

impl AnswerRequest {
    const FIELDS: [&str; 10] = [
        "text",
        "kb",
        "session",
        "choice",
        "fields",
        "client_id",
        "channel",
        "filter",
        "generation",
        "explain",
    ];

    /// Reads a question of a caller. That somebody has seen to who the customer is says nothing
    /// where everybody may say so.
    pub(super) fn of(caller: &Caller, value: Value) -> Result<Self, Problem> {
        let mut question = Self::read(value)?;
        if caller.identity().is_public
            && let Some(fields) = &mut question.fields
        {
            fields.remove(VERIFIED);
        }
        Ok(question)
    }

    /// Reads a question.
    fn read(value: Value) -> Result<Self, Problem> {
        let mut fields = object(value, &Self::FIELDS)?;
        let choice = string(&mut fields, "choice")?;
        let text = string(&mut fields, "text")?;
        Ok(Self {
            text: match (text, &choice) {
                (Some(text), _) => text,
                // Whoever presses a question types nothing.
                (None, Some(_)) => String::new(),
                (None, None) => return Err(missing("text", "a string with the customer's question")),
            },
            kb: string(&mut fields, "kb")?,
            // A client that has no name for it yet sends an empty one.
            session: string(&mut fields, "session")?.filter(|session| !session.is_empty()),
            choice,
            fields: match fields.remove("fields") {
                None | Some(Value::Null) => None,
                Some(Value::Object(known)) => {
                    let bytes = Value::Object(known.clone()).to_string().len();
                    if bytes > CUSTOMER_BYTES {
                        let detail = format!("`fields` has {bytes} bytes; the limit is {CUSTOMER_BYTES}");
                        return Err(Problem::new(Kind::InvalidField, detail).of_field("fields"));
                    }
                    Some(known)
                }
                Some(other) => return Err(invalid("fields", "an object", &other)),
            },
            client_id: match string(&mut fields, "client_id")? {
                Some(id) if !is_sound_id(&id) => {
                    let detail = "`client_id` is 1 to 128 characters, visible at both ends";
                    return Err(Problem::new(Kind::InvalidField, detail).of_field("client_id"));
                }
                id => id,
            },
            channel: channel(&mut fields)?,
            filter: match fields.remove("filter") {
                None | Some(Value::Null) => None,
                Some(value) => Some(Filter::read(&value)?),
            },
            generation: match fields.remove("generation") {
                None | Some(Value::Null) => None,
                Some(Value::Number(number)) if number.as_u64() == Some(1) => Some(1),
                Some(Value::Number(number)) if number.as_u64() == Some(2) => Some(2),
                Some(other) => return Err(invalid("generation", "the number 1 or 2", &other)),
            },
            explain: match fields.remove("explain") {
                None | Some(Value::Null) => None,
                Some(Value::Bool(wanted)) => Some(wanted),
                Some(other) => return Err(invalid("explain", "true or false", &other)),
            },
        })
    }

    /// The same of a batch, whose questions stand for themselves.
    pub(super) fn alone(self) -> Result<Self, Problem> {
        let given = [
            ("session", self.session.is_some()),
            ("choice", self.choice.is_some()),
            ("client_id", self.client_id.is_some()),
        ];
        match given.into_iter().find(|(_, is_given)| *is_given) {
            Some((field, _)) => {
                let detail = format!(
                    "`{field}` belongs to a conversation, whose messages come one by one (`POST /v1/answer`); a batch is of questions that stand for themselves"
                );
                Err(Problem::new(Kind::InvalidField, detail).of_field(field))
            }
            None => Ok(self),
        }
    }

    /// The last generation that may run.
    pub(super) fn last_generation(&self) -> Generation {
        if self.generation == Some(1) { Generation::One } else { Generation::Two }
    }
}

/// What somebody calls the channel that a message came by.
pub(super) fn channel(fields: &mut Map<String, Value>) -> Result<Option<String>, Problem> {
    let channel = string(fields, "channel")?;
    channel
        .as_deref()
        .map_or(Ok(()), check_channel)
        .map_err(|detail| Problem::new(Kind::InvalidField, detail).of_field("channel"))?;
    Ok(channel)
}

/// The items of a batch, each of which may still be faulty.
pub(super) fn batch_items(value: Value) -> Result<Vec<Value>, Problem> {
    let mut fields = object(value, &["items"])?;
    let items = match fields.remove("items") {
        Some(Value::Array(items)) => items,
        Some(other) => return Err(invalid("items", "a list of questions", &other)),
        None => return Err(missing("items", "a list of questions")),
    };
    if items.len() > BATCH_ITEMS {
        let detail = format!("`items` holds {} questions; the limit is {BATCH_ITEMS}", items.len());
        return Err(Problem::new(Kind::BatchTooLarge, detail).of_field("items"));
    }
    Ok(items)
}

/// Reads a JSON body; the route's body limit has been set by its layer.
pub(super) async fn json(request: Request, limit: usize) -> Result<Value, Problem> {
    // A page of another site can make a browser send text/plain here without
    // asking; it cannot do so with application/json.
    let declared =
        request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence != "application/json" && !(essence.starts_with("application/") && essence.ends_with("+json")) {
        let detail = format!("the content type is {declared:?}; send `Content-Type: application/json`");
        return Err(Problem::new(Kind::WrongContentType, detail));
    }
    let bytes = arrived(request, limit, ARRIVAL).await?;
    let text = std::str::from_utf8(&bytes).map_err(|e| not_utf8(&bytes, e.valid_up_to()))?;
    // Editors and spreadsheets write a byte order mark; RFC 8259 allows to pass over it.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut value = serde_json::from_str(text).map_err(|e| broken_json(&e))?;
    without_nul(&mut value);
    Ok(value)
}

/// Leaves U+0000 out of all texts: it says nothing, and not every database can keep it.
fn without_nul(value: &mut Value) {
    match value {
        Value::String(text) => text.retain(|c| c != '\0'),
        Value::Array(items) => items.iter_mut().for_each(without_nul),
        Value::Object(fields) => fields.values_mut().for_each(without_nul),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn not_utf8(bytes: &[u8], from: usize) -> Problem {
    let detail = match bytes {
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => "the body is UTF-16; send UTF-8".to_owned(),
        _ => format!("the body is not UTF-8 from byte {from} on"),
    };
    Problem::new(Kind::NotUtf8, detail)
}

fn broken_json(error: &serde_json::Error) -> Problem {
    let mut detail = error.to_string();
    // serde_json's words for an escape without its other half.
    if ["lone leading surrogate", "unexpected end of hex escape"].iter().any(|words| detail.contains(words)) {
        detail = format!(
            "a \\u escape before line {} column {} is half a character, as it comes from cutting a text inside an emoji; send both halves, the character itself, or neither",
            error.line(),
            error.column()
        );
    }
    let mut problem = Problem::new(Kind::BrokenJson, detail);
    (problem.line, problem.column) = (Some(error.line()), Some(error.column()));
    problem
}

/// Reads the body of a file.
pub(super) async fn bytes(request: Request, limit: usize) -> Result<Bytes, Problem> {
    // A page of another site can make a browser send these without asking.
    const UNASKED: [&str; 4] = ["", "text/plain", "multipart/form-data", "application/x-www-form-urlencoded"];
    let declared =
        request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if UNASKED.contains(&essence.as_str()) {
        let detail =
            format!("the content type is {declared:?}; send `Content-Type: application/octet-stream`");
        return Err(Problem::new(Kind::WrongContentType, detail));
    }
    arrived(request, limit, FILE_ARRIVAL).await
}

/// The body of a request, whatever it is.
pub(super) async fn body(request: Request, limit: usize) -> Result<Bytes, Problem> {
    arrived(request, limit, ARRIVAL).await
}

async fn arrived(request: Request, limit: usize, patience: Duration) -> Result<Bytes, Problem> {
    refuse_packed(request.headers())?;
    let packed = request.extensions().get::<Packed>().is_some();
    let arriving = Bytes::from_request(request, &());
    match tokio::time::timeout(patience, arriving).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            let unpacked = if packed { " when it is unpacked" } else { "" };
            Err(Problem::new(
                Kind::BodyTooLarge,
                format!("the body may have at most {limit} bytes{unpacked}"),
            ))
        }
        Ok(Err(rejection)) => {
            tracing::debug!(
                status = rejection.into_response().status().as_u16(),
                "a body did not arrive whole"
            );
            Err(Problem::new(
                Kind::BrokenBody,
                if packed {
                    "the body is not what gzip makes, or it is cut off"
                } else {
                    "the connection broke off inside the body"
                },
            ))
        }
        Err(_) => {
            let detail = format!("the body took longer than {} seconds", patience.as_secs());
            Err(Problem::new(Kind::SlowBody, detail))
        }
    }
}

/// The fields of a JSON object, all of them known.
pub(super) fn fields<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Problem> {
    if !value.is_object() {
        let detail = format!("expected a JSON object, got {}", kind_of(&value));
        return Err(Problem::new(Kind::InvalidField, detail));
    }
    // serde would take a list for an object, its items by their places.
    if let Some(list) = value.get("limits").filter(|limits| limits.is_array()) {
        return Err(invalid("limits", "an object", list));
    }
    serde_path_to_error::deserialize(value).map_err(|e| {
        let place = e.path().to_string();
        misfit((place != ".").then_some(place), &e.into_inner().to_string())
    })
}

/// A field that is none of those, is not there, or is of another kind; serde says which in
/// words of Rust.
fn misfit(place: Option<String>, told: &str) -> Problem {
    let quoted = |start: &str| told.strip_prefix(start)?.split('`').next();
    let named = quoted("missing field `").or_else(|| quoted("unknown field `"));
    let field = match (place, named) {
        // The path ends with what is unknown, and not with what is missing.
        (Some(place), Some(name)) if place != name && !place.ends_with(&format!(".{name}")) => {
            Some(format!("{place}.{name}"))
        }
        (place, name) => place.or(name.map(str::to_owned)),
    };
    let mut detail = told.to_owned();
    for (rust, plain) in TYPES {
        detail = detail.replace(&format!("expected {rust}"), &format!("expected {plain}"));
    }
    if let Some(field) = field.as_deref().filter(|_| named.is_none()) {
        detail = format!("field `{field}`: {detail}");
    }
    let problem = Problem::new(Kind::InvalidField, detail);
    match field {
        Some(field) => problem.of_field(&field),
        None => problem,
    }
}

/// What serde expects, and what that is in JSON.
const TYPES: [(&str, &str); 14] = [
    ("i64", "a whole number"),
    ("i32", "a whole number"),
    ("u64", "a whole number from 0 on"),
    ("u32", "a whole number from 0 on"),
    ("u16", "a whole number from 0 to 65535"),
    ("u8", "a whole number from 0 to 255"),
    ("usize", "a whole number from 0 on"),
    ("f64", "a number"),
    ("f32", "a number"),
    ("a boolean", "true or false"),
    ("a sequence", "a list"),
    ("a map", "an object"),
    ("struct", "an object:"),
    ("enum", "one of:"),
];

fn object(value: Value, known: &[&str]) -> Result<Map<String, Value>, Problem> {
    let Value::Object(fields) = value else {
        let detail = format!("expected a JSON object, got {}", kind_of(&value));
        return Err(Problem::new(Kind::InvalidField, detail));
    };
    if let Some(unknown) = fields.keys().find(|name| !known.contains(&name.as_str())) {
        let detail = format!("unknown field `{unknown}`; known: {}", known.join(", "));
        return Err(Problem::new(Kind::UnknownField, detail).of_field(unknown));
    }
    Ok(fields)
}

fn string(fields: &mut Map<String, Value>, name: &str) -> Result<Option<String>, Problem> {
    match fields.remove(name) {
        // `"text": null` is a wrong type; elsewhere null means "not given".
        Some(Value::Null) if name == "text" => Err(invalid(name, "a string", &Value::Null)),
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(invalid(name, "a string", &other)),
    }
}

fn missing(field: &str, expected: &str) -> Problem {
    Problem::new(Kind::MissingField, format!("field `{field}` is missing; it is {expected}")).of_field(field)
}

fn invalid(field: &str, expected: &str, got: &Value) -> Problem {
    let shown = match got {
        Value::Number(number) => format!("the number {number}"),
        other => kind_of(other).to_owned(),
    };
    Problem::new(Kind::InvalidField, format!("field `{field}` must be {expected}, got {shown}"))
        .of_field(field)
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
