//! How does the encoder learn a company's own words?
//!
//! [`Adaptation::run`] trains the encoder on the phrasings of a knowledge base
//! and on questions that were accepted for its entries, and says whether that
//! helped. A share of the phrasings is held out: the model never sees them,
//! before and after are compared on them ([`check`]), and a model that is not
//! better beyond doubt is refused. What was trained on is noted in the model
//! ([`crate::encoder::Seen`]), so that the calibration of a release made with
//! it asks only what was held out.
//!
//! Everything is trained, and the result is the mean of the weights before and
//! after (a model soup, Wortsman et al. 2022): what was learned stays, part of
//! what was forgotten comes back. Lighter ways were tried: a linear map after
//! pooling gained nothing beyond chance on questions that it had not seen, and
//! the last layers alone gained less on the phrasings that were held out.

mod adam;
mod card;
pub mod check;
mod dice;
mod material;
mod network;
mod operations;
#[cfg(test)]
mod tests;
mod training;

pub use check::{Figures, Refusal};
pub use material::Sizes;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use sha2::{Digest, Sha256};

use self::material::Material;
use self::network::Network;
use self::training::Lessons;
use crate::encoder::{Encoder, Files, Matrix};
use crate::error::{Error, Result};
use crate::eval::dataset::LabelledQuery;
use crate::kb::KnowledgeBase;
use crate::release::{Model, Progress};

/// The share of the trained weights in the result.
const SOUP: f32 = 0.6;

/// How an adaptation is to be done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Decides what is held out and how training goes.
    pub seed: u64,
    /// The share of the phrasings that is held out.
    pub held_out: f64,
    /// The longest that training may take; the checks come on top.
    pub limit: Option<Duration>,
}

/// Everything that an adaptation is made from.
pub struct Adaptation<'a> {
    /// The knowledge base's name.
    pub kb: &'a str,
    /// The name of the model to be made.
    pub id: &'a str,
    /// What is learned; entries that are switched off are left out.
    pub base: &'a KnowledgeBase,
    /// What customers asked and somebody accepted.
    pub queries: &'a [LabelledQuery],
    /// The model to begin with.
    pub files: &'a Files,
    /// Its place, for messages.
    pub place: &'a Path,
    /// How.
    pub settings: Settings,
    /// Hears how far it is.
    pub progress: Progress<'a>,
}

/// What an adaptation did; what `zhida adapt --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The knowledge base.
    pub kb: String,
    /// The model that was made.
    pub model: Model,
    /// The model that it was made from.
    pub parent: Model,
    /// A digest of the entries and queries that were given, in order.
    pub material: String,
    /// The seed.
    pub seed: u64,
    /// What was trained on and what was held out.
    pub sizes: Sizes,
    /// Steps of training.
    pub steps: usize,
    /// The loss of the first step and of the last.
    pub loss: (f32, f32),
    /// Whether the time limit ended it early; such a run does not repeat bit by bit.
    pub cut_short: bool,
    /// Tokens trained on per second.
    pub tokens_per_second: f64,
    /// The time that training took.
    pub training_seconds: f64,
    /// Before and after.
    pub figures: Figures,
    /// Why the model is refused; empty when it is accepted.
    pub refused: Vec<Refusal>,
    /// Where the model lies, once it was written.
    pub folder: Option<PathBuf>,
}

/// A trained model in memory, and what it is worth.
pub struct Adapted {
    /// What was done.
    pub report: Report,
    files: Files,
}

