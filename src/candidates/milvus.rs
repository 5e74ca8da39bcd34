//! How are rows kept and searched in Milvus?
//!
//! One collection for every number of coordinates, as many knowledge bases as there are
//! in it: Milvus bears hundreds of collections, and tenants may be thousands. The base is
//! the partition key, and every search is filtered by base and release. Both indexes
//! compare by inner product; nothing is left out of the sparse one.

use std::collections::HashMap;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use milvus::v2::prelude::{
    ClientV2, CollectionSchema, ConnectConfig, ConsistencyLevel, CreateCollectionRequest,
    CreateCollectionRequestBuilder, DataType, DeleteRequest, Error as Refusal, FieldData, FieldSchema,
    FlushRequest, HasCollectionRequest, Ids, IndexParam, IndexType, InsertRequest, ListCollectionsRequest,
    LoadCollectionRequest, MetricType, QueryRequest, RetryConfig, SearchRequest, SearchVectors,
    TelemetryConfig, UpsertRequest,
};
use tokio::sync::OnceCell;

use super::{Address, Fault, Index, Name, Row};
use crate::encoder::Embedding;
use crate::error::{Error, Result};

/// Whenever rows become others than they were, this does: then they are put again.
const COLLECTION: &str = "zhida_1_";

/// The field of a row's name, which ends in its place: releases share a collection.
const ROW: &str = "row";
const BASE: &str = "base";
const RELEASE: &str = "release";
const ENTRY: &str = "entry";
const WORDS: &str = "words";
const MEANING: &str = "meaning";

/// How long connecting may take.
const CONNECTING: Duration = Duration::from_secs(3);

/// How long anything may take that no question waits for.
const WORK: Duration = Duration::from_secs(60);

/// How long searches may miss what was put: they are content with what Milvus knew five
/// seconds ago, for waiting for all of it would take longer than a question may.
const SETTLES: Duration = Duration::from_secs(6);

/// Neighbours of a vector in the graph, and how many are looked at for them.
const LINKS: [(&str, &str); 2] = [("M", "24"), ("efConstruction", "300")];

/// Vectors that a search keeps in sight, as [`crate::retrieve::semantic`] does.
const IN_SIGHT: usize = 600;

/// A Milvus, and a connection to it that is made when it is needed first.
pub(super) struct Milvus {
    config: ConnectConfig,
    client: OnceCell<ClientV2>,
    /// `None` while it is being dropped.
    runtime: Option<tokio::runtime::Runtime>,
}

impl Milvus {
    pub(super) fn at(address: &Address, token: Option<&str>) -> Result<Self> {
        // Whether something is tried again is ours to say.
        let mut config = ConnectConfig::new()
            .uri(address.url())
            .database(address.database())
            .connect_timeout(CONNECTING)
            .retry(RetryConfig::new().max_attempts(1))
            .telemetry(TelemetryConfig::new().enabled(false));
        if let Some(token) = token {
            config = config.token(token);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("milvus")
            .enable_all()
            .build()
            .map_err(|e| Error::internal("candidates", e))?;
        Ok(Self { config, client: OnceCell::new(), runtime: Some(runtime) })
    }

    /// Waits for a call, and gives it up when it takes too long. Whoever waits may be
    /// anywhere but on an async thread.
    fn wait<T: Send + 'static>(
        &self,
        patience: Duration,
        call: impl Future<Output = std::result::Result<T, Refusal>> + Send + 'static,
    ) -> std::result::Result<T, Fault> {
        let Some(runtime) = &self.runtime else { return Err(Fault::Slow) };
        let (told, heard) = sync_channel(1);
        runtime.spawn(async move {
            // Nobody waits any more: that is no matter.
            let _ = told.send(tokio::time::timeout(patience, call).await);
        });
        match heard.recv_timeout(patience + Duration::from_millis(5)) {
            Ok(Ok(Ok(value))) => Ok(value),
            Ok(Ok(Err(refusal))) => Err(fault(&refusal)),
            Ok(Err(_)) | Err(RecvTimeoutError::Timeout) => Err(Fault::Slow),
            Err(RecvTimeoutError::Disconnected) => Err(Fault::Gone("the call broke off".to_owned())),
        }
    }

    /// The connection, which questions do not wait for.
    fn connected(&self) -> std::result::Result<ClientV2, Fault> {
        self.client.get().cloned().ok_or_else(|| Fault::Gone("not connected yet".to_owned()))
    }

    fn connect(&self) -> std::result::Result<ClientV2, Fault> {
        if let Some(client) = self.client.get() {
            return Ok(client.clone());
        }
        let config = self.config.clone();
        let client = self.wait(CONNECTING, async move { ClientV2::new(&config).await });
        let client = client.map_err(|fault| match fault {
            Fault::Slow => Fault::Gone("no connection in time".to_owned()),
            other => other,
        })?;
        // Who came first stays.
        let _ = self.client.set(client);
        self.connected()
    }

