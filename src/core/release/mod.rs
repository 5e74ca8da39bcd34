//! What exactly is published?
//!
//! A release is one immutable, self-describing version of a knowledge base in
//! a folder: entries, lexical index, vectors, calibration, and a manifest with
//! the fingerprints of the model and the text rules that it was made with and
//! a checksum of every file. It is written beside its place and renamed into
//! it, and verified when it is opened.

mod build;
pub mod checkup;
mod hearing;
mod live;
mod look_alikes;
mod past;
mod self_ask;

pub use build::{Build, Built, Labelled, Progress, Teachers, background};
pub use hearing::hear_in;
pub use live::Edit;
pub use look_alikes::look_alikes;
pub use past::Past;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use self::build::background_with;
use self::hearing::{hear, sounds, writings};
use crate::decide::calibrate::Calibration;
use crate::decide::evidence::{Known, Scale};
use crate::decide::handoff;
use crate::decide::policy::Rankings;
use crate::encoder::{Encoder, FileDigest, Matrix};
use crate::error::{Error, Result};
use crate::kb::{self, Entry, KnowledgeBase};
use crate::retrieve::exact::Exact;
use crate::retrieve::lexical::Lexical;
use crate::retrieve::semantic::{Graph, Semantic};
use crate::retrieve::wording::Wording;
use crate::retrieve::{Phrasing, phrasings};
use crate::text::{Analyzer, AuthoredLexicon, Heard, Query, Sounds, Writings};

/// The form of a release's folder; another one is refused.
pub const FORMAT: u32 = 5;

/// Changes whenever the text rules in the code change what they produce.
const TEXT_RULES: u32 = 2;

/// The file that says what a release is.
pub const MANIFEST: &str = "manifest.json";
const ENTRIES: &str = "entries.jsonl";
const LEXICAL: &str = "lexical";
const VECTORS: &str = "vectors.safetensors";
/// There only if the vectors are many.
const LINKS: &str = "links.bin";
const STRANGERS: &str = "strangers.safetensors";
const CALIBRATION: &str = "calibration.json";
/// There only if the authors have written one.
const LEXICON: &str = "lexicon.jsonl";
/// There only if the authors have written one.
const SERVICE: &str = "service.toml";

/// What a release says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// The version of zhida that wrote it.
    pub written_by: String,
    /// The knowledge base's name.
    pub kb: String,
    /// Counts up from 1 within a knowledge base.
    pub number: u32,
    /// When it was written, RFC 3339.
    #[serde(with = "time::serde::rfc3339")]
    pub created: time::OffsetDateTime,
    /// Entries published.
    pub entries: usize,
    /// Their phrasings.
    pub phrasings: usize,
    /// The fingerprint of the text rules and the lexicon.
    pub text: String,
    /// The model whose vectors it holds; `None` in lexical-only mode.
    pub model: Option<Model>,
    /// Every other file with its size and SHA-256.
    pub files: BTreeMap<String, FileDigest>,
}

/// The model of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// Its name.
    pub id: String,
    /// [`Encoder::fingerprint`].
    pub fingerprint: String,
}

impl Model {
    /// What a release says of a model.
    pub fn of(encoder: &Encoder) -> Self {
        Self { id: encoder.manifest().id.clone(), fingerprint: encoder.fingerprint().to_owned() }
    }
}

impl std::fmt::Display for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.id, self.fingerprint)
    }
}

/// Both generations' calibrations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibrations {
    /// Without the encoder.
    pub one: Calibration,
    /// With it; `None` in lexical-only mode.
    pub two: Option<Semantics>,
}

impl Calibrations {
    /// What the policies of any goal are drawn from.
    pub fn rankings(&self) -> Rankings {
        let (one, two) = (&self.one, self.two.as_ref().map(|two| &two.calibration));
        let of = if one.heard { Rankings::smoothed } else { Rankings::new };
        of(&one.outcomes, two.map(|two| two.outcomes.as_slice()))
            .with_apart(&one.apart, two.map(|two| two.apart.as_slice()))
    }

    /// Those of the release in a folder, without opening the rest of it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(folder: &Path) -> Result<Self> {
        read_json(&folder.join(CALIBRATION))
    }
}

/// What cosines are worth in a release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Semantics {
    /// How evidence becomes confidence.
    pub calibration: Calibration,
    /// What cosines mean.
    pub scale: Scale,
}

