//! How does an operator ask?
//!
//! One file per command. Data goes to stdout, everything else to stderr; exit
//! status 0 is done, 1 failed, 2 wrong usage.

/// Prints a line of data to stdout.
macro_rules! say {
    ($($argument:tt)*) => {
        $crate::cli::print_line(format_args!($($argument)*))
    };
}

#[macro_use]
mod language;

mod adapt;
mod ask;
mod audit;
mod audited;
mod backup;
mod bench;
mod candidates;
mod channel;
mod depot;
mod detectors;
mod eval;
mod eval_dialogues;
mod events;
mod ground;
mod interrupt;
mod kb;
mod key;
#[cfg(test)]
mod known;
mod learn;
mod listing;
mod model;
mod notify;
mod person;
mod place;
mod progress;
mod provider;
mod records;
mod reference;
mod rules;
mod serve;
mod setup;
mod shutdown;
mod simulate;
mod stats;
mod tenant;
mod thresholds;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::builder::Resettable;
use clap::{Arg, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use self::audited::Deed;

use crate::decide::policy::DEFAULT_MAX_WRONG;
use crate::dialogue::Service;
use crate::encoder::hub::ModelName;
use crate::encoder::{Encoder, Files, Precision};
use crate::engine::Filter;
use crate::error::{Error, Result};
use crate::kb::{KnowledgeBase, formats};
use crate::release::{Build, Release, Teachers};
use crate::store::{Models, Store};

/// zhida (智答): answers customers' questions from a knowledge base, or hands them to a person.
#[derive(Debug, Parser)]
#[command(name = "zhida", version, propagate_version = true)]
struct Cli {
    /// The language of messages [default: that of the locale].
    #[arg(long, global = true, value_enum, env = "ZHIDA_LANG", value_name = "LANGUAGE")]
    lang: Option<language::Language>,
    /// The PostgreSQL server that holds the records of the data directory, such as
    /// postgres://user:password@host:5432/zhida; several machines may share it [default:
    /// none, they are in the data directory itself].
    #[arg(
        long,
        global = true,
        env = "ZHIDA_DATABASE",
        value_name = "URL",
        hide_env_values = true,
        hide_short_help = true
    )]
    database: Option<String>,
    /// Where releases lie that every node can reach: `database` (in the one that --database
    /// names; for small installations), file:///shared/folder, s3://bucket/prefix with the usual
    /// AWS_* variables, AWS_ENDPOINT_URL for other servers than Amazon's, or `none`. Publishing puts
    /// them there, and a node fetches what it has not [default: database where there is one;
    /// without, they are in the data directory alone].
    #[arg(long, global = true, env = "ZHIDA_RELEASES", value_name = "PLACE", hide_short_help = true)]
    releases: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer over HTTP; the first start publishes the demo knowledge base.
    Serve(Box<serve::Args>),
    /// Answer one question.
    Ask(ask::Args),
    /// Measure how well a knowledge base answers labelled questions.
    Eval(Box<eval::Args>),
    /// Gather the evidence of labelled questions that calibrations lean on.
    Reference(reference::Args),
    /// Import, check, publish, compare and roll back knowledge bases.
    Kb(kb::Args),
    /// Show, set and test how a knowledge base serves: voice, hours, ticket form, handoff rules.
    Rules(rules::Args),
    /// List, describe, fetch, run and measure encoders.
    Model(model::Args),
    /// Show what customers asked that is not answered yet, and take up suggestions.
    Learn(learn::Args),
    /// Tell what was asked, what was answered and what came of it.
    Stats(stats::Args),
    /// Tell how much was asked, by day, knowledge base, channel and key.
    Usage(stats::UsageArgs),
    /// Look after what is kept of what happened.
    Events(events::Args),
    /// Forget a conversation, a customer, or old texts.
    Forget(events::Forget),
    /// Answer on platforms: Chatwoot, and any other by a plain contract.
    Channel(channel::Args),
    /// Make, list, replace and revoke keys: who may come in.
    Key(key::Args),
    /// Invite, list, change and turn out the people who sign in.
    Person(person::Args),
    /// Make, list, limit and remove tenants of this server.
    Tenant(tenant::Args),
    /// Show, verify and export who changed what.
    Audit(audit::Args),
    /// Move records between the data directory and a PostgreSQL server.
    Store(records::Args),
    /// Write everything into one file, while servers serve and write.
    Backup(backup::Args),
    /// Bring back what a backup holds; it is checked before anything is touched.
    Restore(backup::Restore),
    /// Look after the place where releases lie that every node can reach (--releases).
    Depot(depot::Args),
    /// Print what runs zhida as a service: systemd, Kubernetes, Compose, an image.
    Setup(setup::Args),
    /// Train the encoder on a knowledge base's own phrasings, and keep the result only if it is better.
    Adapt(adapt::Args),
}

