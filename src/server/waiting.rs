//! What does a server say before the server of its records is there?
//!
//! That it lives, is not ready, and for what it waits: whoever watches over it would take
//! silence for death, and start it anew again and again.

use std::future::Future;
use std::net;
use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::connections::Connections;
use super::error::Problem;
use super::tls::{Certificate, Encrypted};
use super::{api, readiness};
use crate::error::{Error, Result};

/// Does something, and says on a listener meanwhile that the server waits for its database.
/// Whoever connects while that ends is taken by whoever listens next.
///
/// # Errors
/// When nothing can be said there.
pub async fn meanwhile<T>(
    listener: &net::TcpListener,
    certificate: Option<&Arc<Certificate>>,
    work: impl Future<Output = T>,
) -> Result<T> {
    let failed = |e: std::io::Error| Error::internal("server", e);
    let listener = listener.try_clone().and_then(TcpListener::from_std).map_err(failed)?;
    let routes = Router::new()
        .route("/healthz", get(api::healthz))
        .route("/readyz", get(readiness::waiting))
        .fallback(async || Problem::database_away())
        // Nobody keeps a connection to what ends soon.
        .layer(axum::middleware::map_response(async |mut response: Response| {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            response
        }));
    let (done, ended) = oneshot::channel::<()>();
    let stop = async { drop(ended.await) };
    let connections = Arc::new(Connections::new());
    let saying = match certificate {
        None => tokio::spawn(async move { connections.serve(listener, routes, stop).await }),
        Some(certificate) => {
            let listener = Encrypted::new(listener, Arc::clone(certificate))?;
            tokio::spawn(async move { connections.serve(listener, routes, stop).await })
        }
    };
    let outcome = work.await;
    drop(done);
    // A client that takes its time is not waited for.
    let _ = tokio::time::timeout(std::time::Duration::from_secs(1), saying).await;
    Ok(outcome)
}
