//! What is the widget made of?
//!
//! A loader for the pages of others and a page of ours for the frame, both compiled
//! in and written as they go out: there is no build step. They go out packed; the
//! sizes are promised and tested.

use std::io::Write as _;
use std::sync::OnceLock;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Deserialize;
use utoipa_axum::routes;

use super::super::Server;
use super::super::address::{Path, Query};
use super::super::error::{Problem, Problems};
use super::super::routes::Routes;
use super::visit::site_of;
use crate::access::Right;

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// What the pages of others load.
const LOADER: &str = include_str!("loader.js");

const PAGE: &str = include_str!("panel.html");

const STYLE: &str = include_str!("panel.css");

/// One script in one scope: every further file would be a further request.
const PANEL: &str = concat!(
    "'use strict';\n(() => {\n",
    include_str!("words.js"),
    include_str!("link.js"),
    include_str!("view.js"),
    include_str!("forms.js"),
    include_str!("pictures.js"),
    include_str!("panel.js"),
    "})();\n"
);

pub(super) fn routes() -> Routes {
    Routes::new()
        .may(Right::Public, routes!(loader))
        .may(Right::Public, routes!(script))
        .may(Right::Public, routes!(style))
        .may(Right::Public, routes!(page))
}

/// A file, plain and packed.
struct File {
    kind: &'static str,
    plain: String,
    packed: Vec<u8>,
    /// Changes with the content.
    tag: String,
}

impl File {
    fn new(kind: &'static str, plain: String) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        // Into memory, where nothing fails; an empty one is not sent.
        let packed = encoder.write_all(plain.as_bytes()).and_then(|()| encoder.finish()).unwrap_or_default();
        let tag = format!("{:08x}", crc32fast::hash(plain.as_bytes()));
        Self { kind, plain, packed, tag }
    }

    /// The file as a client takes it; `kept` says how long.
    fn response(&self, headers: &HeaderMap, kept: &'static str) -> Response {
        let tag = format!("\"{}\"", self.tag);
        let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        let is_known = known.is_some_and(|known| known.split(',').any(|one| one.trim() == tag));
        let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
        let packs = !self.packed.is_empty()
            && accepted.is_some_and(|names| names.split(',').any(|name| is_gzip(name.trim())));
        let mut response = if is_known {
            axum::http::StatusCode::NOT_MODIFIED.into_response()
        } else if packs {
            self.packed.clone().into_response()
        } else {
            self.plain.clone().into_response()
        };
        let told = response.headers_mut();
        told.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        told.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        told.insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            told.insert(header::ETAG, tag);
        }
        if packs && !is_known {
            told.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        // Pages that isolate themselves load only what says that they may.
        told.insert(
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("cross-origin"),
        );
        response
    }
}

/// Whether an item of `Accept-Encoding` means gzip.
fn is_gzip(item: &str) -> bool {
    let (name, weight) = item.split_once(';').unwrap_or((item, ""));
    name.trim().eq_ignore_ascii_case("gzip") && weight.trim() != "q=0"
}

struct Files {
    loader: File,
    script: File,
    style: File,
    page: File,
}

fn files() -> &'static Files {
    static FILES: OnceLock<Files> = OnceLock::new();
    FILES.get_or_init(|| {
        let script = File::new(SCRIPT, PANEL.to_owned());
        let style = File::new("text/css; charset=utf-8", STYLE.to_owned());
        let page = PAGE.replace("SCRIPT_TAG", &script.tag).replace("STYLE_TAG", &style.tag);
        let page = File::new("text/html; charset=utf-8", page);
        Files { loader: File::new(SCRIPT, LOADER.to_owned()), script, style, page }
    })
}

/// The page names a file by its content: what has that name never changes.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// Load the widget: what pages of others include.
#[utoipa::path(
    get,
    operation_id = "widget_loader",
    path = "/widget.js",
    responses((status = 200, description = "The loader.", content_type = "text/javascript", body = String))
)]
async fn loader(headers: HeaderMap) -> Response {
    files().loader.response(&headers, "public, max-age=3600, stale-while-revalidate=86400")
}

/// Load the script of the widget's panel.
#[utoipa::path(
    get,
    operation_id = "widget_script",
    path = "/widget/panel.js",
    responses((status = 200, description = "The script.", content_type = "text/javascript", body = String))
)]
async fn script(headers: HeaderMap) -> Response {
    files().script.response(&headers, FOR_EVER)
}

/// Load the style of the widget's panel.
#[utoipa::path(
    get,
    operation_id = "widget_style",
    path = "/widget/panel.css",
    responses((status = 200, description = "The style.", content_type = "text/css", body = String))
)]
async fn style(headers: HeaderMap) -> Response {
    files().style.response(&headers, FOR_EVER)
}

/// The page around the panel.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Around {
    /// Whether it is cross-origin isolated: it shows only frames that load nothing from
    /// elsewhere without leave. Pictures of answers are links there.
    #[serde(default)]
    isolated: bool,
}

/// Show the widget's panel: the page that stands in the frame.
///
/// Only pages of the site's origins may show it (`frame-ancestors`).
#[utoipa::path(
    get,
    operation_id = "widget_panel",
    path = "/widget/{site}",
    params(("site" = String, Path, description = "The site, as the page names it."), Around),
    responses((status = 200, description = "The page.", content_type = "text/html", body = String), Problems)
)]
async fn page(
    State(server): State<Server>,
    Path(key): Path<String>,
    Query(around): Query<Around>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let site = site_of(&server, key).await?;
    let mut response = files().page.response(&headers, "no-cache");
    // Only our own files run, and talk only to us; pictures of answers come from where
    // their authors have put them.
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data: blob: https:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'self' {}",
        site.settings.origins.join(" ")
    );
    let told = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        told.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    told.insert(
        HeaderName::from_static("cross-origin-embedder-policy"),
        HeaderValue::from_static(if around.isolated { "require-corp" } else { "credentialless" }),
    );
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_as_small_as_promised() {
        let Files { loader, script, style, page } = files();
        let panel = script.packed.len() + style.packed.len() + page.packed.len();
        println!("loader {} bytes packed, panel {panel}", loader.packed.len());
        assert!((200..=4 * 1024).contains(&loader.packed.len()), "{}", loader.packed.len());
        assert!((1_000..=30 * 1024).contains(&panel), "{panel}");
        assert!(!page.plain.contains("_TAG"));
        assert!(is_gzip("gzip") && is_gzip("GZIP;q=0.5") && !is_gzip("gzip;q=0") && !is_gzip("br"));
    }
}
