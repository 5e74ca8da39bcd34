//! How does a model get here from the Hugging Face hub?
//!
//! Files come through hf-hub into its cache, which resumes what was cut off.
//! From there they go into a folder of their own below `DATA/models`, made
//! beside its place, opened once to prove that it works, and renamed.

use std::cell::Cell;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo, Metadata};
use hf_hub::{Cache, Repo, RepoType};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::folder::hex;
use super::{Config, Encoder, Files, Manifest};
use crate::error::{Error, Result};

/// The hub itself, when no mirror is named.
pub const ENDPOINT: &str = "https://huggingface.co";

/// How long the hub may take to say what a file is.
const PATIENCE: Duration = Duration::from_secs(30);

/// What no model can do without, the small ones first: a model that zhida
/// cannot run is refused before its weights are fetched.
const REQUIRED: [&str; 3] = ["config.json", "tokenizer.json", "model.safetensors"];

/// What a model may have.
const OPTIONAL: [&str; 3] = ["1_Pooling/config.json", "sentence_bert_config.json", "manifest.json"];

/// A hub or a mirror of it, the cache of its files, and who asks.
#[derive(Clone)]
pub struct Hub {
    endpoint: String,
    cache: Cache,
    token: Option<String>,
}

/// The name of a model on the hub: `ORG/NAME`, or `NAME` for a few old ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelName(String);

/// Where a model came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The hub or mirror.
    pub endpoint: String,
    /// The model's name there.
    pub repository: String,
    /// The branch, tag or commit that was asked for.
    pub revision: String,
    /// The commit that it was.
    pub commit: String,
}

impl ModelName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`Error::Refused`] when it cannot be one: the hub allows letters,
    /// digits, `-`, `_` and `.`, in one or two parts.
    pub fn parse(text: &str) -> Result<Self> {
        let good = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && !part.contains("--")
                && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        let parts: Vec<&str> = text.split('/').collect();
        if parts.len() <= 2 && parts.iter().all(|part| good(part)) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::Refused(format!(
                "{text:?} is no name of a model on the hub; it looks like ORG/NAME, such as BAAI/bge-small-zh-v1.5"
            )))
        }
    }

    /// Where the model lies below the folder of all models, once fetched.
    pub fn folder(&self, models: &Path) -> PathBuf {
        models.join(self.0.replace('/', "--"))
    }
}

impl std::fmt::Display for ModelName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The folders of all models that were fetched, in order.
pub fn fetched(models: &Path) -> Result<Vec<PathBuf>> {
    let items = match fs::read_dir(models) {
        Ok(items) => items,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io("read", models, e)),
    };
    let mut folders = Vec::new();
    for item in items {
        let item = item.map_err(|e| Error::io("read", models, e))?;
        // A name with a dot in front is a fetch at work.
        if item.path().is_dir() && !item.file_name().to_string_lossy().starts_with('.') {
            folders.push(item.path());
        }
    }
    folders.sort_unstable();
    Ok(folders)
}

/// The folders among [`fetched`] whose model has this name.
pub fn named(models: &Path, id: &str) -> Result<Vec<PathBuf>> {
    let mut folders = fetched(models)?;
    folders.retain(|folder| Files::peek(folder).is_some_and(|name| name == id));
    Ok(folders)
}

/// Tells zhida's listener what hf-hub reports.
struct Report<'a> {
    file: &'static str,
    total: u64,
    done: u64,
    progress: &'a dyn Fn(&'static str, u64, u64),
}

impl hf_hub::api::Progress for Report<'_> {
    fn init(&mut self, size: usize, _: &str) {
        self.total = size as u64;
        self.done = 0;
    }

    fn update(&mut self, size: usize) {
        self.done += size as u64;
        (self.progress)(self.file, self.done, self.total);
    }

    fn finish(&mut self) {}
}

impl Hub {
    /// The hub at `endpoint`, with the cache and the token file of the
    /// Hugging Face tools in `home` (`~/.cache/huggingface` if `None`). A
    /// given `token` goes before the one in the file.
    pub fn new(endpoint: &str, home: Option<&Path>, token: Option<String>) -> Self {
        let cache = home.map_or_else(Cache::default, |home| Cache::new(home.join("hub")));
        let token = token.filter(|token| !token.trim().is_empty()).or_else(|| cache.token());
        Self { endpoint: endpoint.trim_end_matches('/').to_owned(), cache, token }
    }