/// An opened release. Copies share what edits do not change: the published
/// index and vectors.
#[derive(Clone)]
pub struct Release {
    manifest: Manifest,
    entries: Vec<Entry>,
    lexicon: AuthoredLexicon,
    service: Arc<str>,
    phrasings: Vec<Phrasing>,
    analyzer: Analyzer,
    exact: Exact,
    lexical: Lexical,
    wording: Wording,
    sounds: Arc<Sounds>,
    writings: Arc<Writings>,
    semantic: Option<Semantic>,
    folder: PathBuf,
    calibrations: Arc<Calibrations>,
    encoder: Option<Arc<Encoder>>,
    /// A folder that exists only as long as this release is open.
    _temporary: Option<Arc<tempfile::TempDir>>,
    /// Held with a shared lock, so that nobody removes the folder of a release
    /// that is open.
    _held: Option<Arc<fs::File>>,
    /// Phrasings that are, or were before an edit, of the kind that asks nothing.
    pleasantries: Vec<usize>,
    /// `None` before the first edit.
    places: Option<live::Places>,
    edits: usize,
}

fn text_fingerprint(analyzer: &Analyzer) -> String {
    format!("{TEXT_RULES}-{}", analyzer.lexicon().fingerprint())
}

impl Release {
    /// Opens and verifies the release in a folder.
    ///
    /// # Errors
    /// [`Error::Release`] when the format, a checksum, the text rules or the
    /// model do not fit; the message names both sides and the command that
    /// mends it.
    pub fn open(folder: &Path, encoder: Option<Arc<Encoder>>) -> Result<Self> {
        // A file system without locks loses this protection and nothing else.
        let held = fs::File::open(folder.join(MANIFEST)).ok().filter(|file| file.try_lock_shared().is_ok());
        let manifest = Manifest::read(folder)?;
        manifest.verify(folder)?;
        let entries = read_entries(&folder.join(ENTRIES))?;
        let lexicon = lexicon_of(folder, &manifest.files)?;
        let service = service_of(folder, &manifest.files)?.into();
        let analyzer = kb::analyzer(&lexicon, &entries);
        let mend = mend(&manifest.kb, manifest.number);
        let text = text_fingerprint(&analyzer);
        if text != manifest.text {
            return Err(Error::release(
                folder,
                format!("was written with text rules {}, this zhida has {text}; {mend}", manifest.text),
            ));
        }
        let encoder = match (&manifest.model, encoder) {
            (None, _) => None,
            (Some(model), None) => {
                return Err(Error::release(
                    folder,
                    format!(
                        "holds vectors of model {model}, and no model is loaded; start without `--model none`, or {mend} (with `--model none`)"
                    ),
                ));
            }
            (Some(model), Some(encoder)) => {
                let loaded = Model::of(&encoder);
                if *model != loaded {
                    return Err(Error::release(
                        folder,
                        format!(
                            "holds vectors of model {model}, the model loaded is {loaded}; load that model with `--model DIR`, or {mend} (with the `--model` given now)"
                        ),
                    ));
                }
                Some(encoder)
            }
        };
        let phrasings = phrasings(&entries, &analyzer);
        let exact = Exact::new(&entries, &phrasings, analyzer.lexicon().normalizer())
            .map_err(|e| Error::release(folder, format!("a rule is no regular expression: {e}")))?;
        let lexical = Lexical::open(&folder.join(LEXICAL), &phrasings)?;
        let wording = Wording::new(&entries, &phrasings);
        let sounds = Arc::new(sounds(&entries, &phrasings, &lexicon));
        let writings = Arc::new(writings(&phrasings));
        let calibrations = Calibrations::read(folder)?;
        let pleasantries = (0..phrasings.len())
            .into_par_iter()
            .filter(|&at| handoff::is_pleasantry(&phrasings[at].normalized.core))
            .collect();
        let mut semantic = None;
        if encoder.is_some() {
            let vectors = Matrix::open(&folder.join(VECTORS))?;
            if vectors.len() != phrasings.len() {
                return Err(Error::release(
                    folder,
                    format!("holds {} vectors for {} phrasings; {mend}", vectors.len(), phrasings.len()),
                ));
            }
            // Releases of few phrasings have none, nor have those of an older zhida.
            let linked = manifest.files.contains_key(LINKS);
            let graph = linked.then(|| Graph::open(&folder.join(LINKS), vectors.len())).transpose()?;
            semantic = Some(Semantic::new(vectors, graph, &phrasings, entries.len()));
        }
        Ok(Self {
            manifest,
            entries,
            lexicon,
            service,
            phrasings,
            analyzer,
            exact,
            lexical,
            wording,
            sounds,
            writings,
            semantic,
            folder: folder.to_path_buf(),
            calibrations: Arc::new(calibrations),
            encoder,
            _temporary: None,
            _held: held.map(Arc::new),
            pleasantries,
            places: None,
            edits: 0,
        })
    }

