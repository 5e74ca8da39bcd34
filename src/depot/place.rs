//! What may a depot be: a shared folder, S3 and what speaks like it, a database, or memory?
//!
//! Another kind of place is one more [`Form`].

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, RetryConfig};

use super::sender::Connector;
use super::table::{ObjectTable, Tabled};
use crate::error::{Error, Result};

/// How often a request is repeated that a busy or broken server has not answered.
const RETRIES: usize = 3;
/// How long that may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A kind of place.
pub(super) enum Form {
    /// A folder that all nodes have mounted. Opened anew each time: it may come later
    /// than the node that wants it.
    Folder(PathBuf),
    /// A bucket, or memory.
    Objects(Arc<dyn ObjectStore>),
    /// Where the records are.
    Table(Arc<dyn ObjectTable>),
}

impl Form {
    pub(super) fn at(url: &str, settings: &[(String, String)]) -> Result<Self> {
        let refused = |why: &str| {
            Error::Refused(format!(
                "{url} is no place for releases: {why}; it is file:///FOLDER, s3://BUCKET/PREFIX, `database` or `none`"
            ))
        };
        if url == "memory:" {
            return Ok(Self::Objects(Arc::new(InMemory::new())));
        }
        if let Some(path) = url.strip_prefix("file://") {
            if !path.starts_with('/') {
                return Err(refused("the folder's name must begin with a slash"));
            }
            return Ok(Self::Folder(PathBuf::from(path)));
        }
        let Some(rest) = url.strip_prefix("s3://") else { return Err(refused("it has another scheme")) };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.contains('@') {
            return Err(refused("keys stand in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, never in it"));
        }
        if bucket.is_empty() || bucket.contains([':', '?', '#']) {
            return Err(refused("it names no bucket; the server stands in AWS_ENDPOINT_URL"));
        }
        let mut builder = AmazonS3Builder::new();
        let mut roots = None;
        for (name, value) in settings {
            if name == "AWS_CA_BUNDLE" {
                roots = Some(PathBuf::from(value));
            } else if let Ok(key) = name.to_ascii_lowercase().parse() {
                builder = builder.with_config(key, value);
            }
        }
        let retry = RetryConfig { max_retries: RETRIES, retry_timeout: PATIENCE, ..RetryConfig::default() };
        let bucket = builder
            .with_bucket_name(bucket)
            .with_retry(retry)
            .with_http_connector(Connector::new(roots.as_deref())?)
            .build()
            .map_err(|e| refused(&io_error(&e).to_string()))?;
        let prefix = prefix.trim_matches('/');
        if prefix.is_empty() {
            return Ok(Self::Objects(Arc::new(bucket)));
        }
        let prefix = object_store::path::Path::parse(prefix).map_err(|e| refused(&e.to_string()))?;
        Ok(Self::Objects(Arc::new(PrefixStore::new(bucket, prefix))))
    }

    /// What objects are read and written with.
    pub(super) fn open(&self, url: &str) -> Result<Arc<dyn ObjectStore>> {
        match self {
            Self::Objects(store) => Ok(Arc::clone(store)),
            Self::Table(table) => Ok(Arc::new(Tabled(Arc::clone(table)))),
            Self::Folder(path) => {
                let store = LocalFileSystem::new_with_prefix(path).map_err(|e| {
                    let error = io_error(&e);
                    let told = format!("{error} (the folder must be there: make it, or mount it)");
                    Error::io("open", url, std::io::Error::new(error.kind(), told))
                })?;
                Ok(Arc::new(store.with_fsync(true)))
            }
        }
    }
}

/// What went wrong, as the system or the server said it, on one line.
pub(super) fn io_error(error: &object_store::Error) -> std::io::Error {
    use std::io::ErrorKind;
    let mut kind = match error {
        object_store::Error::NotFound { .. } => ErrorKind::NotFound,
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            ErrorKind::PermissionDenied
        }
        _ => ErrorKind::Other,
    };
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            kind = io.kind();
        }
        let told = inner.to_string();
        if !text.contains(&told) {
            text = format!("{text}: {told}");
        }
        source = inner.source();
    }
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    std::io::Error::new(kind, line)
}

#[cfg(test)]
mod tests {
    use super::Form;

    #[test]
    fn what_is_no_place_is_refused_with_what_would_be_one() {
        for url in
            ["", "/srv/releases", "file://srv", "http://host/bucket", "s3:///prefix", "s3://host:9000/x"]
        {
            let error = Form::at(url, &[]).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(error.contains("s3://BUCKET/PREFIX"), "{url}: {error}");
        }
        let error =
            Form::at("s3://key:secret@bucket/x", &[]).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(error.contains("AWS_ACCESS_KEY_ID"), "{error}");
    }
}
