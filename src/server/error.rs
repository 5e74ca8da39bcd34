//! What does a client hear when something goes wrong?
//!
//! Every error leaves the server as an RFC 9457 problem document. All kinds of
//! problems stand in one table ([`Kind`]), and the one mapping from
//! [`Error`] to a kind stands below it. Internal text goes to the log; the
//! client gets a neutral body with a `trace_id` to quote.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::packed::ACCEPTED;
use crate::engine::FilterFault;
use crate::error::{Disk, Error, QuestionError, failed};

/// The kinds of problems. Their `type`s are stable; clients may compare them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The body is no JSON.
    BrokenJson,
    /// The body is no UTF-8.
    NotUtf8,
    /// The body did not arrive whole.
    BrokenBody,
    /// The path or query is no percent-encoded UTF-8.
    BrokenAddress,
    /// Nobody knows the key, or there is none.
    Unauthorized,
    /// Name or password is wrong.
    WrongLogin,
    /// Too many attempts to sign in failed.
    LockedOut,
    /// A request with a cookie does not prove that it comes from our own page.
    Forgery,
    /// The password is too easy to guess.
    WeakPassword,
    /// The sign-in provider did not say who it is.
    NotSignedIn,
    /// The key is for something else.
    Forbidden,
    /// A server without keys is asked under the name of somebody else.
    ForeignHost,
    /// A page of a site that may not ask.
    ForeignOrigin,
    /// A key stands in the address.
    KeyInAddress,
    /// More requests a second than the key or tenant may make.
    RateLimited,
    /// The questions of the month were asked.
    QuotaUsedUp,
    /// The tenant would have more than it may.
    OverQuota,
    /// Nothing is served under the path.
    NotFound,
    /// No knowledge base has the name.
    UnknownKnowledgeBase,
    /// The path does not know the method.
    MethodNotAllowed,
    /// The body did not arrive in time.
    SlowBody,
    /// The body is larger than the path allows.
    BodyTooLarge,
    /// The body is not declared as JSON.
    WrongContentType,
    /// The body is packed in a way that is not unpacked here.
    WrongContentEncoding,
    /// The text holds nothing visible.
    BlankText,
    /// The text is longer than a question, a reply or a note may be.
    TextTooLong,
    /// A field that must be there is not.
    MissingField,
    /// A field that nobody knows.
    UnknownField,
    /// A field with the wrong type or value.
    InvalidField,
    /// More questions than one batch may hold.
    BatchTooLarge,
    /// No entry has the id.
    UnknownEntry,
    /// No release has the number.
    UnknownRelease,
    /// No job has the id.
    UnknownJob,
    /// No conversation, handoff, ticket, webhook or channel has the name.
    NotHere,
    /// The present state does not allow it.
    NotNow,
    /// Much would be removed; the client has to say that it is meant.
    NeedsConfirmation,
    /// The server may not change its data.
    ReadOnly,
    /// An entry has the id already.
    EntryExists,
    /// Another entry has the question or keyword.
    QuestionTaken,
    /// Somebody else changed the entry.
    StaleEntry,
    /// The entry has a fault.
    InvalidEntry,
    /// A change must say which state it is meant for.
    PreconditionRequired,
    /// The machine is busy with other questions.
    Overloaded,
    /// The disk of the server takes nothing.
    NotStored,
    /// The server that holds the records does not answer.
    DatabaseAway,
    /// We must fix something.
    Internal,
    /// The knowledge base has no release that could answer.
    NotReady,
    /// The answer was not there in time.
    DeadlineExceeded,
}

