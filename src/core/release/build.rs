//! How is a release made?

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use super::{
    CALIBRATION, ENTRIES, FORMAT, LEXICAL, LEXICON, LINKS, MANIFEST, Manifest, Model, Past, Release, SERVICE,
    STRANGERS, VECTORS, files_below, hearing, self_ask, text_fingerprint,
};
use crate::decide::calibrate::Reference;
use crate::encoder::{Embedding, Encoder, FileDigest, Matrix};
use crate::error::{Error, Result};
use crate::kb::{self, Entry, EntryId, KnowledgeBase};
use crate::retrieve::exact::Exact;
use crate::retrieve::lexical::Lexical;
use crate::retrieve::phrasings;
use crate::retrieve::semantic::{Graph, LINKED_FROM, Semantic};
use crate::retrieve::wording::Wording;
use crate::text::AuthoredLexicon;

/// Hears what is being done, how much of it is done and how much there is.
pub type Progress<'a> = &'a (dyn Fn(&'static str, usize, usize) + Sync);

/// Everything a release is made from.
pub struct Build<'a> {
    /// The knowledge base's name.
    pub kb: &'a str,
    /// The release's number.
    pub number: u32,
    /// What to publish; entries that are switched off are left out.
    pub base: &'a KnowledgeBase,
    /// The model; `None` for a lexical-only release.
    pub encoder: Option<Arc<Encoder>>,
    /// A release whose vectors may be used again.
    pub previous: Option<Past<'a>>,
    /// What it is calibrated by, besides its own questions.
    pub calibrate_by: Teachers<'a>,
    /// From so many phrasings on their vectors are linked.
    pub linked_from: usize,
    /// Hears how far it is.
    pub progress: Progress<'a>,
}

impl<'a> Build<'a> {
    /// A lexical-only release without a number, made from nothing but its
    /// entries and words.
    pub fn of(kb: &'a str, base: &'a KnowledgeBase) -> Self {
        Self {
            kb,
            number: 0,
            base,
            encoder: None,
            previous: None,
            calibrate_by: Teachers::default(),
            linked_from: LINKED_FROM,
            progress: &|_, _, _| (),
        }
    }
}

/// What a release is calibrated by, besides its own questions and the shipped
/// strangers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Teachers<'a> {
    /// Sets of the shipped reference that must not take part, because the
    /// release is about to be measured on them.
    pub left_out: &'a [String],
    /// Questions of its own customers.
    pub labelled: &'a [Labelled],
}

/// A question of a customer, with the entries that are right; none where the
/// knowledge base cannot know an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Labelled {
    /// What the customer typed.
    pub text: String,
    /// What is right.
    pub right: Vec<EntryId>,
    /// How much it counts beside one that somebody labelled by hand, 0..=1.
    pub weight: f64,
    /// Whether it may have become a phrasing because it was not answered. Then it
    /// is asked without itself, and the phrasing is not asked once more: of all
    /// that customers ask, such phrasings are the hard ones.
    pub learned: bool,
}

impl Labelled {
    /// A question that somebody labelled by hand.
    pub fn by_hand(text: String, right: Vec<EntryId>) -> Self {
        Self { text, right, weight: 1.0, learned: false }
    }
}

/// Phrasings that are embedded before the next ones are looked at: their
/// vectors take four times as much memory until they are rounded.
const EMBEDDED_TOGETHER: usize = 16_384;

/// What making a release took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Built {
    /// Phrasings whose vectors came from the previous release.
    pub reused: usize,
    /// Phrasings that the model had to read.
    pub embedded: usize,
}

/// The shipped background questions, one JSON object a line.
const BACKGROUND: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../corpora/background.jsonl"));

/// The texts of the shipped background questions.
pub fn background() -> Result<Vec<String>> {
    #[derive(serde::Deserialize)]
    struct Line {
        text: String,
    }
    BACKGROUND
        .lines()
        .map(|line| {
            serde_json::from_str::<Line>(line)
                .map(|line| line.text)
                .map_err(|e| Error::internal("background", e))
        })
        .collect()
}

/// The shipped background questions and those of a knowledge base.
pub(super) fn background_with(lexicon: &AuthoredLexicon) -> Result<Vec<String>> {
    let mut questions = background()?;
    questions.extend(lexicon.background().map(str::to_owned));
    Ok(questions)
}

