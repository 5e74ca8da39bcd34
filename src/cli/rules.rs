//! `zhida rules`: how does a knowledge base serve, and do its rules hold?

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::audited::{Deed, Subject};
use super::kb::{Data, Place, Signed};
use super::{file_named, read_beside};
use crate::cli::ground;
use crate::dialogue::service::{self, SHIPPED};
use crate::dialogue::{Service, TestOutcome, TestReport};
use crate::error::{Error, Result};
use crate::store::{Expected, Shelf};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print the service document of the draft: voice, hours, ticket form, handoff rules.
    Show(Place),
    /// Put a file in the place of the service document; nothing gets in that has a fault.
    Set {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        signed: Signed,
        /// Customers get it at once, not only with the next publication.
        #[arg(long)]
        live: bool,
        /// A .toml file; `-` reads standard input.
        file: PathBuf,
    },
    /// Print the shipped service document, which is also the manual; with --kb go back to it.
    Default {
        /// The knowledge base that goes back to it.
        #[arg(long, value_name = "NAME")]
        kb: Option<String>,
        #[command(flatten)]
        data: Data,
        #[command(flatten)]
        signed: Signed,
        /// Customers get it at once, not only with the next publication.
        #[arg(long)]
        live: bool,
    },
    /// Run the rules' own tests; exit status 1 when one fails.
    Test {
        #[command(flatten)]
        data: Data,
        /// The knowledge base (its draft counts), a knowledge base's file with NAME.service.toml beside it, or a .toml file.
        #[arg(long, value_name = "NAME_OR_FILE")]
        kb: String,
        /// Print the outcomes as JSON.
        #[arg(long)]
        json: bool,
    },
}

impl Args {
    /// What this command is to the audit.
    pub(crate) fn deed(&self) -> Deed<'_> {
        match &self.command {
            Command::Set { place, signed, .. } => {
                Subject::kb(&place.data.data, &place.kb, "put_service", Some(signed)).into()
            }
            Command::Default { kb: Some(kb), data, signed, .. } => {
                Subject::kb(&data.data, kb, "put_service", Some(signed)).into()
            }
            Command::Show(_) | Command::Default { kb: None, .. } | Command::Test { .. } => Deed::Looks,
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match &args.command {
        Command::Show(place) => show(&place.shelf()?),
        Command::Set { place, signed, live, file } => {
            set(&place.shelf()?.signed(signed.signature()?), &read(file)?, *live)
        }
        Command::Default { kb: None, .. } => {
            print(SHIPPED);
            Ok(ExitCode::SUCCESS)
        }
        Command::Default { kb: Some(kb), data, signed, live } => {
            set(&ground::store(&data.data).shelf(kb)?.signed(signed.signature()?), "", *live)
        }
        Command::Test { data, kb, json } => test(kb, &text_of(data, kb)?, *json),
    }
}

fn show(shelf: &Shelf) -> Result<ExitCode> {
    let text = shelf.service()?.text;
    if text.is_empty() {
        eprintln!(
            "{}",
            either!(
                "{}: no service document of its own; this is the shipped one",
                "{}：还没有自己的服务文件，下面是内置的",
                shelf.name()
            )
        );
    }
    print(if text.is_empty() { SHIPPED } else { &text });
    Ok(ExitCode::SUCCESS)
}

fn set(shelf: &Shelf, text: &str, live: bool) -> Result<ExitCode> {
    let before = Service::read(&shelf.service()?.text)?;
    let edit = shelf.put_service(&Expected::Anything, text, live)?;
    let service = Service::read(text)?;
    let TestReport { rules, failed, .. } = service.rules.report();
    let kb = shelf.name();
    let told = match edit.action {
        None => either!("{kb}: nothing has changed", "{kb}：没有变化"),
        Some(_) if edit.live => {
            either!("{kb}: {rules} rules; customers get it now", "{kb}：{rules} 条规则；已即时生效")
        }
        Some(_) => either!(
            "{kb}: {rules} rules; they count from the next `zhida kb publish --kb {kb}` on",
            "{kb}：{rules} 条规则；下次发布（zhida kb publish --kb {kb}）起生效"
        ),
    };
    eprintln!("{told}");
    // Whoever writes down rules of their own writes down all of them.
    let shipped = Service::read("")?;
    let counts =
        |service: &Service, id: &str| service.rules.all().iter().any(|rule| rule.id == id && rule.enabled);
    let lost: Vec<&str> = shipped
        .rules
        .all()
        .iter()
        .map(|rule| rule.id.as_str())
        .filter(|id| counts(&before, id) && !counts(&service, id))
        .collect();
    if edit.action.is_some() && !lost.is_empty() {
        let lost = lost.join(either!(", ", "、").as_str());
        eprintln!(
            "{}",
            either!(
                "shipped rules that no longer count: {lost}; `zhida rules default` prints them, copy into your file what is to stay (self-harm and emergency call people)",
                "不再生效的内置规则：{lost}；要保留的，请从 zhida rules default 的输出抄进自己的文件（self-harm、emergency 会转给人工）"
            )
        );
    }
    if failed > 0 {
        eprintln!(
            "{}",
            either!(
                "{failed} of their tests fail, so publishing will refuse them; see `zhida rules test --kb {kb}`",
                "其中 {failed} 个测试不通过，发布会被拒绝；请看 zhida rules test --kb {kb}"
            )
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// The document that a `--kb NAME_OR_FILE` means.
fn text_of(data: &Data, kb: &str) -> Result<String> {
    let path = Path::new(kb);
    if path.extension().is_some_and(|ending| ending == "toml") {
        return read(path);
    }
    match file_named(kb) {
        Some(path) => Ok(read_beside(path)?.service().to_owned()),
        None => Ok(ground::store(&data.data).shelf(kb)?.service()?.text),
    }
}

fn read(path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    // One byte more than allowed shows that there are too many.
    let most = service::BYTES as u64 + 1;
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(most).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes))
    };
    read.map_err(|e| Error::io("read", path, e))?;
    String::from_utf8(bytes).map_err(|_| {
        Error::Refused(either!(
            "{}: the file is not UTF-8; save it as UTF-8",
            "{}：文件不是 UTF-8 编码；请另存为 UTF-8",
            path.display()
        ))
    })
}

fn test(kb: &str, text: &str, as_json: bool) -> Result<ExitCode> {
    let report = Service::read(text)?.rules.report();
    if as_json {
        let mut told = serde_json::to_value(&report).map_err(|e| Error::internal("rules", e))?;
        told["kb"] = kb.into();
        say!("{}", serde_json::to_string_pretty(&told).map_err(|e| Error::internal("rules", e))?);
    } else {
        for one in &report.tests {
            say!("{}", line(one));
        }
    }
    let TestReport { rules, tests, failed, .. } = &report;
    let tests = tests.len();
    eprintln!(
        "{}",
        either!(
            "{kb}: {rules} rules, {tests} tests, {failed} failed",
            "{kb}：{rules} 条规则，{tests} 个测试，{failed} 个不通过"
        )
    );
    Ok(if *failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn line(test: &TestOutcome) -> String {
    format!("{} {}", if test.passed { "通过  " } else { "不通过" }, test.told())
}

/// Prints a text that ends in a line break of its own, or not.
fn print(text: &str) {
    say!("{}", text.strip_suffix('\n').unwrap_or(text));
}