impl Command {
    /// What the command is to the audit: one that changes something and does not say
    /// so does not compile.
    fn deed(&self) -> Deed<'_> {
        match self {
            Self::Kb(args) => args.deed(),
            Self::Eval(args) => args.deed(),
            Self::Rules(args) => args.deed(),
            Self::Model(args) => args.deed(),
            Self::Learn(args) => args.deed(),
            Self::Events(args) => args.deed(),
            Self::Forget(args) => args.deed(),
            Self::Channel(args) => args.deed(),
            Self::Key(args) => args.deed(),
            Self::Person(args) => args.deed(),
            Self::Tenant(args) => args.deed(),
            Self::Audit(args) => args.deed(),
            Self::Adapt(args) => args.deed(),
            Self::Depot(args) => args.deed(),
            Self::Restore(_) => Deed::Tells,
            Self::Store(args) => args.deed(),
            // What is changed over HTTP the server records.
            Self::Serve(_) => Deed::Tells,
            Self::Ask(_)
            | Self::Reference(_)
            | Self::Stats(_)
            | Self::Usage(_)
            | Self::Backup(_)
            | Self::Setup(_) => Deed::Looks,
        }
    }
}

/// A variable of the environment that is set to nothing says nothing: files for Compose,
/// systemd and Kubernetes write it so where an operator has left a line empty.
fn without_empty_settings(command: clap::Command) -> clap::Command {
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    let heard = |arg: Arg| if arg.get_env().is_some_and(is_empty) { arg.env(Resettable::Reset) } else { arg };
    command.mut_args(heard).mut_subcommands(without_empty_settings)
}

/// Runs the program.
pub fn main() -> ExitCode {
    let read = || -> std::result::Result<_, clap::Error> {
        let mut command = without_empty_settings(Cli::command());
        let mut matches = command.try_get_matches_from_mut(std::env::args_os())?;
        let flags = matches.subcommand_matches("serve").map(serve::flags).unwrap_or_default();
        let cli = Cli::from_arg_matches_mut(&mut matches).map_err(|e| e.format(&mut command))?;
        Ok((cli, flags))
    };
    let (cli, flags) = match read() {
        Ok(read) => read,
        Err(e) => {
            let _ = e.print();
            // clap's own status: 0 for --help and --version, 2 for wrong usage.
            return ExitCode::from(u8::try_from(e.exit_code()).unwrap_or(2));
        }
    };
    language::choose(cli.lang);
    let brings = matches!(cli.command, Command::Store(_) | Command::Restore(_));
    let chosen = ground::choose(cli.database.as_deref())
        .and_then(|()| ground::choose_releases(cli.releases.as_deref(), brings));
    if let Err(error) = chosen {
        eprintln!("zhida: {error}");
        return ExitCode::from(2);
    }
    let begun = audited::begin(cli.command.deed());
    let outcome = match cli.command {
        Command::Serve(args) => serve::run(&args, flags),
        Command::Ask(args) => ask::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Reference(args) => reference::run(&args),
        Command::Kb(args) => kb::run(&args),
        Command::Rules(args) => rules::run(&args),
        Command::Model(args) => model::run(&args),
        Command::Channel(args) => channel::run(&args),
        Command::Learn(args) => learn::run(&args),
        Command::Stats(args) => stats::run(&args),
        Command::Usage(args) => stats::run_usage(&args),
        Command::Events(args) => events::run(&args),
        Command::Forget(args) => events::run_forget(&args),
        Command::Adapt(args) => adapt::run(&args),
        Command::Key(args) => key::run(&args),
        Command::Person(args) => person::run(&args),
        Command::Tenant(args) => tenant::run(&args),
        Command::Audit(args) => audit::run(&args),
        Command::Store(args) => records::run(&args),
        Command::Backup(args) => backup::run(&args),
        Command::Restore(args) => backup::restore(&args),
        Command::Setup(args) => setup::run(&args, cli.releases.as_deref()),
        Command::Depot(args) => depot::run(&args),
    };
    if let Some(begun) = begun {
        begun.end(&outcome);
    }
    match outcome {
        Ok(status) => status,
        Err(e) => {
            eprintln!("zhida: {}", language::error(&e));
            ExitCode::FAILURE
        }
    }
}

