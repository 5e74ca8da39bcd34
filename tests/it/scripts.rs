//! What does zhida say to this customer?
//!
//! Every file in `tests/scripts` is a conversation with a knowledge base of
//! `corpora/`: `kb NAME` chooses it, `> text` is what a customer types, the
//! line below is the decision. `#` begins a comment. The files are named by
//! behaviour. `UPDATE=1 cargo test` rewrites the decisions; read the diff.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use zhida::decide::Decision;
use zhida::engine::{Engine, Options};
use zhida::error::Error;

use crate::support::{corpus_engine, repository};

#[test]
fn every_script_is_answered_as_it_says() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut engines: HashMap<String, Arc<Engine>> = HashMap::new();
    let mut differences = String::new();
    let mut scripts: Vec<_> =
        std::fs::read_dir(repository("tests/scripts")).unwrap().map(|item| item.unwrap().path()).collect();
    scripts.sort();
    assert!(scripts.len() >= 8, "the scripts are missing");
    for path in scripts {
        let script = std::fs::read_to_string(&path).unwrap();
        let played = play(&script, &mut engines);
        if update {
            std::fs::write(&path, played).unwrap();
            continue;
        }
        for (number, (written, said)) in script.lines().zip(played.lines()).enumerate() {
            if written != said {
                let file = path.file_name().unwrap().to_string_lossy();
                writeln!(
                    differences,
                    "{file}:{}: the script says {written:?}, zhida says {said:?}",
                    number + 1
                )
                .unwrap();
            }
        }
        assert_eq!(
            script.lines().count(),
            played.lines().count(),
            "{}: a question has no decision below it; run with UPDATE=1",
            path.display()
        );
    }
    assert!(
        differences.is_empty(),
        "{differences}\nIf the new decisions are better, run `UPDATE=1 cargo test scripts` and commit the diff."
    );
}

fn play(script: &str, engines: &mut HashMap<String, Arc<Engine>>) -> String {
    let mut out = String::new();
    let mut engine = None;
    let mut lines = script.lines().peekable();
    while let Some(line) = lines.next() {
        writeln!(out, "{line}").unwrap();
        if let Some(name) = line.strip_prefix("kb ") {
            engine = Some(engines.entry(name.to_owned()).or_insert_with(|| corpus_engine(name)).clone());
        }
        if let Some(text) = line.strip_prefix("> ") {
            let engine = engine.as_ref().expect("a script begins with `kb NAME`");
            writeln!(out, "{}", said(engine, text)).unwrap();
            // The decision written below is replaced.
            if lines.peek().is_some_and(|next| !next.is_empty() && !next.starts_with(['>', '#', 'k'])) {
                lines.next();
            }
        }
    }
    out
}

fn said(engine: &Engine, text: &str) -> String {
    let outcome = match engine.answer(text, Options::default()) {
        Ok(outcome) => outcome,
        Err(Error::Question(e)) => return format!("refused: {e}"),
        Err(e) => panic!("{text}: {e}"),
    };
    let name = |index: usize| engine.release().entries()[index].id.to_string();
    let who = match outcome.decision {
        Decision::Answer => name(outcome.candidates[0].entry),
        Decision::Clarify => {
            let offered: Vec<String> =
                outcome.candidates.iter().take(outcome.offered).map(|scored| name(scored.entry)).collect();
            offered.join(" | ")
        }
        Decision::Handoff => String::new(),
    };
    format!("{} {} ({})", outcome.decision.name(), who, outcome.reason.name()).replace("  ", " ")
}