    /// What the release says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The published entries, in the author's order; after edits, places of
    /// entries that are gone hold them switched off.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What the authors added to the shipped lexicon.
    pub fn lexicon(&self) -> &AuthoredLexicon {
        &self.lexicon
    }

    /// The same with another service document, as a live edit makes it.
    #[must_use]
    pub fn with_service(self, text: String) -> Self {
        Self { service: text.into(), ..self }
    }

    /// The service document, as its authors wrote it; blank
    /// when they have none.
    pub fn service(&self) -> &Arc<str> {
        &self.service
    }

    /// Their phrasings, in the same order; after edits, also some that are gone.
    pub fn phrasings(&self) -> &[Phrasing] {
        &self.phrasings
    }

    /// The cores of all phrasings that may be thanks, a farewell or the like.
    pub fn pleasantries(&self) -> impl Iterator<Item = &str> {
        self.pleasantries.iter().map(|&at| self.phrasings[at].normalized.core.as_str())
    }

    /// The analyzer that the release was made with.
    pub fn analyzer(&self) -> &Analyzer {
        &self.analyzer
    }

    /// What a customer means: the message with pinyin and with characters of the
    /// wrong word but the right sound read in the words of the phrasings, with
    /// words of other regions and English ones read in standard ones, and with
    /// amounts written as the phrasings write them; `None` when it means what
    /// it says.
    pub fn hear(&self, raw: &str) -> Option<Heard> {
        let stands = |text: &str| self.lexical.stands(text, &self.phrasings);
        hear(&self.sounds, &self.writings, self.lexical.statistics(), &stands, &self.analyzer, raw)
    }

    /// Analyses a customer's message: as it is most likely meant, then as it
    /// may be meant as well.
    ///
    /// # Errors
    /// Like [`Analyzer::query`].
    pub fn queries(&self, raw: &str) -> Result<(Query, Vec<Query>)> {
        let typed = self.analyzer.query(raw)?;
        let Some(Heard { text, others }) = self.hear(raw) else { return Ok((typed, Vec::new())) };
        let others = others.iter().map(|other| self.analyzer.heard(typed.clone(), other)).collect();
        Ok((self.analyzer.heard(typed, &text), others))
    }

    /// The matcher for whole questions and rules.
    pub fn exact(&self) -> &Exact {
        &self.exact
    }

    /// The BM25 index.
    pub fn lexical(&self) -> &Lexical {
        &self.lexical
    }

    /// What evidence is measured against.
    pub fn known(&self) -> Known<'_> {
        Known {
            lexicon: self.analyzer.lexicon(),
            statistics: self.lexical.statistics(),
            phrasings: &self.phrasings,
            wording: &self.wording,
        }
    }

    /// The vectors; `None` in lexical-only mode.
    pub fn semantic(&self) -> Option<&Semantic> {
        self.semantic.as_ref()
    }

    /// The same without links between its vectors: questions are compared with
    /// all of them. What the links cost in recall is measured with it.
    #[must_use]
    pub fn without_links(self) -> Self {
        Self { semantic: self.semantic.map(|semantic| semantic.without_graph()), ..self }
    }

    /// How evidence becomes confidence here.
    pub fn calibrations(&self) -> &Calibrations {
        &self.calibrations
    }

    /// The model that made the vectors; `None` in lexical-only mode.
    pub fn encoder(&self) -> Option<&Arc<Encoder>> {
        self.encoder.as_ref()
    }
}

/// What the manifests of all formats say.
#[derive(Deserialize)]
struct Header {
    format: u32,
    kb: String,
    number: u32,
    files: BTreeMap<String, FileDigest>,
}

/// What the operator can do about a release that this zhida does not open.
pub fn mend(kb: &str, number: u32) -> String {
    format!(
        "run `zhida kb publish --kb {kb} --release {number}` to publish what is in it once more, in a release that fits (the draft stays as it is)"
    )
}

