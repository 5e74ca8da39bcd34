//! `zhida model`: which encoders are there, and what are they worth?

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use serde::Serialize;

use super::audited::{Deed, Subject};
use super::{Common, progress};
use crate::encoder::hub::{self, Hub, ModelName};
use crate::encoder::{Encoder, FileDigest, Files, Pooling, Precision, pairs};
use crate::error::{Error, Result};
use crate::eval::published;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show the model in the binary and those that were fetched.
    List {
        #[command(flatten)]
        common: Common,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show what a model is.
    Info {
        #[command(flatten)]
        common: Common,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Fetch a BERT-type model from the Hugging Face hub into the data directory.
    Pull(Pull),
    /// Read one sentence a line from stdin, write one JSON array of floats a line.
    ///
    /// Every line gives one, an empty line that of the empty text, so that
    /// line n of the output belongs to line n of the input.
    Embed {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        arithmetic: Arithmetic,
    },
    /// Measure how well cosines order labelled pairs of sentences.
    Eval {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        arithmetic: Arithmetic,
        /// The pairs: sentence1, sentence2 and label, with tabs between them; LCQMC, BQ, AFQMC, ATEC,
        /// BUSTM, PAWS-X and STS-B are read as they are published.
        #[arg(long, value_name = "FILE")]
        pairs: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// How exactly to compute.
#[derive(Debug, Clone, Copy, clap::Args)]
struct Arithmetic {
    /// f32 computes as other programs do; int8 is what the engine uses for the
    /// model inside the binary.
    #[arg(long, default_value = "f32", value_parser = precision())]
    precision: Precision,
}

fn precision() -> impl clap::builder::TypedValueParser<Value = Precision> {
    use clap::builder::TypedValueParser as _;
    let named = |name: String| Precision::ALL.into_iter().find(|precision| precision.name() == name);
    clap::builder::PossibleValuesParser::new(Precision::ALL.map(Precision::name))
        .map(move |name| named(name).unwrap_or_default())
}

#[derive(Debug, clap::Args)]
struct Pull {
    #[command(flatten)]
    common: Common,
    /// The branch, tag or commit.
    #[arg(long, value_name = "REVISION", default_value = "main")]
    revision: String,
    /// The hub or a mirror of it.
    #[arg(long, value_name = "URL", env = "HF_ENDPOINT", default_value = hub::ENDPOINT)]
    endpoint: String,
    /// The folder of the Hugging Face tools, with their cache and token
    /// [default: ~/.cache/huggingface].
    #[arg(long, value_name = "DIR", env = "HF_HOME")]
    hf_home: Option<PathBuf>,
    /// The access token; hidden because HF_TOKEN keeps it out of process lists.
    #[arg(long, env = "HF_TOKEN", hide = true, hide_env_values = true)]
    token: Option<String>,
    /// The model's name on the hub, such as BAAI/bge-small-zh-v1.5.
    #[arg(value_name = "ORG/NAME")]
    name: String,
}

impl Args {
    /// What this command is to the audit.
    pub(crate) fn deed(&self) -> Deed<'_> {
        match &self.command {
            Command::Pull(args) => {
                let object = format!("model {}", args.name);
                Subject::other(&args.common.data, object, "pull_model", "fetched").into()
            }
            Command::List { .. } | Command::Info { .. } | Command::Embed { .. } | Command::Eval { .. } => {
                Deed::Looks
            }
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match &args.command {
        Command::List { common, json } => list(common, *json)?,
        Command::Info { common, json } => info(common, *json)?,
        Command::Pull(args) => pull(args)?,
        Command::Embed { common, arithmetic } => embed(common, *arithmetic)?,
        Command::Eval { common, arithmetic, pairs, json } => eval(common, *arithmetic, pairs, *json)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A model in a list.
#[derive(Serialize)]
struct Listed {
    id: String,
    folder: Option<PathBuf>,
    dimensions: usize,
    layers: usize,
    fingerprint: String,
    /// Why it cannot be used, if it cannot.
    damage: Option<String>,
}

impl Listed {
    fn of(folder: Option<&Path>) -> Self {
        let place = folder.unwrap_or(Path::new("built-in"));
        let files = folder.map_or_else(|| Ok(Files::built_in()), Files::read);
        match files.and_then(|files| files.interpret(place, None)) {
            Ok((config, manifest, fingerprint)) => Self {
                id: manifest.id,
                folder: folder.map(Path::to_path_buf),
                dimensions: manifest.dimensions,
                layers: config.num_hidden_layers,
                fingerprint,
                damage: None,
            },
            Err(e) => Self {
                id: place
                    .file_name()
                    .map_or_else(String::new, |name| name.to_string_lossy().replace("--", "/")),
                folder: folder.map(Path::to_path_buf),
                dimensions: 0,
                layers: 0,
                fingerprint: String::new(),
                damage: Some(e.to_string()),
            },
        }
    }
}

fn list(common: &Common, json: bool) -> Result<()> {
    let mut models = vec![Listed::of(None)];
    models.extend(hub::fetched(&common.models())?.iter().map(|folder| Listed::of(Some(folder))));
    if json {
        return print_json(&models);
    }
    for model in &models {
        let place = model
            .folder
            .as_ref()
            .map_or_else(|| "built-in".to_owned(), |folder| folder.display().to_string());
        match &model.damage {
            None => say!(
                "{:<32} {}  {} dimensions, {} layers  {place}",
                model.id,
                model.fingerprint,
                model.dimensions,
                model.layers
            ),
            Some(damage) => say!("{:<32} cannot be used: {damage}", model.id),
        }
    }
    Ok(())
}

/// What `model info` tells.
#[derive(Serialize)]
struct Info<'a> {
    id: &'a str,
    /// Absent for the model inside the binary.
    folder: Option<&'a Path>,
    built_in: bool,
    fingerprint: &'a str,
    pooling: Pooling,
    precision: Precision,
    dimensions: usize,
    layers: usize,
    heads: usize,
    parameters: usize,
    max_tokens: usize,
    vocabulary: usize,
    files: BTreeMap<String, FileDigest>,
    trained_on: &'a [String],
    source: Option<&'a hub::Source>,
}

fn info(common: &Common, json: bool) -> Result<()> {
    let folder = common.model_folder();
    let encoder = needed(common, None)?;
    let files = folder.as_deref().map_or_else(|| Ok(Files::built_in()), Files::read)?.digests();
    let (manifest, config) = (encoder.manifest(), encoder.config());
    let info = Info {
        id: &manifest.id,
        folder: folder.as_deref(),
        built_in: folder.is_none(),
        fingerprint: encoder.fingerprint(),
        pooling: manifest.pooling,
        precision: manifest.precision,
        dimensions: manifest.dimensions,
        layers: config.num_hidden_layers,
        heads: config.num_attention_heads,
        parameters: config.parameters(),
        max_tokens: manifest.max_tokens,
        vocabulary: config.vocab_size,
        files,
        trained_on: &manifest.trained_on,
        source: manifest.source.as_ref(),
    };
    if json {
        return print_json(&info);
    }
    let place =
        info.folder.map_or_else(|| "inside the binary".to_owned(), |folder| folder.display().to_string());
    let pooling = match info.pooling {
        Pooling::Mean => "mean of the tokens",
        Pooling::Cls => "[CLS]",
    };
    say!("id           {}", info.id);
    say!("place        {place}");
    if let Some(source) = info.source {
        say!(
            "source       {}/{} {} ({})",
            source.endpoint,
            source.repository,
            source.revision,
            source.commit
        );
    }
    say!("fingerprint  {}", info.fingerprint);
    say!("pooling      {pooling}");
    say!("precision    {}", info.precision.name());
    say!("dimensions   {}", info.dimensions);
    say!("layers       {} with {} heads", info.layers, info.heads);
    say!("parameters   {}", info.parameters);
    say!("max tokens   {}", info.max_tokens);
    say!("vocabulary   {}", info.vocabulary);
    for (name, digest) in &info.files {
        say!("file         {name}  {} bytes  SHA-256 {}", digest.bytes, digest.sha256);
    }
    for what in info.trained_on {
        say!("trained on   {what}");
    }
    Ok(())
}

fn pull(args: &Pull) -> Result<()> {
    let name = ModelName::parse(&args.name)?;
    // An empty variable means the same as none.
    let endpoint = if args.endpoint.trim().is_empty() { hub::ENDPOINT } else { args.endpoint.trim() };
    let home = args.hf_home.as_deref().filter(|home| !home.as_os_str().is_empty());
    let hub = Hub::new(endpoint, home, args.token.clone());
    let bars = progress::Bars::new();
    let small = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let folder = hub.pull(&name, &args.revision, &args.common.models(), &|file, done, total| {
        bars.show(file, small(done), small(total));
    })?;
    drop(bars);
    eprintln!("zhida: {name} is here and works; use it with --model {name}");
    say!("{}", folder.display());
    Ok(())
}

/// Lines that are read before their vectors are written.
const BLOCK: usize = 1024;

fn embed(common: &Common, arithmetic: Arithmetic) -> Result<()> {
    let encoder = needed(common, Some(arithmetic.precision))?;
    let bars = progress::Bars::new();
    let mut input = std::io::stdin().lock();
    let mut output = std::io::BufWriter::new(std::io::stdout().lock());
    let mut count = 0;
    loop {
        let mut block: Vec<String> = Vec::new();
        let mut failure = None;
        while block.len() < BLOCK {
            match read_line(&mut input, count + block.len() + 1) {
                Ok(Some(line)) => block.push(line),
                Ok(None) => break,
                Err(e) => {
                    failure = Some(e);
                    break;
                }
            }
        }
        let ended = block.len() < BLOCK;
        for vector in encoder.embed_all(&block, &|_| ())? {
            let line = serde_json::to_string(vector.as_slice()).map_err(|e| Error::internal("json", e))?;
            if let Err(e) = writeln!(output, "{line}") {
                return reader_gone(e);
            }
        }
        count += block.len();
        bars.show("sentences", count, count);
        if let Err(e) = output.flush() {
            return reader_gone(e);
        }
        match failure {
            Some(e) => return Err(e),
            None if ended => return Ok(()),
            None => {}
        }
    }
}

/// One line of stdin without its end; `None` after the last.
fn read_line(input: &mut impl BufRead, number: usize) -> Result<Option<String>> {
    let mut bytes = Vec::new();
    if input.read_until(b'\n', &mut bytes).map_err(|e| Error::io("read", "stdin", e))? == 0 {
        return Ok(None);
    }
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(line) => Ok(Some(line.to_owned())),
        Err(e) => Err(Error::Refused(format!(
            "stdin:{number}: not valid UTF-8 from byte {} of the line on; convert the text to UTF-8 first",
            e.valid_up_to() + 1
        ))),
    }
}

fn eval(common: &Common, arithmetic: Arithmetic, path: &Path, json: bool) -> Result<()> {
    let (sentences, labels): (Vec<[String; 2]>, Vec<f64>) =
        published::pairs(path)?.into_iter().map(|pair| ([pair.first, pair.second], pair.label)).unzip();
    let sentences: Vec<String> = sentences.into_iter().flatten().collect();
    let encoder = needed(common, Some(arithmetic.precision))?;
    let bars = progress::Bars::new();
    let vectors = encoder.embed_all(&sentences, &|done| bars.show("sentences", done, sentences.len()))?;
    let cosines: Vec<f64> = vectors.chunks_exact(2).map(|pair| f64::from(pair[0].cosine(&pair[1]))).collect();
    let scores = pairs::score(&cosines, &labels).ok_or_else(|| {
        Error::Refused(format!(
            "{}: nothing to order; at least two pairs with different labels are needed",
            path.display()
        ))
    })?;
    drop(bars);
    if json {
        say!("{}", serde_json::to_string(&scores).map_err(|e| Error::internal("json", e))?);
        return Ok(());
    }
    say!("pairs      {}", scores.pairs);
    say!("spearman   {:.4}", scores.spearman);
    say!("pearson    {:.4}", scores.pearson);
    say!("accuracy   {:.4} at cosine {:.4}", scores.accuracy, scores.threshold);
    say!("auc        {:.4}", scores.auc);
    Ok(())
}

/// The model to work with.
fn needed(common: &Common, precision: Option<Precision>) -> Result<Arc<Encoder>> {
    common.encoder_in(precision)?.ok_or_else(|| {
        Error::Refused("--model none leaves no model to work with; give a folder, or nothing for the model in the binary".to_owned())
    })
}

fn print_json(value: &impl Serialize) -> Result<()> {
    say!("{}", serde_json::to_string_pretty(value).map_err(|e| Error::internal("json", e))?);
    Ok(())
}

/// Whoever read our output may stop early (`| head`): that is no failure.
fn reader_gone(error: std::io::Error) -> Result<()> {
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        Ok(())
    } else {
        Err(Error::io("write", "stdout", error))
    }
}