/// Where the data is and which model reads it.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Common {
    /// The data directory.
    #[arg(long, value_name = "DIR", default_value = "./data", env = "ZHIDA_DATA")]
    data: PathBuf,
    /// A model folder in the Hugging Face layout, the name of a model that
    /// `zhida model pull` fetched or `zhida adapt` made, or `none` for keyword
    /// and BM25 matching only [default: the model inside the binary; a
    /// release that is opened brings its own].
    #[arg(long, value_name = "DIR", env = "ZHIDA_MODEL")]
    model: Option<PathBuf>,
    /// The file with the key that secrets of channels and webhooks are sealed with; it is
    /// made at the first of them [default: `secret.key` in the data directory].
    #[arg(long, value_name = "FILE", env = "ZHIDA_SECRET_KEY_FILE", hide_short_help = true)]
    secret_key_file: Option<PathBuf>,
}

impl Common {
    fn store(&self) -> Store {
        self.sealing(ground::store(&self.data))
    }

    /// The same store, with its secrets sealed as the operator says.
    fn sealing(&self, store: Store) -> Store {
        match &self.secret_key_file {
            Some(file) => store.with_key_file(file),
            None => store,
        }
    }

    /// Where fetched and adapted models lie.
    fn models(&self) -> PathBuf {
        self.store().models()
    }

    /// The folder that `--model` means: a folder, or the name of a fetched
    /// model; `None` for the model inside the binary.
    fn model_folder(&self) -> Option<PathBuf> {
        let given = self.model.as_deref()?;
        if !given.is_dir()
            && let Some(name) = given.to_str().and_then(|text| ModelName::parse(text).ok())
        {
            let fetched = name.folder(&self.models());
            if fetched.is_dir() {
                return Some(fetched);
            }
        }
        // The name of an adapted model may be in Chinese, as that of its
        // knowledge base may.
        if !given.is_dir() && given.components().count() == 1 {
            let adapted = self.models().join(given);
            if given != Path::new("none") && adapted.is_dir() {
                return Some(adapted);
            }
        }
        Some(given.to_path_buf())
    }

    /// The model to use; `None` in lexical-only mode.
    fn encoder(&self) -> Result<Option<Arc<Encoder>>> {
        self.encoder_in(None)
    }

    /// The model to use, in another precision than its own if one is given.
    fn encoder_in(&self, precision: Option<Precision>) -> Result<Option<Arc<Encoder>>> {
        let Some((files, place)) = self.files()? else { return Ok(None) };
        Encoder::of(files, &place, precision).map(|encoder| Some(Arc::new(encoder)))
    }

    /// The files of the model to use and their place; `None` in lexical-only mode.
    fn files(&self) -> Result<Option<(Files, PathBuf)>> {
        match self.model_folder() {
            None => Ok(Some((Files::built_in(), PathBuf::from("built-in")))),
            Some(path) if path == Path::new("none") => Ok(None),
            Some(path) => Ok(Some((Files::read(&path)?, path))),
        }
    }

    /// Where releases get their models from: `--model` for all of them, or
    /// what each one names.
    fn releases(&self) -> Result<Models> {
        match self.model {
            None => Ok(Models::named(&self.store())),
            Some(_) => self.encoder().map(Models::given),
        }
    }