impl Manifest {
    /// Reads the manifest of a release's folder and checks its format.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(MANIFEST);
        let bytes = fs::read(&path).map_err(|e| Error::io("read", &path, e))?;
        Self::parse(&bytes, folder)
    }

    /// Reads a manifest that lies in a folder, or would.
    ///
    /// # Errors
    /// [`Error::Release`] when it is none, or of another format.
    pub fn parse(bytes: &[u8], folder: &Path) -> Result<Self> {
        let path = folder.join(MANIFEST);
        let Header { format, kb, number, .. } = parse_json(bytes, &path)?;
        if format != FORMAT {
            return Err(Error::release(
                folder,
                format!("has format {format}, this zhida reads format {FORMAT}; {}", mend(&kb, number)),
            ));
        }
        parse_json(bytes, &path)
    }

    /// Compares every file with its checksum.
    pub fn verify(&self, folder: &Path) -> Result<()> {
        self.files.iter().try_for_each(|(name, expected)| verify(folder, &self.kb, name, expected))
    }
}

/// Compares a file with its checksum.
fn verify(folder: &Path, kb: &str, name: &str, expected: &FileDigest) -> Result<()> {
    let path = folder.join(name);
    let actual = FileDigest::of_file(&path).map_err(|e| Error::io("read", &path, e))?;
    if actual == *expected {
        return Ok(());
    }
    Err(Error::release(
        folder,
        format!(
            "{name} has {} bytes and SHA-256 {}, the manifest says {} bytes and {}; the release is damaged, roll back or run `zhida kb publish --kb {kb}`",
            actual.bytes, actual.sha256, expected.bytes, expected.sha256
        ),
    ))
}

/// Compares those of some files that are there with their checksums.
fn verify_those(folder: &Path, kb: &str, files: &BTreeMap<String, FileDigest>, names: &[&str]) -> Result<()> {
    let mut there = names.iter().filter_map(|name| Some((name, files.get(*name)?)));
    there.try_for_each(|(name, expected)| verify(folder, kb, name, expected))
}

/// The lexicon of a release's folder; releases without a file of it have none.
fn lexicon_of(folder: &Path, files: &BTreeMap<String, FileDigest>) -> Result<AuthoredLexicon> {
    if !files.contains_key(LEXICON) {
        return Ok(AuthoredLexicon::default());
    }
    let path = folder.join(LEXICON);
    let bytes = fs::read(&path).map_err(|e| Error::io("read", &path, e))?;
    AuthoredLexicon::read(&path.display().to_string(), &bytes).map_err(|e| Error::release(folder, e))
}

/// The service document of a release's folder; blank without a file of it.
fn service_of(folder: &Path, files: &BTreeMap<String, FileDigest>) -> Result<String> {
    if !files.contains_key(SERVICE) {
        return Ok(String::new());
    }
    let path = folder.join(SERVICE);
    fs::read_to_string(&path).map_err(|e| Error::io("read", &path, e))
}

/// What a release was made of, without opening the rest of its folder. Its
/// format does not matter: all of them keep entries and words in the same way.
///
/// # Errors
/// When it cannot be read or is damaged.
pub fn base_of(folder: &Path) -> Result<KnowledgeBase> {
    let Header { kb, files, .. } = read_json(&folder.join(MANIFEST))?;
    verify_those(folder, &kb, &files, &[ENTRIES, LEXICON, SERVICE])?;
    let lexicon = lexicon_of(folder, &files)?;
    let service = service_of(folder, &files)?;
    let entries = read_entries(&folder.join(ENTRIES))?;
    Ok(KnowledgeBase::of_validated(entries).with_lexicon(lexicon).with_service(service))
}

fn read_entries(path: &Path) -> Result<Vec<Entry>> {
    let text = fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
    text.lines()
        .enumerate()
        .map(|(index, line)| {
            serde_json::from_str(line).map_err(|e| Error::release(path, format!("line {}: {e}", index + 1)))
        })
        .collect()
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = fs::read(path).map_err(|e| Error::io("read", path, e))?;
    parse_json(&bytes, path)
}

fn parse_json<T: serde::de::DeserializeOwned>(bytes: &[u8], path: &Path) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|e| Error::release(path, format!("cannot be read: {e}")))
}

/// Every file below a folder, relative to it, in order.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut open = vec![PathBuf::new()];
    while let Some(below) = open.pop() {
        let path = folder.join(&below);
        for item in fs::read_dir(&path).map_err(|e| Error::io("read", &path, e))? {
            let item = item.map_err(|e| Error::io("read", &path, e))?;
            let name = below.join(item.file_name());
            let kind = item.file_type().map_err(|e| Error::io("read", item.path(), e))?;
            if kind.is_dir() {
                open.push(name);
            } else {
                files.push(name);
            }
        }
    }
    files.sort_unstable();
    Ok(files)
}
