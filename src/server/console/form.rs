//! What did somebody fill in?
//!
//! Forms work without scripts: fields come as a browser sends them, with the token
//! that only our own pages know.

use std::time::Duration;

use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};

use super::super::Server;
use super::super::request::FILE_ARRIVAL;
use super::inside::Ask;
use super::page::Page;

/// The largest form, in bytes: thousands of phrasings fit.
const BYTES: usize = 4 << 20;

/// The largest form of somebody who is not signed in, or not any more, in bytes.
const BYTES_OF_NOBODY: usize = 256 << 10;

/// How long a form may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(60);

/// Stands beside a request of somebody whom the API knows.
#[derive(Debug, Clone, Copy)]
pub(super) struct SignedIn;

/// The fields of a form, in their order.
#[derive(Debug, Clone, Default)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// The fields of a query or body as browsers write them.
    pub(super) fn of(encoded: &[u8]) -> Self {
        let fields = form_urlencoded::parse(encoded);
        // Browsers end lines as mail does.
        Self(fields.map(|(name, value)| (name.into_owned(), value.replace("\r\n", "\n"))).collect())
    }

    /// The first value of a field without blanks around it; empty when it is not there.
    pub(super) fn get(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// The first value as it came.
    pub(super) fn raw(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// All values of a field that may come more than once, without empty ones.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.0
            .iter()
            .filter(move |(known, _)| known == name)
            .map(|(_, value)| value.trim())
            .filter(|v| !v.is_empty())
    }

    /// Whether a box was ticked or a button pressed.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// The lines of a text that are not empty.
    pub(super) fn lines<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.raw(name).lines().map(str::trim).filter(|line| !line.is_empty())
    }

    /// All fields, for a page that gives back what was filled in.
    pub(super) fn fields(&self) -> &[(String, String)] {
        &self.0
    }

    /// Something that changes something, in the name of whoever filled in the form.
    pub(super) fn ask<'a>(&self, page: &'a Page, method: Method, address: &str) -> Ask<'a> {
        page.inside.ask(method, address).with("x-csrf-token", self.get("csrf"))
    }
}

impl FromRequest<Server> for Form {
    type Rejection = Response;

    async fn from_request(request: Request, _: &Server) -> Result<Self, Response> {
        let is_known = request.extensions().get::<SignedIn>().is_some();
        let most = if is_known { BYTES } else { BYTES_OF_NOBODY };
        let too_large = |_| {
            let told = format!("表单太大（最多 {} kB）", most >> 10);
            (StatusCode::PAYLOAD_TOO_LARGE, told).into_response()
        };
        let body = in_time(ARRIVAL, to_bytes(request.into_body(), most)).await?.map_err(too_large)?;
        Ok(Self::of(&body))
    }
}

/// A form with a file; the route says how large it may be.
#[derive(Debug, Default)]
pub(super) struct Upload {
    pub(super) form: Form,
    /// Its name and what is in it; `None` when none was chosen.
    pub(super) file: Option<(String, Bytes)>,
}

impl FromRequest<Server> for Upload {
    type Rejection = Response;

    async fn from_request(request: Request, server: &Server) -> Result<Self, Response> {
        in_time(FILE_ARRIVAL, Self::read(request, server)).await?
    }
}

/// What arrives, unless it takes too long.
async fn in_time<T>(patience: Duration, arriving: impl Future<Output = T>) -> Result<T, Response> {
    let late = |_| (StatusCode::REQUEST_TIMEOUT, "表单没有在规定时间内传完，请重试").into_response();
    tokio::time::timeout(patience, arriving).await.map_err(late)
}

impl Upload {
    async fn read(request: Request, server: &Server) -> Result<Self, Response> {
        let mut parts =
            Multipart::from_request(request, server).await.map_err(IntoResponse::into_response)?;
        let mut upload = Self::default();
        while let Some(part) = parts.next_field().await.map_err(IntoResponse::into_response)? {
            let name = part.name().unwrap_or_default().to_owned();
            match part.file_name().map(str::to_owned) {
                Some(file) => {
                    let bytes = part.bytes().await.map_err(IntoResponse::into_response)?;
                    if !file.is_empty() {
                        upload.file = Some((file, bytes));
                    }
                }
                None => {
                    let text = part.text().await.map_err(IntoResponse::into_response)?;
                    upload.form.0.push((name, text.replace("\r\n", "\n")));
                }
            }
        }
        Ok(upload)
    }
}
