//! `zhida ask`: what would a customer get?

use std::process::ExitCode;
use std::sync::Arc;

use super::Common;
use crate::decide::Generation;
use crate::dialogue::{Facts, Service, ruling};
use crate::engine::{Engine, Filter, Options, Trace, TracedClause};
use crate::error::{Error, Result};
use crate::kb::shown;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
    /// The knowledge base: a name in the data directory, or a file.
    #[arg(long, value_name = "NAME_OR_FILE", default_value = "demo")]
    kb: String,
    /// 1: keywords, rules and BM25 only; 2: and the encoder where they are not sure.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=2), default_value_t = 2)]
    generation: u8,
    /// Accept at most this share of wrong answers among those given [default: the knowledge base's goal, or 0.05].
    #[arg(long, value_name = "SHARE", value_parser = super::share)]
    max_wrong: Option<f64>,
    /// The channel whose answer is wanted (web, wechat, phone, …).
    #[arg(long)]
    channel: Option<String>,
    /// Only entries with these labels may be found, such as
    /// '{"topic":["售后"],"tags":["vip"]}': all keys, any value of each.
    #[arg(long, value_name = "JSON", value_parser = super::filter)]
    filter: Option<Filter>,
    /// Print the reply of `POST /v1/answer`.
    #[arg(long)]
    json: bool,
    /// Show what every stage saw.
    #[arg(long)]
    explain: bool,
    /// The question.
    text: String,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let release = args.common.release(&args.kb)?;
    let engine = Engine::new(Arc::new(release), args.common.goal(&args.kb, args.max_wrong)?);
    let options = Options {
        generation: if args.generation == 1 { Generation::One } else { Generation::Two },
        filter: args.filter.as_ref(),
        ..Options::default()
    };
    let service = Service::read(engine.service())?;
    let mut facts = Facts::of(&args.text);
    facts.channel = args.channel.as_deref();
    let (_, mut reply) = ruling::answer(&engine, &service, facts, options, args.explain)?;
    if args.json {
        say!("{}", serde_json::to_string_pretty(&reply).map_err(|e| Error::internal("reply", e))?);
        return Ok(ExitCode::SUCCESS);
    }
    let trace = reply.explain.take();
    say!(
        "{} ({})  confidence {:.3}  generation {}  {} µs",
        reply.decision.name(),
        reply.reason.name(),
        reply.confidence,
        reply.generation,
        reply.took_us
    );
    for answer in reply.answer.iter().chain(&reply.answers) {
        // A rule's own text is of no entry.
        if answer.entry.is_empty() {
            say!("{}", answer.text);
            continue;
        }
        say!("[{}] {}\n{}", answer.entry, answer.question, answer.text);
        for line in shown::lines(&answer.images, &answer.links) {
            say!("{line}");
        }
    }
    if let Some(message) = &reply.message {
        say!("{message}");
    }
    let offered = reply.handoff.as_ref().map_or(&reply.suggestions, |handoff| &handoff.candidates);
    for suggestion in offered {
        say!("  {:.3}  [{}] {}", suggestion.confidence, suggestion.entry, suggestion.question);
    }
    if let Some(trace) = &trace {
        print_trace(trace);
    }
    Ok(ExitCode::SUCCESS)
}

fn print_trace(trace: &Trace) {
    say!("\n-- text");
    for step in &trace.steps {
        say!("{:>12}{} {}", step.step, if step.lossy { "*" } else { " " }, step.text);
    }
    let words: Vec<String> = trace
        .tokens
        .iter()
        .map(|token| match (token.stop, token.canonical == token.text) {
            (true, _) => format!("({})", token.text),
            (false, true) => token.text.clone(),
            (false, false) => format!("{}={}", token.text, token.canonical),
        })
        .collect();
    say!("{:>12}  {}", "words", words.join(" / "));
    say!("              (* drops something that was said; words in brackets are stop words)");
    say!(
        "-- exact\n  {}",
        trace.exact.as_ref().map_or("-".to_owned(), |hit| format!("[{}] {:?}", hit.entry, hit.how))
    );
    for (name, list) in [("lexical (BM25)", &trace.lexical), ("semantic (cosine)", &trace.semantic)] {
        say!("-- {name}");
        for candidate in list.iter().take(5) {
            say!("  {:>8.4}  [{}] {}", candidate.score, candidate.entry, candidate.phrasing);
        }
    }
    if let Some(scale) = trace.scale {
        say!("  {:>8.4}  what a stranger to this knowledge base reaches on average", scale.nearest);
    }
    for (name, verdict) in [("generation 1", &trace.generation1), ("generation 2", &trace.generation2)] {
        if verdict.decision.is_empty() {
            continue;
        }
        say!(
            "-- {name}: {} ({}), answers from {:.3} on to keep at most {:.1} % wrong",
            verdict.decision,
            verdict.reason,
            verdict.bar,
            verdict.max_wrong * 100.0
        );
        for candidate in verdict.candidates.iter().take(5) {
            say!("  {:>8.3}  [{}] {}", candidate.confidence, candidate.entry, candidate.question);
        }
        if let Some(evidence) = verdict.evidence.and_then(|evidence| serde_json::to_string(&evidence).ok()) {
            say!("  evidence {evidence}");
        }
    }
    for clause in &trace.clauses {
        let entry = clause.entry.as_deref().unwrap_or("-");
        let TracedClause { text, decision, reason, confidence, .. } = clause;
        say!("-- clause {text}: {decision} ({reason})  {confidence:.3}  [{entry}]");
    }
    say!("-- decided by {}", trace.rule);
    let times: Vec<String> =
        trace.stages.iter().map(|stage| format!("{} {} µs", stage.stage, stage.micros)).collect();
    say!("-- {}", times.join(", "));
}
