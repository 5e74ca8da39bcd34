//! How do requests get to an object store?
//!
//! With the client that everything else is fetched with. It blocks, and only the
//! thread waits that wants the release.

use std::path::Path;
use std::time::Duration;

use http_body_util::BodyExt;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use ureq::Agent;
use ureq::http::{Request, Response};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use crate::error::{Error, Result};

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(5);
/// Until a request is sent, until it is answered, and until the answer is here: a part
/// of a large file, or less.
const TRANSFER: Duration = Duration::from_secs(60);
/// No answer is longer: parts of files are shorter, and a page of a list is.
const ANSWER: u64 = 32 << 20;

/// Makes clients.
#[derive(Debug)]
pub(super) struct Connector(Agent);

impl Connector {
    /// Believes the roots that everybody believes, or those in a file (PEM).
    pub(super) fn new(roots: Option<&Path>) -> Result<Self> {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            // What is signed for one host is nothing to another.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_send_body(Some(TRANSFER))
            .timeout_recv_response(Some(TRANSFER))
            .timeout_recv_body(Some(TRANSFER))
            .user_agent(concat!("zhida/", env!("CARGO_PKG_VERSION")));
        if let Some(file) = roots {
            let bytes = std::fs::read(file).map_err(|e| Error::io("read", file, e))?;
            let found: Vec<_> = parse_pem(&bytes)
                .filter_map(|item| match item {
                    Ok(PemItem::Certificate(certificate)) => Some(certificate),
                    _ => None,
                })
                .collect();
            if found.is_empty() {
                let told = std::io::Error::other("it holds no certificate (PEM)");
                return Err(Error::io("use AWS_CA_BUNDLE", file, told));
            }
            let roots = RootCerts::new_with_certs(&found);
            config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
        }
        Ok(Self(config.build().into()))
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Sender(self.0.clone())))
    }
}

#[derive(Debug)]
struct Sender(Agent);

#[async_trait::async_trait]
impl HttpService for Sender {
    async fn call(&self, request: HttpRequest) -> std::result::Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let takes_body = parts.method == "PUT" || parts.method == "POST";
        let answer = if takes_body {
            let bytes = body.collect().await?.to_bytes();
            self.0.run(Request::from_parts(parts, bytes.to_vec()))
        } else {
            self.0.run(Request::from_parts(parts, ()))
        };
        let (parts, mut body) = answer.map_err(failed)?.into_parts();
        let bytes = body.with_config().limit(ANSWER).read_to_vec().map_err(failed)?;
        Ok(Response::from_parts(parts, bytes.into()))
    }
}

/// What is worth another attempt.
fn failed(error: ureq::Error) -> HttpError {
    use std::io::ErrorKind;
    let kind = match &error {
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => HttpErrorKind::Connect,
        ureq::Error::Timeout(_) => HttpErrorKind::Timeout,
        ureq::Error::Io(e) => match e.kind() {
            ErrorKind::ConnectionRefused => HttpErrorKind::Connect,
            ErrorKind::TimedOut => HttpErrorKind::Timeout,
            ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof => HttpErrorKind::Interrupted,
            _ => HttpErrorKind::Unknown,
        },
        ureq::Error::Protocol(_) => HttpErrorKind::Decode,
        _ => HttpErrorKind::Unknown,
    };
    HttpError::new(kind, error)
}