    fn search(
        &self,
        search: std::result::Result<SearchRequest, Refusal>,
        patience: Duration,
    ) -> std::result::Result<Vec<u32>, Fault> {
        let client = self.connected()?;
        let search = search.map_err(|refusal| fault(&refusal))?;
        let found = self.wait(patience, async move { client.search(search).await })?;
        let hits = found.results().get_results().first().map(|hits| hits.get_ids().clone());
        Ok(match hits {
            Some(Ids::VarChar(rows)) => rows.iter().filter_map(|row| place(row)).collect(),
            _ => Vec::new(),
        })
    }
}

impl Drop for Milvus {
    fn drop(&mut self) {
        // The last one who holds it may be on an async thread, which must not wait.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Index for Milvus {
    fn is_there(&self, patience: Duration) -> std::result::Result<(), Fault> {
        let client = self.connect()?;
        let asked = HasCollectionRequest::builder().collection_name(collection(0)).build();
        let asked = asked.map_err(|refusal| fault(&refusal))?;
        self.wait(patience, async move { client.has_collection(asked).await.map(|_| ()) })
    }

    fn prepare(&self, width: usize) -> std::result::Result<(), Fault> {
        let client = self.connect()?;
        self.wait(WORK, async move {
            let name = collection(width);
            let there = HasCollectionRequest::builder().collection_name(&name).build()?;
            if !client.has_collection(there.clone()).await?.exists()
                && let Err(refusal) = client.create_collection(schema(width).build()?).await
                // Another node may have been quicker.
                && !client.has_collection(there).await?.exists()
            {
                return Err(refusal);
            }
            let load = LoadCollectionRequest::builder().collection_name(name).sync(true);
            client.load_collection(load.timeout_ms(WORK.as_millis() as i64).build()?).await
        })
    }

    fn count(&self, release: &Name) -> std::result::Result<usize, Fault> {
        let client = self.connect()?;
        let (name, filter) = (collection(release.width), filter(release));
        self.wait(WORK, async move {
            let count = QueryRequest::builder()
                .collection_name(name)
                .filter(filter)
                .output_fields(["count(*)"])
                .consistency_level(ConsistencyLevel::Strong);
            let told = client.query(count.build()?).await?;
            let Some(row) = told.results().rows()?.next() else { return Ok(0) };
            let count = row.get_i64("count(*)")?;
            Ok(usize::try_from(count).unwrap_or_default())
        })
    }

    fn put(&self, release: &Name, rows: Vec<Row>) -> std::result::Result<(), Fault> {
        let client = self.connect()?;
        let name = collection(release.width);
        let columns = columns(release, rows);
        self.wait(WORK, async move {
            let rows = InsertRequest::builder().collection_name(name).columns(columns).build()?;
            client.upsert(UpsertRequest::builder().insert(rows).build()?).await.map(|_| ())
        })
    }

    fn complete(&self, release: &Name) -> std::result::Result<(), Fault> {
        let client = self.connect()?;
        let name = collection(release.width);
        // So that what is searched next is indexed soon.
        self.wait(WORK, async move {
            let flush = FlushRequest::builder().collection_names([name]);
            client.flush(flush.wait_flushed_ms(WORK.as_millis() as i64).build()?).await.map(|_| ())
        })
    }

    fn settles(&self) -> Duration {
        SETTLES
    }

    fn sweep(&self, base: &str, but: &[String]) -> std::result::Result<(), Fault> {
        let client = self.connect()?;
        let filter = if but.is_empty() {
            format!("{BASE} == {}", quoted(base))
        } else {
            let but: Vec<String> = but.iter().map(|release| quoted(release)).collect();
            format!("{BASE} == {} and {RELEASE} not in [{}]", quoted(base), but.join(", "))
        };
        self.wait(WORK, async move {
            let all = client.list_collections(ListCollectionsRequest::builder().build()?).await?;
            for name in all.collection_names().iter().filter(|name| name.starts_with(COLLECTION)) {
                let rows = DeleteRequest::builder().collection_name(name).filter(&filter);
                client.delete(rows.build()?).await?;
            }
            Ok(())
        })
    }

    fn worded(
        &self,
        release: &Name,
        dimensions: &[u32],
        limit: usize,
        patience: Duration,
    ) -> std::result::Result<Vec<u32>, Fault> {
        let question = dimensions.iter().map(|dimension| (*dimension, 1.0)).collect();
        let search = SearchRequest::builder()
            .collection_name(collection(release.width))
            .vector_field(WORDS)
            .vectors(SearchVectors::SparseFloat(vec![question]))
            .metric_type(MetricType::Ip)
            .filter(filter(release))
            .limit(limit as i64)
            .extra_params(HashMap::from([("drop_ratio_search".to_owned(), "0".to_owned())]))
            .consistency_level(ConsistencyLevel::Bounded);
        self.search(search.build(), patience)
    }

    fn meant(
        &self,
        release: &Name,
        vector: &Embedding,
        limit: usize,
        patience: Duration,
    ) -> std::result::Result<Vec<u32>, Fault> {
        let in_sight = IN_SIGHT.max(2 * limit);
        let search = SearchRequest::builder()
            .collection_name(collection(release.width))
            .vector_field(MEANING)
            .vectors(SearchVectors::Float(vec![vector.as_slice().to_vec()]))
            .metric_type(MetricType::Ip)
            .filter(filter(release))
            .limit(limit as i64)
            .group_by_field(ENTRY)
            .extra_params(HashMap::from([("ef".to_owned(), in_sight.to_string())]))
            .consistency_level(ConsistencyLevel::Bounded);
        self.search(search.build(), patience)
    }
}

/// What a refusal says of the engine.
fn fault(refusal: &Refusal) -> Fault {
    match refusal {
        Refusal::RetryExhausted { source, .. } => fault(source),
        Refusal::Timeout(_) => Fault::Slow,
        Refusal::Grpc(status) => {
            let told = format!("{:?}: {}", status.code(), status.message());
            match told.split(':').next() {
                Some("DeadlineExceeded" | "Cancelled") => Fault::Slow,
                Some("Unavailable" | "Unknown") => Fault::Gone(told),
                _ => Fault::Refused(told),
            }
        }
        other => Fault::Refused(other.to_string()),
    }
}

/// The collection of vectors of so many coordinates.
fn collection(width: usize) -> String {
    if width == 0 { format!("{COLLECTION}words") } else { format!("{COLLECTION}{width}") }
}

fn schema(width: usize) -> CreateCollectionRequestBuilder {
    let text =
        |name: &str, length| FieldSchema::new().name(name).data_type(DataType::VarChar).max_length(length);
    let mut fields = CollectionSchema::new()
        .add_field(text(ROW, 64).primary_key(true))
        .add_field(text(BASE, 1_024).partition_key(true))
        .add_field(text(RELEASE, 64))
        .add_field(FieldSchema::new().name(ENTRY).data_type(DataType::Int64))
        .add_field(FieldSchema::new().name(WORDS).data_type(DataType::SparseFloatVector));
    let index =
        |field: &str, kind| IndexParam::new().field_name(field).index_type(kind).metric_type(MetricType::Ip);
    let mut request = CreateCollectionRequest::builder()
        .collection_name(collection(width))
        .description("phrasings of zhida's releases")
        .index_param(index(WORDS, IndexType::SparseInvertedIndex));
    if width > 0 {
        let meaning = FieldSchema::new().name(MEANING).data_type(DataType::FloatVector);
        fields = fields.add_field(meaning.dimension(width as u32));
        let links = LINKS.map(|(name, value)| (name.to_owned(), value.to_owned()));
        request = request.index_param(index(MEANING, IndexType::Hnsw).extra_params(HashMap::from(links)));
    }
    request.schema(fields)
}

fn columns(release: &Name, rows: Vec<Row>) -> Vec<FieldData> {
    let of_all = |text: &str| vec![text.to_owned(); rows.len()];
    let mut columns = vec![
        FieldData::varchar(
            ROW,
            rows.iter().map(|row| format!("{}:{}", release.release, row.place)).collect(),
        ),
        FieldData::varchar(BASE, of_all(&release.base)),
        FieldData::varchar(RELEASE, of_all(&release.release)),
        FieldData::int64(ENTRY, rows.iter().map(|row| i64::from(row.entry)).collect()),
    ];
    if release.width > 0 {
        let meaning = |row: &Row| row.meaning.as_ref().map(|one| one.as_slice().to_vec()).unwrap_or_default();
        columns.push(FieldData::float_vector(MEANING, rows.iter().map(meaning).collect()));
    }
    let words = rows.into_iter().map(|row| row.words.into_iter().collect());
    columns.push(FieldData::sparse_float_vector(WORDS, words.collect()));
    columns
}

/// The place that a row's name ends in.
fn place(row: &str) -> Option<u32> {
    row.rsplit_once(':')?.1.parse().ok()
}

fn filter(release: &Name) -> String {
    format!("{BASE} == {} and {RELEASE} == {}", quoted(&release.base), quoted(&release.release))
}

/// A text in a filter.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_says_no_more_than_it_should() {
        let release =
            Name { base: "acme/a\" or 1 == 1 or \"".to_owned(), release: "3-00ff".to_owned(), width: 4 };
        assert_eq!(filter(&release), r#"base == "acme/a\" or 1 == 1 or \"" and release == "3-00ff""#);
        assert_eq!(place("3-00ff:17"), Some(17));
    }
}