impl Kind {
    /// Every kind, by status.
    pub const ALL: [Self; 48] = [
        Self::BrokenJson,
        Self::NotUtf8,
        Self::BrokenBody,
        Self::BrokenAddress,
        Self::KeyInAddress,
        Self::Unauthorized,
        Self::WrongLogin,
        Self::NotSignedIn,
        Self::Forbidden,
        Self::Forgery,
        Self::ForeignHost,
        Self::ForeignOrigin,
        Self::NotFound,
        Self::UnknownKnowledgeBase,
        Self::UnknownEntry,
        Self::UnknownRelease,
        Self::UnknownJob,
        Self::NotHere,
        Self::MethodNotAllowed,
        Self::SlowBody,
        Self::NotNow,
        Self::NeedsConfirmation,
        Self::ReadOnly,
        Self::EntryExists,
        Self::QuestionTaken,
        Self::OverQuota,
        Self::StaleEntry,
        Self::BodyTooLarge,
        Self::WrongContentType,
        Self::WrongContentEncoding,
        Self::BlankText,
        Self::TextTooLong,
        Self::MissingField,
        Self::UnknownField,
        Self::InvalidField,
        Self::BatchTooLarge,
        Self::InvalidEntry,
        Self::WeakPassword,
        Self::PreconditionRequired,
        Self::Overloaded,
        Self::RateLimited,
        Self::LockedOut,
        Self::QuotaUsedUp,
        Self::Internal,
        Self::NotReady,
        Self::DatabaseAway,
        Self::DeadlineExceeded,
        Self::NotStored,
    ];

    /// Status, `type` and title: the whole mapping on one screen.
    fn table(self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Self::BrokenJson => (S::BAD_REQUEST, "/problems/broken-json", "The body is not JSON"),
            Self::NotUtf8 => (S::BAD_REQUEST, "/problems/not-utf8", "The body is not UTF-8"),
            Self::BrokenBody => (S::BAD_REQUEST, "/problems/broken-body", "The body did not arrive whole"),
            Self::BrokenAddress => (S::BAD_REQUEST, "/problems/broken-address", "The address is not UTF-8"),
            Self::NotFound => (S::NOT_FOUND, "/problems/not-found", "Nothing is served here"),
            Self::UnknownKnowledgeBase => (S::NOT_FOUND, "/problems/unknown-kb", "Unknown knowledge base"),
            Self::MethodNotAllowed => {
                (S::METHOD_NOT_ALLOWED, "/problems/method-not-allowed", "The path does not know this method")
            }
            Self::SlowBody => (S::REQUEST_TIMEOUT, "/problems/slow-body", "The body did not arrive in time"),
            Self::BodyTooLarge => (S::PAYLOAD_TOO_LARGE, "/problems/body-too-large", "The body is too large"),
            Self::WrongContentType => {
                (S::UNSUPPORTED_MEDIA_TYPE, "/problems/wrong-content-type", "The content type does not fit")
            }
            Self::WrongContentEncoding => (
                S::UNSUPPORTED_MEDIA_TYPE,
                "/problems/wrong-content-encoding",
                "The content encoding does not fit",
            ),
            Self::BlankText => (S::UNPROCESSABLE_ENTITY, "/problems/blank-text", "The text is blank"),
            Self::TextTooLong => (S::UNPROCESSABLE_ENTITY, "/problems/text-too-long", "The text is too long"),
            Self::MissingField => (S::UNPROCESSABLE_ENTITY, "/problems/missing-field", "A field is missing"),
            Self::UnknownField => (S::UNPROCESSABLE_ENTITY, "/problems/unknown-field", "Unknown field"),
            Self::InvalidField => {
                (S::UNPROCESSABLE_ENTITY, "/problems/invalid-field", "A field has the wrong type or value")
            }
            Self::BatchTooLarge => {
                (S::UNPROCESSABLE_ENTITY, "/problems/batch-too-large", "Too many questions in one batch")
            }
            Self::UnknownEntry => (S::NOT_FOUND, "/problems/unknown-entry", "Unknown entry"),
            Self::UnknownRelease => (S::NOT_FOUND, "/problems/unknown-release", "Unknown release"),
            Self::UnknownJob => (S::NOT_FOUND, "/problems/unknown-job", "Unknown job"),
            Self::NotHere => (S::NOT_FOUND, "/problems/not-here", "There is none of this name"),
            Self::NotNow => (S::CONFLICT, "/problems/not-now", "Not possible in the present state"),
            Self::NeedsConfirmation => {
                (S::CONFLICT, "/problems/needs-confirmation", "The removal must be confirmed")
            }
            Self::ReadOnly => (S::CONFLICT, "/problems/read-only", "The data directory is read-only"),
            Self::EntryExists => (S::CONFLICT, "/problems/entry-exists", "The entry exists already"),
            Self::QuestionTaken => {
                (S::CONFLICT, "/problems/question-taken", "Another entry has the question or keyword")
            }
            Self::StaleEntry => (S::PRECONDITION_FAILED, "/problems/stale-entry", "Somebody else was faster"),
            Self::InvalidEntry => {
                (S::UNPROCESSABLE_ENTITY, "/problems/invalid-entry", "The content has a fault")
            }
            Self::PreconditionRequired => {
                (S::PRECONDITION_REQUIRED, "/problems/precondition-required", "If-Match is missing")
            }
            Self::Unauthorized => (S::UNAUTHORIZED, "/problems/unauthorized", "A key or a session is needed"),
            Self::WrongLogin => (S::UNAUTHORIZED, "/problems/wrong-login", "Name or password is wrong"),
            Self::NotSignedIn => {
                (S::UNAUTHORIZED, "/problems/not-signed-in", "The provider did not say who it is")
            }
            Self::LockedOut => {
                (S::TOO_MANY_REQUESTS, "/problems/locked-out", "Too many attempts to sign in failed")
            }
            Self::Forgery => {
                (S::FORBIDDEN, "/problems/csrf", "The request may come from a page of somebody else")
            }
            Self::WeakPassword => {
                (S::UNPROCESSABLE_ENTITY, "/problems/weak-password", "The password is too easy to guess")
            }
            Self::Forbidden => {
                (S::FORBIDDEN, "/problems/forbidden", "The key or person is for something else")
            }
            Self::ForeignHost => (
                S::FORBIDDEN,
                "/problems/foreign-host",
                "Without keys and people only the own machine is answered",
            ),
            Self::ForeignOrigin => {
                (S::FORBIDDEN, "/problems/foreign-origin", "Pages of this site may not ask")
            }
            Self::KeyInAddress => {
                (S::BAD_REQUEST, "/problems/key-in-address", "A key does not belong into an address")
            }
            Self::RateLimited => {
                (S::TOO_MANY_REQUESTS, "/problems/rate-limited", "Too many requests a second")
            }
            Self::QuotaUsedUp => {
                (S::TOO_MANY_REQUESTS, "/problems/quota-used-up", "The questions of the month are used up")
            }
            Self::OverQuota => (S::CONFLICT, "/problems/over-quota", "The tenant may not have more"),
            Self::Overloaded => (S::TOO_MANY_REQUESTS, "/problems/overloaded", "The server is busy"),
            Self::Internal => (S::INTERNAL_SERVER_ERROR, "/problems/internal", "Internal error"),
            Self::NotReady => {
                (S::SERVICE_UNAVAILABLE, "/problems/not-ready", "The knowledge base has no open release")
            }
            Self::DatabaseAway => {
                (S::SERVICE_UNAVAILABLE, "/problems/database-away", "The database does not answer")
            }
            Self::NotStored => {
                (S::INSUFFICIENT_STORAGE, "/problems/not-stored", "The server cannot store it")
            }
            Self::DeadlineExceeded => {
                (S::SERVICE_UNAVAILABLE, "/problems/deadline-exceeded", "The answer took too long")
            }
        }
    }

    /// The status of the response.
    pub fn status(self) -> StatusCode {
        self.table().0
    }

    /// The stable `type`.
    pub fn uri(self) -> &'static str {
        self.table().1
    }

    /// The title.
    pub fn title(self) -> &'static str {
        self.table().2
    }

    /// The last part of the `type`, for logs and metrics.
    pub fn slug(self) -> &'static str {
        self.uri().rsplit('/').next().unwrap_or_default()
    }

    /// Whether the same request may succeed a moment later.
    fn is_passing(self) -> bool {
        matches!(self, Self::Overloaded | Self::NotReady | Self::DatabaseAway | Self::DeadlineExceeded)
    }
}