impl Adaptation<'_> {
    /// Trains and checks. Nothing is written.
    ///
    /// # Errors
    /// [`Error::Refused`] when there are too few phrasings to learn from or to
    /// judge by; [`Error::Model`] when the model to begin with is damaged.
    /// That the result is no better is no error but part of the [`Report`].
    pub fn run(&self) -> Result<Adapted> {
        let base = Arc::new(Encoder::of(self.files.clone(), self.place, None)?);
        let material = Material::gather(self.base.entries(), self.queries, base.seen(), self.settings)?;
        let mut lessons = self.lessons(&base, &material)?;
        let original = Network::read(base.config(), base.manifest().pooling, self.files.weights())
            .map_err(|message| Error::model(self.place, message))?;
        let mut network = original.clone();
        let start = Instant::now();
        let course = training::train(
            &mut network,
            &lessons,
            self.settings.seed,
            self.settings.limit,
            &|done, total| (self.progress)("training", done, total),
        )
        .map_err(|e| Error::internal("training", e))?;
        let seconds = start.elapsed().as_secs_f64();
        network.mix(&original, SOUP);

        let mut seen = base.seen().clone();
        for text in material.trained.iter().map(|(text, _)| text).chain(&material.strangers) {
            seen.add(text);
        }
        let mut manifest = base.manifest().clone();
        manifest.id = self.id.to_owned();
        manifest.source = None;
        manifest.trained_on.push(format!(
            "adapted to knowledge base {} from {}: {} phrasings, seed {}",
            self.kb,
            Model::of(&base),
            material.trained.len(),
            self.settings.seed
        ));
        let weights = network.write().map_err(|message| Error::internal("weights", message))?;
        let files = self.files.adapted(weights, manifest, &seen)?;
        let adapted = Arc::new(Encoder::of(files.clone(), Path::new(self.id), None)?);
        // Memory that the check needs no more.
        lessons.sentences.clear();
        let (figures, refused) = check::compare(&base, &adapted, self.base, &material, self.progress)?;
        let report = Report {
            kb: self.kb.to_owned(),
            model: Model::of(&adapted),
            parent: Model::of(&base),
            material: self.fingerprint()?,
            seed: self.settings.seed,
            sizes: material.sizes,
            steps: course.steps,
            loss: course.loss,
            cut_short: course.cut_short,
            tokens_per_second: course.tokens as f64 / seconds.max(1e-9),
            training_seconds: seconds,
            figures,
            refused,
            folder: None,
        };
        Ok(Adapted { report, files })
    }

    fn lessons(&self, base: &Encoder, material: &Material) -> Result<Lessons> {
        let texts: Vec<&str> = material
            .trained
            .iter()
            .map(|(text, _)| text.as_str())
            .chain(material.strangers.iter().map(String::as_str))
            .collect();
        let entries = material.trained.iter().map(|(_, entry)| Some(*entry));
        let entries = entries.chain(material.strangers.iter().map(|_| None)).collect();
        let sentences = texts
            .iter()
            .map(|text| base.token_ids(&crate::text::encoder_text(text)))
            .collect::<Result<_>>()?;
        let vectors = base.embed_all(&texts, &|done| (self.progress)("vectors", done, texts.len()))?;
        Ok(Lessons { sentences, entries, base: Matrix::new(base.dimensions(), &vectors) })
    }

    /// The first half of the SHA-256 of what was given.
    fn fingerprint(&self) -> Result<String> {
        let mut digest = Sha256::new();
        for entry in self.base.enabled() {
            let phrasings: Vec<&str> = entry.phrasings().collect();
            let line =
                serde_json::to_vec(&(&entry.id, phrasings)).map_err(|e| Error::internal("adapt", e))?;
            digest.update(&line);
            digest.update(b"\n");
        }
        for query in self.queries {
            let line =
                serde_json::to_vec(&(&query.text, &query.expect)).map_err(|e| Error::internal("adapt", e))?;
            digest.update(&line);
            digest.update(b"\n");
        }
        Ok(digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
    }
}

/// The beginning of the names of folders that are not finished.
const UNFINISHED: &str = ".unfinished-";

impl Adapted {
    /// Writes the model into a folder that must not exist yet, whole or not at
    /// all, and notes the place in the report.
    ///
    /// # Errors
    /// [`Error::Refused`] when the model was refused or the folder exists,
    /// [`Error::Io`] when it cannot be written.
    pub fn write(&mut self, folder: &Path) -> Result<()> {
        if !self.report.refused.is_empty() {
            return Err(Error::Refused(format!("{} was refused; it is not written", self.report.model)));
        }
        let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or_else(|| Path::new("."));
        std::fs::create_dir_all(parent).map_err(|e| Error::io("create", parent, e))?;
        let beside = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .tempdir_in(parent)
            .map_err(|e| Error::io("create a folder in", parent, e))?;
        self.files.write(beside.path())?;
        crate::disk::write_whole(&beside.path().join("README.md"), card::render(&self.report).as_bytes())?;
        // A temporary folder is its owner's alone; what it becomes is an ordinary one.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(beside.path(), std::fs::Permissions::from_mode(0o755))
                .map_err(|e| Error::io("write", beside.path(), e))?;
        }
        if folder.exists() {
            return Err(Error::Refused(format!(
                "{}: exists; give another folder with `--out`",
                folder.display()
            )));
        }
        // Renaming fails where a folder with something in it stands.
        std::fs::rename(beside.path(), folder).map_err(|e| Error::io("rename to", folder, e))?;
        // Nothing is left there to be removed.
        let _ = beside.keep();
        crate::disk::sync_folder(parent)?;
        self.report.folder = Some(folder.to_path_buf());
        Ok(())
    }
}
