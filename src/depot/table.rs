//! What if releases lie where the records are?
//!
//! Whoever keeps the records keeps objects beside them, as an [`ObjectTable`]. Here that
//! becomes an object store like any other, so that there is one way in, out and to collect.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use object_store::path::Path as Place;
use object_store::{
    Attributes, CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

use crate::error;

/// Objects in a database, each at a place. What is being written is none of them before it
/// is whole.
pub trait ObjectTable: Send + Sync {
    /// Adds bytes to what is being written under a name that nothing else has, from a
    /// position on.
    ///
    /// # Errors
    /// When the database cannot be reached or takes no more.
    fn add(&self, writing: &str, from: u64, bytes: &[u8]) -> error::Result<()>;

    /// Makes what was written under a name the object at a place, in the stead of the one
    /// that may be there.
    ///
    /// # Errors
    /// When something of so many bytes is missing, and as [`Self::add`].
    fn finish(&self, writing: &str, bytes: u64, place: &str) -> error::Result<()>;

    /// Removes what was written under a name and is no object.
    ///
    /// # Errors
    /// As [`Self::add`].
    fn abandon(&self, writing: &str) -> error::Result<()>;

    /// What is known of the object at a place; `None` when there is none.
    ///
    /// # Errors
    /// When the database cannot be reached.
    fn find(&self, place: &str) -> error::Result<Option<Found>>;

    /// Bytes of the object at a place; `None` when there is none.
    ///
    /// # Errors
    /// As [`Self::find`].
    fn read(&self, place: &str, range: Range<u64>) -> error::Result<Option<Vec<u8>>>;

    /// The objects at all places below one.
    ///
    /// # Errors
    /// As [`Self::find`].
    fn list(&self, below: &str) -> error::Result<Vec<Found>>;

    /// Removes the object at a place; whether there was one.
    ///
    /// # Errors
    /// As [`Self::add`].
    fn remove(&self, place: &str) -> error::Result<bool>;

    /// Removes what was written, is older than that, and has not become an object: how
    /// many there were, and their bytes. With `dry_run` nothing goes.
    ///
    /// # Errors
    /// As [`Self::add`].
    fn sweep(&self, grace: Duration, dry_run: bool) -> error::Result<(usize, u64)>;
}

/// An object in a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub place: String,
    /// How long it is.
    pub bytes: u64,
    /// Since when it is there, by the database's clock.
    pub age: Duration,
}

impl Found {
    /// The same for who goes by this machine's clock.
    fn meta(self) -> Result<ObjectMeta> {
        let at = SystemTime::now().checked_sub(self.age).unwrap_or(SystemTime::UNIX_EPOCH);
        Ok(ObjectMeta {
            location: Place::parse(&self.place)?,
            last_modified: at.into(),
            size: self.bytes,
            e_tag: None,
            version: None,
        })
    }
}

/// A table of objects as an object store. It blocks, as the sender of requests does.
#[derive(Clone)]
pub(super) struct Tabled(pub(super) Arc<dyn ObjectTable>);

/// What the errors of a table are called among those of object stores.
const STORE: &str = "database";

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> object_store::Error {
    object_store::Error::Generic { store: STORE, source: error.into() }
}

/// The error of a table that came through an object store; or the object store's own.
pub(super) fn own(error: object_store::Error) -> std::result::Result<error::Error, object_store::Error> {
    match error {
        object_store::Error::Generic { store, source } => match source.downcast() {
            Ok(own) => Ok(*own),
            Err(source) => Err(object_store::Error::Generic { store, source }),
        },
        other => Err(other),
    }
}

fn missing(place: &Place) -> object_store::Error {
    object_store::Error::NotFound { path: place.to_string(), source: "it is not in the database".into() }
}

fn unused(operation: &str) -> object_store::Error {
    object_store::Error::NotImplemented { operation: operation.to_owned(), implementer: STORE.to_owned() }
}

fn done() -> PutResult {
    PutResult { e_tag: None, version: None, extensions: Default::default() }
}

impl Tabled {
    fn upload(&self, place: &Place) -> Upload {
        let writing = uuid::Uuid::now_v7().simple().to_string();
        Upload { table: Arc::clone(&self.0), writing, place: place.to_string(), written: 0 }
    }
}

impl fmt::Debug for Tabled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tabled")
    }
}

impl fmt::Display for Tabled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STORE)
    }
}

#[async_trait::async_trait]
impl ObjectStore for Tabled {
    async fn put_opts(&self, place: &Place, payload: PutPayload, _: PutOptions) -> Result<PutResult> {
        let mut upload = self.upload(place);
        upload.put_part(payload).await?;
        upload.complete().await
    }

    async fn put_multipart_opts(
        &self,
        place: &Place,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(self.upload(place)))
    }

    async fn get_opts(&self, place: &Place, options: GetOptions) -> Result<GetResult> {
        let found = self.0.find(place.as_ref()).map_err(failed)?.ok_or_else(|| missing(place))?;
        let meta = found.meta()?;
        let range = match &options.range {
            Some(range) => range.as_range(meta.size).map_err(failed)?,
            None => 0..meta.size,
        };
        // Not before it is wanted: who only looks reads nothing.
        let (table, wanted, from) = (Arc::clone(&self.0), place.clone(), range.clone());
        let read = async move {
            let bytes = table.read(wanted.as_ref(), from).map_err(failed)?;
            bytes.map(Into::into).ok_or_else(|| missing(&wanted))
        };
        Ok(GetResult {
            payload: GetResultPayload::Stream(stream::once(read).boxed()),
            meta,
            range,
            attributes: Attributes::default(),
            extensions: Default::default(),
        })
    }

    fn delete_stream(&self, places: BoxStream<'static, Result<Place>>) -> BoxStream<'static, Result<Place>> {
        let table = Arc::clone(&self.0);
        let remove = move |place: Result<Place>| {
            let place = place?;
            if table.remove(place.as_ref()).map_err(failed)? { Ok(place) } else { Err(missing(&place)) }
        };
        places.map(remove).boxed()
    }

    fn list(&self, below: Option<&Place>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.0.list(below.map(Place::as_ref).unwrap_or_default()) {
            Ok(found) => stream::iter(found.into_iter().map(Found::meta)).boxed(),
            Err(error) => stream::iter([Err(failed(error))]).boxed(),
        }
    }

    async fn list_with_delimiter(&self, _: Option<&Place>) -> Result<ListResult> {
        Err(unused("list_with_delimiter"))
    }

    async fn copy_opts(&self, _: &Place, _: &Place, _: CopyOptions) -> Result<()> {
        Err(unused("copy"))
    }
}

/// Something that is being written.
struct Upload {
    table: Arc<dyn ObjectTable>,
    writing: String,
    place: String,
    /// How many bytes of it are on their way or there.
    written: u64,
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").field("place", &self.place).finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, part: PutPayload) -> UploadPart {
        let mut from = self.written;
        self.written += part.content_length() as u64;
        let (table, writing) = (Arc::clone(&self.table), self.writing.clone());
        async move {
            for bytes in part {
                table.add(&writing, from, &bytes).map_err(failed)?;
                from += bytes.len() as u64;
            }
            Ok(())
        }
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.table.finish(&self.writing, self.written, &self.place).map_err(failed)?;
        Ok(done())
    }

    async fn abort(&mut self) -> Result<()> {
        self.table.abandon(&self.writing).map_err(failed)
    }
}