/// Names that are told when an unknown one was given.
const KNOWN: usize = 100;

/// Something that is wrong with an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Fault {
    /// The field to blame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// 1-based line or row of the file, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// 1-based column, where one is to blame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// The sheet of a workbook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sheet: Option<String>,
    /// What is wrong and what to do, in Chinese.
    pub message: String,
}

impl Fault {
    pub(super) fn of(problem: &crate::error::Problem) -> Self {
        // A sheet is named behind the file; the file's own name is the server's.
        let sheet = problem.file.rsplit_once('[').map(|(_, sheet)| sheet.trim_end_matches(']').to_owned());
        Self {
            field: problem.field.clone(),
            line: (problem.line > 0).then_some(problem.line),
            column: (problem.column > 0).then_some(problem.column),
            sheet,
            message: problem.message.clone(),
        }
    }
}

/// An RFC 9457 problem document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// Names the kind of problem; stable.
    #[serde(rename = "type")]
    pub uri: &'static str,
    /// The kind in words.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// This very problem in words.
    pub detail: String,
    /// The field to blame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// 1-based line of the body, when it is no JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// 1-based column of the body, when it is no JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// Names that exist, when an unknown one was given; at most 100.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub known: Vec<String>,
    /// The entry that has the question or keyword, when another one wants it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The entry's `ETag` now, when a change was meant for another state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// How many entries would be removed, when that has to be confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed: Option<usize>,
    /// Everything that is wrong with an entry; `field` and `detail` are those of the first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Fault>,
    /// Names this problem in the logs, when they say more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The id of the request, as in `x-request-id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What is left of a limit, told in headers.
    #[serde(skip)]
    #[schema(ignore)]
    pub(super) limited: Vec<(HeaderName, HeaderValue)>,
    #[serde(skip)]
    #[schema(ignore)]
    pub(super) kind: Kind,
}