    /// Fetches a model into its folder below `models` and gives the folder
    /// back. `progress` hears the file at work, the bytes that are here, and
    /// the bytes of the whole file.
    ///
    /// # Errors
    /// [`Error::Refused`] when the hub cannot be reached, does not know the
    /// name or the revision, or does not let us in; [`Error::Model`] when a
    /// file is missing or damaged or zhida cannot run the model;
    /// [`Error::Io`] when it cannot be written. A model that was there
    /// before stays as it was.
    pub fn pull(
        &self,
        name: &ModelName,
        revision: &str,
        models: &Path,
        progress: &dyn Fn(&'static str, u64, u64),
    ) -> Result<PathBuf> {
        if revision.is_empty() || revision.contains("..") || revision.contains(|c: char| c.is_whitespace()) {
            return Err(Error::Refused(format!(
                "{revision:?} is no revision; give a branch, a tag or a commit"
            )));
        }
        let api = ApiBuilder::from_cache(self.cache.clone())
            .with_endpoint(self.endpoint.clone())
            .with_token(self.token.clone().map(|token| token.trim().to_owned()))
            .with_progress(false)
            .build()
            .map_err(|e| Error::Refused(format!("cannot ask {}: {e}", self.endpoint)))?;
        let repo = Repo::with_revision(name.0.clone(), RepoType::Model, revision.to_owned());
        let fetch = Fetch { hub: self, api: &api, repo, name, progress, commit: Cell::new(None) };

        let mut files: Vec<(&str, PathBuf)> = Vec::new();
        for file in REQUIRED {
            let Some(path) = fetch.file(file)? else { return Err(fetch.missing(file)) };
            if file == "config.json" {
                let config = fs::read(&path).map_err(|e| Error::io("read", &path, e))?;
                Config::check_kind(&config).map_err(|message| Error::model(&name.0, message))?;
            }
            files.push((file, path));
        }
        for file in OPTIONAL {
            if let Some(path) = fetch.file(file)? {
                files.push((file, path));
            }
        }
        let source = Source {
            endpoint: self.endpoint.clone(),
            repository: name.0.clone(),
            revision: revision.to_owned(),
            commit: fetch.commit.take().unwrap_or_default(),
        };
        install(&files, source, name, models)
    }
}

/// One model on its way.
struct Fetch<'a> {
    hub: &'a Hub,
    api: &'a Api,
    repo: Repo,
    name: &'a ModelName,
    progress: &'a dyn Fn(&'static str, u64, u64),
    /// The commit of the first file; all others must be of the same.
    commit: Cell<Option<String>>,
}