impl Build<'_> {
    /// Writes the release into an empty folder. The folder is complete only
    /// when this returns; callers write beside the final place and rename.
    pub fn write(&self, folder: &Path) -> Result<Built> {
        let entries: Vec<Entry> = self.base.enabled().cloned().collect();
        let lexicon = self.base.lexicon();
        let analyzer = kb::analyzer(lexicon, &entries);
        let phrasings = phrasings(&entries, &analyzer);
        let failed = |action, path: &Path| {
            let path = path.to_path_buf();
            move |e| Error::io(action, path, e)
        };

        let path = folder.join(ENTRIES);
        let mut text = String::new();
        for entry in &entries {
            text.push_str(&serde_json::to_string(entry).map_err(|e| Error::internal("release", e))?);
            text.push('\n');
        }
        fs::write(&path, text).map_err(failed("write", &path))?;

        if !lexicon.is_empty() {
            let path = folder.join(LEXICON);
            fs::write(&path, lexicon.write()?).map_err(failed("write", &path))?;
        }

        let service = self.base.service();
        if !service.is_empty() {
            let path = folder.join(SERVICE);
            fs::write(&path, service).map_err(failed("write", &path))?;
        }

        (self.progress)("index", 0, phrasings.len());
        let lexical_folder = folder.join(LEXICAL);
        fs::create_dir(&lexical_folder).map_err(failed("create", &lexical_folder))?;
        Lexical::build(&lexical_folder, &phrasings, &analyzer)?;
        let lexical = Lexical::open(&lexical_folder, &phrasings)?;
        (self.progress)("index", phrasings.len(), phrasings.len());

        let background = background_with(lexicon)?;
        let mut built = Built::default();
        let (mut semantic, mut strangers) = (None, None);
        if let Some(encoder) = &self.encoder {
            let texts: Vec<&str> = phrasings.iter().map(|phrasing| phrasing.text.as_str()).collect();
            let (matrix, reused) = self.vectors(encoder, &texts)?;
            built = Built { reused, embedded: texts.len() - reused };
            matrix.save(&folder.join(VECTORS))?;
            let mut graph = None;
            if matrix.len() >= self.linked_from {
                let total = matrix.len();
                let made = Graph::build(&matrix, &|done| (self.progress)("links", done, total));
                made.save(&folder.join(LINKS))?;
                graph = Some(made);
            }
            let stranger_vectors = self.stranger_vectors(encoder, &background)?;
            stranger_vectors.save(&folder.join(STRANGERS))?;
            semantic = Some(Semantic::new(matrix, graph, &phrasings, entries.len()));
            strangers = Some(stranger_vectors);
        }

        // Asked as customers are: what they typed as its sound is heard.
        let sounds = hearing::sounds(&entries, &phrasings, lexicon);
        let writings = hearing::writings(&phrasings);
        let stands = |text: &str| lexical.stands(text, &phrasings);
        let hear = |one: &Labelled| {
            let heard =
                hearing::hear(&sounds, &writings, lexical.statistics(), &stands, &analyzer, &one.text);
            let text = heard.map_or_else(|| one.text.clone(), |heard| heard.text);
            // As it was typed it may be a phrasing, which it must be known as.
            let text = if one.learned { one.text.clone() } else { text };
            Labelled { text, ..one.clone() }
        };
        let heard: Vec<Labelled> = self.calibrate_by.labelled.iter().map(hear).collect();
        let labelled: Vec<&str> = heard.iter().map(|one| one.text.as_str()).collect();
        let labelled_vectors = match &self.encoder {
            Some(encoder) => Some(Matrix::new(
                encoder.dimensions(),
                &encoder.embed_all(&labelled, &|done| (self.progress)("labelled", done, labelled.len()))?,
            )),
            None => None,
        };

        let exact = Exact::new(&entries, &phrasings, analyzer.lexicon().normalizer())
            .map_err(|e| Error::internal("rules", e))?;
        let calibrations = self_ask::calibrate(
            &self_ask::Subject {
                entries: &entries,
                phrasings: &phrasings,
                analyzer: &analyzer,
                exact: &exact,
                lexical: &lexical,
                wording: &Wording::new(&entries, &phrasings),
                semantic: semantic.as_ref(),
                encoder: self.encoder.as_deref(),
                strangers: strangers.as_ref(),
                background: &background,
                labelled: &labelled_places(&heard, &entries),
                labelled_vectors: labelled_vectors.as_ref(),
                reference: &*Reference::without(self.calibrate_by.left_out)?,
                seen: self.encoder.as_deref().map(Encoder::seen),
            },
            self.progress,
        );
        let path = folder.join(CALIBRATION);
        let bytes = serde_json::to_vec(&calibrations).map_err(|e| Error::internal("release", e))?;
        fs::write(&path, bytes).map_err(failed("write", &path))?;

        let mut files = BTreeMap::new();
        for name in files_below(folder)? {
            let path = folder.join(&name);
            // tantivy's lock files are empty and belong to nobody now.
            if name.extension().is_some_and(|extension| extension == "lock") {
                fs::remove_file(&path).map_err(failed("remove", &path))?;
                continue;
            }
            let digest = FileDigest::of_file(&path).map_err(failed("read", &path))?;
            files.insert(name.to_string_lossy().replace('\\', "/"), digest);
            File::open(&path).and_then(|file| file.sync_all()).map_err(failed("write", &path))?;
        }
        let manifest = Manifest {
            format: FORMAT,
            written_by: env!("CARGO_PKG_VERSION").to_owned(),
            kb: self.kb.to_owned(),
            number: self.number,
            created: time::OffsetDateTime::now_utc(),
            entries: entries.len(),
            phrasings: phrasings.len(),
            text: text_fingerprint(&analyzer),
            model: self.encoder.as_deref().map(Model::of),
            files,
        };
        let path = folder.join(MANIFEST);
        let bytes = serde_json::to_vec_pretty(&manifest).map_err(|e| Error::internal("release", e))?;
        fs::write(&path, bytes)
            .and_then(|()| File::open(&path)?.sync_all())
            .and_then(|()| File::open(folder)?.sync_all())
            .map_err(failed("write", &path))?;
        Ok(built)
    }

    /// Makes a release that lives in a temporary folder, for a knowledge base
    /// that is asked straight from its file.
    pub fn temporary(&self) -> Result<Release> {
        let folder =
            tempfile::tempdir().map_err(|e| Error::io("create a folder in", std::env::temp_dir(), e))?;
        self.write(folder.path())?;
        let mut release = Release::open(folder.path(), self.encoder.clone())?;
        release._temporary = Some(Arc::new(folder));
        Ok(release)
    }

    /// The vectors of the background questions; those that the previous
    /// release had are used again.
    fn stranger_vectors(&self, encoder: &Encoder, background: &[String]) -> Result<Matrix> {
        let mut known = self.previous.map(|past| past.strangers(encoder)).unwrap_or_default();
        let missing: Vec<&String> = background.iter().filter(|text| !known.contains_key(*text)).collect();
        let total = missing.len();
        let embedded = encoder.embed_all(&missing, &|done| (self.progress)("strangers", done, total))?;
        known.extend(missing.into_iter().cloned().zip(embedded));
        let vectors: Vec<Embedding> = background.iter().filter_map(|text| known.get(text).cloned()).collect();
        Ok(Matrix::new(encoder.dimensions(), &vectors))
    }

    /// The vectors of some texts and how many of them the previous release had.
    fn vectors(&self, encoder: &Encoder, texts: &[&str]) -> Result<(Matrix, usize)> {
        let past = self.previous.and_then(|past| past.phrasings(encoder));
        let has = |text: &str| past.as_ref().is_some_and(|past| past.has(text));
        let reused = texts.iter().filter(|text| has(text)).count();
        let total = texts.len() - reused;
        let (mut matrix, mut done) = (Matrix::new(encoder.dimensions(), &[]), 0);
        for part in texts.chunks(EMBEDDED_TOGETHER) {
            let missing: Vec<&str> = part.iter().copied().filter(|text| !has(text)).collect();
            let made =
                encoder.embed_all(&missing, &|count| (self.progress)("vectors", done + count, total))?;
            done += missing.len();
            let mut made = made.iter();
            for text in part {
                let vector = past.as_ref().and_then(|past| past.vector(text));
                let vector = vector.as_ref().or_else(|| made.next());
                let vector = vector.ok_or_else(|| Error::internal("release", "a phrasing has no vector"))?;
                matrix.put(matrix.len(), vector);
            }
        }
        Ok((matrix, reused))
    }
}

/// Labelled questions with the places of what is right. What is not published
/// is no answer: a question that only it would answer is outside now.
fn labelled_places<'a>(labelled: &'a [Labelled], entries: &[Entry]) -> Vec<self_ask::Heard<'a>> {
    let places: HashMap<&EntryId, usize> =
        entries.iter().enumerate().map(|(place, entry)| (&entry.id, place)).collect();
    labelled
        .iter()
        .map(|one| self_ask::Heard {
            text: &one.text,
            right: one.right.iter().filter_map(|id| places.get(id).copied()).collect(),
            weight: one.weight,
            learned: one.learned,
        })
        .collect()
}