impl Problem {
    /// A problem of a kind.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let (status, uri, title) = kind.table();
        Self {
            uri,
            title,
            status: status.as_u16(),
            detail: detail.into(),
            field: None,
            line: None,
            column: None,
            known: Vec::new(),
            owner: None,
            current: None,
            removed: None,
            problems: Vec::new(),
            trace_id: None,
            request_id: None,
            limited: Vec::new(),
            kind,
        }
    }

    /// The server of the records does not answer.
    pub(super) fn database_away() -> Self {
        Self::new(Kind::DatabaseAway, "the database cannot be reached at the moment; try again soon")
    }

    /// The same problem, blaming a field.
    #[must_use]
    pub fn of_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// The same problem with headers that say what is left of a limit.
    #[must_use]
    pub(super) fn limited(mut self, headers: Vec<(HeaderName, HeaderValue)>) -> Self {
        self.limited = headers;
        self
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

/// The one mapping from zhida's errors to what a client hears.
impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Question(e @ QuestionError::Blank) => {
                Self::new(Kind::BlankText, e.to_string()).of_field("text")
            }
            Error::Question(e @ QuestionError::NoneLeft) => Self::new(Kind::QuotaUsedUp, e.to_string()),
            Error::Question(e @ QuestionError::TooLong { .. }) => {
                Self::new(Kind::TextTooLong, e.to_string()).of_field("text")
            }
            Error::Question(e @ QuestionError::NotOffered { .. }) => {
                Self::new(Kind::InvalidField, e.to_string()).of_field("choice")
            }
            Error::Unknown { what: "knowledge base", ref known, .. } => {
                let known = known.iter().take(KNOWN).cloned().collect();
                Self { known, ..Self::new(Kind::UnknownKnowledgeBase, error.to_string()).of_field("kb") }
            }
            Error::ReadOnly { why, .. } => {
                let detail = format!(
                    "the data directory is read-only ({why}): this server answers, and changes are made where the data may be written"
                );
                Self::new(Kind::ReadOnly, detail)
            }
            error @ Error::Unreachable { .. } => {
                failed!(error, "a request failed");
                Self::database_away()
            }
            Error::NoEntry { .. } => Self::new(Kind::UnknownEntry, error.to_string()),
            Error::Stale { current, .. } => {
                let current = current.map(|revision| format!("\"{revision}\""));
                Self { current, ..Self::new(Kind::StaleEntry, error.to_string()) }
            }
            Error::Taken { ref owner, field, .. } => {
                let owner = Some(owner.clone());
                Self { owner, ..Self::new(Kind::QuestionTaken, error.to_string()).of_field(field) }
            }
            Error::Unconfirmed { removed, .. } => {
                let detail = format!(
                    "{error}; send `yes=true` if that is meant, or `mode=update` to leave the others alone"
                );
                Self { removed: Some(removed), ..Self::new(Kind::NeedsConfirmation, detail).of_field("yes") }
            }
            Error::Corpus(ref found) => {
                let faults = found.iter().map(Fault::of).collect();
                let detail = found.first().map_or_else(|| error.to_string(), |one| one.message.clone());
                let field = found.iter().find_map(|one| one.field.clone());
                Self { field, problems: faults, ..Self::new(Kind::InvalidEntry, detail) }
            }
            Error::Absent { .. } => Self::new(Kind::NotHere, error.to_string()),
            Error::Conflict(_) => Self::new(Kind::NotNow, error.to_string()),
            Error::Field { field, .. } => Self::new(Kind::InvalidField, error.to_string()).of_field(field),
            Error::Quota { .. } => Self::new(Kind::OverQuota, error.to_string()),
            error if error.disk() == Some(Disk::ReadOnly) => {
                tracing::error!(%error, "a request failed");
                let detail = "the disk of the server is read-only: nothing was stored, and changes are made where the data may be written";
                Self::new(Kind::ReadOnly, detail)
            }
            error if error.disk().is_some() => {
                let trace_id = uuid::Uuid::now_v7().simple().to_string();
                tracing::error!(trace_id, %error, "a request failed");
                let detail = if error.disk() == Some(Disk::Full) {
                    "the disk of the server is full, and this was not stored; send it again when there is room"
                } else {
                    "the disk of the server fails, and this was not stored; the server's log says more under this trace_id"
                };
                Self { trace_id: Some(trace_id), ..Self::new(Kind::NotStored, detail) }
            }
            // None of these is the client's doing, and their texts name paths.
            error @ (Error::Unknown { .. }
            | Error::Model { .. }
            | Error::Release { .. }
            | Error::Io { .. }
            | Error::Refused(_)
            | Error::Internal { .. }) => {
                let trace_id = uuid::Uuid::now_v7().simple().to_string();
                tracing::error!(trace_id, %error, "a request failed");
                let detail = "something went wrong inside the server; its log says more under this trace_id";
                Self { trace_id: Some(trace_id), ..Self::new(Kind::Internal, detail) }
            }
        }
    }
}