impl Fetch<'_> {
    fn remote(&self) -> ApiRepo {
        self.api.repo(self.repo.clone())
    }

    /// The place of a file in the cache, whole and checked; `None` if the
    /// model has no such file.
    fn file(&self, file: &'static str) -> Result<Option<PathBuf>> {
        let metadata = match self.metadata(file)? {
            Ok(metadata) => metadata,
            Err(e) if status(&e) == Some(404) => return Ok(None),
            Err(e) => return Err(self.explain(file, &e)),
        };
        let commit = metadata.commit_hash().to_owned();
        match self.commit.take() {
            Some(first) if first != commit => {
                return Err(Error::Refused(format!(
                    "{} changed on the hub while it was fetched (commit {first}, then {commit}); run the command again",
                    self.name
                )));
            }
            _ => self.commit.set(Some(commit)),
        }
        // The digest becomes a file name in the cache.
        let etag = metadata.etag();
        if etag.is_empty() || etag.starts_with('/') || etag.contains("..") {
            return Err(Error::Refused(format!(
                "{} names {file} with the strange ETag {etag:?}",
                self.hub.endpoint
            )));
        }
        let blob = self.hub.cache.repo(self.repo.clone()).blob_path(etag);
        if self.check(file, &blob, &metadata).is_err() {
            self.download(file, &blob, &metadata)?;
            self.check(file, &blob, &metadata).inspect_err(|_| {
                // What is damaged must not be found in the cache again.
                let _ = fs::remove_file(&blob);
            })?;
        }
        Ok(Some(blob))
    }

    /// What the hub says of a file. hf-hub sets no time limit, so the request
    /// runs on a thread that is left behind when the hub does not answer.
    fn metadata(&self, file: &str) -> Result<std::result::Result<Metadata, ApiError>> {
        let (api, url) = (self.api.clone(), self.remote().url(file));
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let _ = sender.send(api.metadata(&url));
        });
        receiver
            .recv_timeout(PATIENCE)
            .map_err(|_| self.unreachable(&format!("no answer within {} seconds", PATIENCE.as_secs())))
    }

    fn download(&self, file: &'static str, blob: &Path, metadata: &Metadata) -> Result<()> {
        let part = blob.with_extension("part");
        let here = || fs::metadata(&part).map_or(0, |m| m.len());
        if here() >= metadata.size() as u64 {
            // hf-hub would ask for the bytes after the end and fail for ever.
            let _ = fs::remove_file(&part);
        }
        // hf-hub does not replace a link whose file is gone.
        let links = self.hub.cache.repo(self.repo.clone()).pointer_path(metadata.commit_hash());
        let _ = fs::remove_file(links.join(file));
        let mut before = here();
        loop {
            let report = Report { file, total: 0, done: 0, progress: self.progress };
            match self.remote().download_with_progress(file, report) {
                Ok(_) => return Ok(()),
                // As long as every try brings more of the file, try again:
                // hf-hub goes on where the last one stopped.
                Err(_) if here() > before && here() < metadata.size() as u64 => before = here(),
                Err(e) if status(&e).is_none() && here() > 0 => {
                    return Err(self.broken_off(file, &e.to_string()));
                }
                Err(e) => return Err(self.explain(file, &e)),
            }
        }
    }

    /// Compares a file with what the hub says of it. The ETag of a large file
    /// is its SHA-256; that of a small one is git's, which zhida cannot check.
    fn check(&self, file: &str, path: &Path, metadata: &Metadata) -> Result<()> {
        let mut input = fs::File::open(path).map_err(|e| Error::io("open", path, e))?;
        let mut hasher = Sha256::new();
        let mut size = 0;
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = input.read(&mut buffer).map_err(|e| Error::io("read", path, e))?;
            if read == 0 {
                break;
            }
            size += read;
            hasher.update(&buffer[..read]);
        }
        let damaged = |what: String| {
            Err(Error::model(
                &self.name.0,
                format!(
                    "{file} arrived damaged and was deleted: {what}; run the command again, or try another mirror"
                ),
            ))
        };
        if size != metadata.size() {
            return damaged(format!("it has {size} bytes, the hub says {}", metadata.size()));
        }
        let etag = metadata.etag();
        if etag.len() == 64 && etag.chars().all(|c| c.is_ascii_hexdigit()) {
            let actual = hex(&hasher.finalize());
            if !actual.eq_ignore_ascii_case(etag) {
                return damaged(format!("its SHA-256 is {actual}, the hub says {etag}"));
            }
        }
        Ok(())
    }

    /// Why a required file is not there: it is asked of the hub only now,
    /// because simple mirrors serve nothing but files.
    fn missing(&self, file: &str) -> Error {
        let revision = self.repo.revision();
        let Ok(info) = self.remote().info() else {
            return Error::Refused(format!(
                "{} knows no {} with a {file} at revision {revision} (HTTP 404); check the name and the revision",
                self.hub.endpoint, self.name
            ));
        };
        let names: Vec<&str> = info.siblings.iter().map(|sibling| sibling.rfilename.as_str()).collect();
        let hint = if file == "model.safetensors" {
            "zhida reads one model.safetensors; convert other weights once in Python: `AutoModel.from_pretrained(NAME).save_pretrained(DIR)`, then give the folder with --model DIR"
        } else if file == "tokenizer.json" {
            "convert it once in Python: `AutoTokenizer.from_pretrained(NAME).save_pretrained(DIR)`, then give the folder with --model DIR"
        } else {
            "it is no model that zhida can run"
        };
        Error::model(
            &self.name.0,
            format!("{file} is missing on the hub ({hint}); the hub has: {}", names.join(", ")),
        )
    }

    fn explain(&self, file: &str, error: &ApiError) -> Error {
        let (name, endpoint) = (self.name, &self.hub.endpoint);
        match (status(error), error) {
            (Some(401), _) => Error::Refused(format!(
                "{endpoint} does not let us read {name} (HTTP 401): the name is wrong, or the model is private or gated{}",
                self.token_hint()
            )),
            (Some(403), _) => Error::Refused(format!(
                "{endpoint} does not let us read {name} (HTTP 403): accept the model's terms on its page{}",
                self.token_hint()
            )),
            (Some(404), _) => self.missing(file),
            (Some(code), _) => Error::Refused(format!(
                "{endpoint} answers HTTP {code} for {file} of {name}; try again later, or another mirror"
            )),
            (None, ApiError::IoError(e)) if cut_off(e) => self.broken_off(file, &e.to_string()),
            (None, ApiError::IoError(e)) => Error::Refused(format!(
                "cannot write {file} of {name} to the cache {}: {e}",
                self.hub.cache.path().display()
            )),
            (None, ApiError::RequestError(e)) => self.unreachable(&e.to_string()),
            (None, ApiError::LockAcquisition(path)) => Error::Refused(format!(
                "another process is fetching {file} of {name} (it holds {}); wait for it",
                path.display()
            )),
            (None, e) => Error::Refused(format!(
                "{endpoint} does not speak like the hub ({file} of {name}: {e}); is HF_ENDPOINT right?"
            )),
        }
    }

    fn token_hint(&self) -> String {
        let file = self.hub.cache.token_path();
        match self.hub.token {
            None => format!("; set HF_TOKEN, or log in with `hf auth login` (it writes {})", file.display()),
            Some(_) => "; a token was sent, but it does not open this model".to_owned(),
        }
    }

    fn broken_off(&self, file: &str, cause: &str) -> Error {
        Error::Refused(format!(
            "the connection to {} broke off in the middle of {file} of {}: {cause}; run the command again, it goes on where it stopped",
            self.hub.endpoint, self.name
        ))
    }

    fn unreachable(&self, cause: &str) -> Error {
        Error::Refused(format!(
            "cannot reach {}: {cause}\n  Is there a network? A mirror may help: HF_ENDPOINT=https://hf-mirror.com zhida model pull {}\n  Without a network, copy a folder with config.json, tokenizer.json and model.safetensors here by hand and give it with --model DIR",
            self.hub.endpoint, self.name
        ))
    }
}