    /// The goal to keep: the one that is given, the knowledge base's own, or the default.
    fn goal(&self, kb: &str, given: Option<f64>) -> Result<f64> {
        match (given, file_named(kb)) {
            (Some(given), _) => Ok(given),
            (None, Some(_)) => Ok(DEFAULT_MAX_WRONG),
            (None, None) => self.store().shelf(kb)?.goal_or(DEFAULT_MAX_WRONG),
        }
    }

    /// The release that a `--kb NAME_OR_FILE` means: what is served under the
    /// name, or the file, indexed and calibrated on the spot.
    fn release(&self, kb: &str) -> Result<Release> {
        self.release_without(kb, &[])
    }

    /// The same; a file is calibrated without some sets of the shipped reference.
    fn release_without(&self, kb: &str, left_out: &[String]) -> Result<Release> {
        let Some(path) = file_named(kb) else {
            if !left_out.is_empty() {
                return Err(Error::Refused(format!(
                    "--leave-out: {kb} is published, and was calibrated when it was; give the knowledge base as a file"
                )));
            }
            return self.releases()?.open_served(&self.store().shelf(kb)?);
        };
        let base = read_beside(path)?;
        base.require_enabled(kb, "ask")?;
        let name = path.file_stem().map_or_else(|| kb.to_owned(), |stem| stem.to_string_lossy().into_owned());
        let bars = progress::Bars::new();
        let progress = |stage: &'static str, done: usize, total: usize| bars.show(stage, done, total);
        let calibrate_by = Teachers { left_out, ..Teachers::default() };
        Build { encoder: self.encoder()?, calibrate_by, progress: &progress, ..Build::of(&name, &base) }
            .temporary()
    }
}

/// The file that a `--kb NAME_OR_FILE` means, if it means one.
fn file_named(kb: &str) -> Option<&Path> {
    let path = Path::new(kb);
    let looks_like_file = formats::Format::of_source(path).is_ok();
    (looks_like_file || path.is_file()).then_some(path)
}

/// The knowledge base in a file, with the lexicon and the service document that
/// lie beside it.
fn read_beside(path: &Path) -> Result<KnowledgeBase> {
    let base = formats::read(path)?.with_lexicon(formats::lexicon_beside(path)?);
    let service = formats::service_beside(path)?;
    Service::read(&service)?;
    Ok(base.with_service(service))
}

/// So many remarks on labelled questions are told.
const NOTED: usize = 20;

/// Reads labelled questions, and tells what their author should know of them.
fn labelled(path: &Path, entries: &[crate::kb::Entry]) -> Result<Vec<crate::eval::dataset::LabelledQuery>> {
    let set = crate::eval::dataset::read(path, entries)?;
    for note in set.notes.iter().take(NOTED) {
        eprintln!("zhida: {note}");
    }
    if set.notes.len() > NOTED {
        eprintln!("zhida: {}", either!("… and {} more like that", "……另有 {} 处", set.notes.len() - NOTED));
    }
    Ok(set.queries)
}

/// Parses a filter of entries.
fn filter(text: &str) -> std::result::Result<Filter, String> {
    let value = serde_json::from_str(text)
        .map_err(|e| format!("a filter is JSON such as {{\"topic\":[\"售后\"],\"tags\":[\"vip\"]}}; {e}"))?;
    Filter::read(&value).map_err(|fault| fault.to_string())
}

/// Parses a share between 0 and 1.
fn share(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value < 1.0 => Ok(value),
        _ => Err("a share is a number between 0 and 1; 5 % is 0.05".to_owned()),
    }
}

/// One JSON value a line.
fn lines<T: serde::Serialize>(items: &[T]) -> Result<Vec<u8>> {
    let mut lines = Vec::new();
    for item in items {
        serde_json::to_writer(&mut lines, item).map_err(|e| Error::internal("eval", e))?;
        lines.push(b'\n');
    }
    Ok(lines)
}

/// Prints a line to stdout. Whoever reads it may stop early (`| head`): that is
/// no failure, and nothing that follows would be read.
fn print_line(line: std::fmt::Arguments<'_>) {
    use std::io::{ErrorKind, Write};
    match writeln!(std::io::stdout(), "{line}") {
        Ok(()) => {}
        Err(e) if e.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        Err(e) => {
            eprintln!("zhida: cannot write stdout: {e}");
            std::process::exit(1);
        }
    }
}