impl From<FilterFault> for Problem {
    fn from(fault: FilterFault) -> Self {
        let kind = match fault {
            FilterFault::UnknownKey(_) => Kind::UnknownField,
            FilterFault::Invalid { .. } => Kind::InvalidField,
        };
        Self::new(kind, fault.to_string()).of_field(fault.field())
    }
}

/// What every route may answer beside its own responses.
#[derive(utoipa::IntoResponses)]
#[expect(dead_code, reason = "describes responses; none is made of it")]
pub(super) enum Problems {
    /// Something is wrong with the request; `type` says what.
    #[response(status = "4XX", content_type = "application/problem+json")]
    OfRequest(Problem),
    /// Something is wrong with the server; `type` says what.
    #[response(status = "5XX", content_type = "application/problem+json")]
    OfServer(Problem),
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        self.request_id = super::outer::current_id();
        let mut response = (self.kind.status(), axum::Json(&self)).into_response();
        let headers = response.headers_mut();
        headers.extend(self.limited);
        if self.kind.status() == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"zhida\""));
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.kind == Kind::WrongContentEncoding {
            headers.insert(header::ACCEPT_ENCODING, ACCEPTED);
        }
        if self.kind.is_passing() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        // Whoever counts responses reads it there.
        response.extensions_mut().insert(self.kind);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_type_of_its_own() {
        let types: std::collections::BTreeSet<&str> = Kind::ALL.iter().map(|kind| kind.uri()).collect();
        assert_eq!(types.len(), Kind::ALL.len());
        assert!(Kind::ALL.iter().all(|kind| kind.uri() == format!("/problems/{}", kind.slug())));
    }

    #[test]
    fn internal_text_stays_inside() {
        let problem = Problem::from(Error::release("/srv/secret/12", "damaged"));
        assert_eq!(problem.status, 500);
        assert!(problem.trace_id.is_some());
        assert!(!serde_json::to_string(&problem).unwrap_or_default().contains("secret"));
        let full = std::io::Error::new(std::io::ErrorKind::StorageFull, "/srv/secret is full");
        let problem = Problem::from(Error::io("write", "/srv/secret/12", full));
        assert_eq!((problem.status, problem.uri), (507, "/problems/not-stored"));
        assert!(!serde_json::to_string(&problem).unwrap_or_default().contains("secret"));
        let read_only = std::io::Error::from(std::io::ErrorKind::ReadOnlyFilesystem);
        let problem = Problem::from(Error::io("write", "/srv/secret/12", read_only));
        assert_eq!((problem.status, problem.uri), (409, "/problems/read-only"));
    }
}