/// The HTTP status that an error is about.
fn status(error: &ApiError) -> Option<u16> {
    match error {
        ApiError::RequestError(e) => match **e {
            ureq::Error::StatusCode(code) => Some(code),
            _ => None,
        },
        _ => None,
    }
}

/// Whether an error came from the other side of a connection, not from the disk.
fn cut_off(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionRefused
            | ErrorKind::BrokenPipe
            | ErrorKind::TimedOut
    ) || error.get_ref().is_some_and(|inner| inner.is::<ureq::Error>())
}

/// Puts files from the cache into the folder of a model, in one step.
fn install(files: &[(&str, PathBuf)], source: Source, name: &ModelName, models: &Path) -> Result<PathBuf> {
    fs::create_dir_all(models).map_err(|e| Error::io("create", models, e))?;
    let beside = tempfile::Builder::new()
        .prefix(".pull-")
        .tempdir_in(models)
        .map_err(|e| Error::io("create a folder in", models, e))?;
    // A folder in the temporary one: that one is readable for us alone.
    let folder = beside.path().join("new");
    for (file, from) in files {
        // What others call manifest.json may be anything.
        if *file == "manifest.json"
            && !fs::read(from).is_ok_and(|b| serde_json::from_slice::<Manifest>(&b).is_ok())
        {
            continue;
        }
        let to = folder.join(file);
        let parent = to.parent().unwrap_or(&folder);
        fs::create_dir_all(parent).map_err(|e| Error::io("create", parent, e))?;
        if fs::hard_link(from, &to).is_err() {
            fs::copy(from, &to).map_err(|e| Error::io("write", &to, e))?;
        }
    }
    // Errors from here on are about the model, not about the folder for now.
    let named = |e: Error| match e {
        Error::Model { message, .. } => Error::model(&name.0, message),
        other => other,
    };
    let (_, mut manifest, _) =
        Files::read(&folder).and_then(|files| files.interpret(&folder, None)).map_err(named)?;
    manifest.id.clone_from(&name.0);
    manifest.source = Some(source);
    let text = serde_json::to_vec_pretty(&manifest).map_err(|e| Error::internal("manifest", e))?;
    let path = folder.join("manifest.json");
    // It may be a link to the cache, which keeps what the hub sent.
    let _ = fs::remove_file(&path);
    fs::write(&path, text).map_err(|e| Error::io("write", &path, e))?;

    let proof = Encoder::open(&folder).and_then(|encoder| encoder.embed("你好")).map_err(named)?;
    if !proof.as_slice().iter().all(|x| x.is_finite()) {
        return Err(Error::model(&name.0, "its vectors are not finite numbers; the weights are unusable"));
    }

    let place = name.folder(models);
    let old = beside.path().join("old");
    let replaces = place.exists();
    if replaces {
        fs::rename(&place, &old).map_err(|e| Error::io("replace", &place, e))?;
    }
    if let Err(e) = fs::rename(&folder, &place) {
        if replaces {
            let _ = fs::rename(&old, &place);
        }
        return Err(Error::io("write", &place, e));
    }
    Ok(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_before_they_become_folders() {
        let models = Path::new("models");
        assert_eq!(
            ModelName::parse("BAAI/bge-small-zh-v1.5").unwrap().folder(models),
            models.join("BAAI--bge-small-zh-v1.5")
        );
        assert_eq!(
            ModelName::parse("bert-base-chinese").unwrap().folder(models),
            models.join("bert-base-chinese")
        );
        for wrong in
            ["", "/", "a/", "/b", "a/b/c", "../b", "a/..", "a/.b", "a--b/c", "a b/c", "智/答", "a/b?x"]
        {
            assert!(ModelName::parse(wrong).is_err(), "{wrong}");
        }
    }
}
