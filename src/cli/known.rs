//! Does every command say what it is to the audit?

use std::collections::BTreeMap;

use clap::{CommandFactory, Parser};

use super::Cli;
use super::audited::Deed;

/// Every command, as it changes the most that it can; and what it is to the audit.
const COMMANDS: &[(&str, &str)] = &[
    ("serve", "tells"),
    ("ask 怎么退货 --kb demo", "looks"),
    ("eval --kb demo --queries q.jsonl --out o --tune --write-policy", "changes"),
    ("eval build-bench --pairs p.tsv --out o", "looks"),
    ("eval thresholds a b", "looks"),
    ("eval detectors", "looks"),
    ("eval dialogues --kb a --dialogues d.jsonl", "looks"),
    ("eval loop --kb a --queries q.jsonl --out o", "looks"),
    ("reference a.jsonl --out r.json", "looks"),
    ("kb list", "looks"),
    ("kb import --kb a a.csv", "changes"),
    ("kb check --kb a", "looks"),
    ("kb check-codes", "looks"),
    ("kb rule-test --kb a 怎么退货", "looks"),
    ("kb publish --kb a", "changes"),
    ("kb entry get --kb a x", "looks"),
    ("kb entry put --kb a e.json", "changes"),
    ("kb entry disable --kb a x", "changes"),
    ("kb entry enable --kb a x", "changes"),
    ("kb entry delete --kb a x", "changes"),
    ("kb export --kb a --out a.csv", "looks"),
    ("kb lexicon --kb a show", "looks"),
    ("kb lexicon --kb a put {}", "changes"),
    ("kb lexicon --kb a remove {}", "changes"),
    ("kb lexicon --kb a import a.jsonl", "changes"),
    ("kb lexicon --kb a export --out a.csv", "looks"),
    ("kb tokens --kb a 怎么退货", "looks"),
    ("kb goal --kb a 0.1", "changes"),
    ("kb versions --kb a", "looks"),
    ("kb diff --kb a 1 draft", "looks"),
    ("kb queries --kb a q.jsonl", "changes"),
    ("kb gc --kb a --keep 1", "changes"),
    ("kb history --kb a", "looks"),
    ("kb rollback --kb a 1", "changes"),
    ("kb restore --kb a --release 1", "changes"),
    ("kb delete --kb a", "changes"),
    ("rules show --kb a", "looks"),
    ("rules set --kb a s.toml", "changes"),
    ("rules default --kb a", "changes"),
    ("rules test --kb a", "looks"),
    ("model list", "looks"),
    ("model info", "looks"),
    ("model pull a/b", "changes"),
    ("model embed", "looks"),
    ("model eval --pairs p.tsv", "looks"),
    ("learn groups --kb a", "looks"),
    ("learn suggestions --kb a", "looks"),
    ("learn accept --kb a x", "changes"),
    ("learn ignore --kb a x", "tells"),
    ("learn auto --kb a", "changes"),
    ("learn bursts --kb a", "looks"),
    ("learn habits --kb a", "looks"),
    ("learn bench --kb a.jsonl --queries q.jsonl", "looks"),
    ("stats --kb a", "looks"),
    ("usage", "looks"),
    ("events compact", "changes"),
    ("events keep --text none", "changes"),
    ("events schema", "looks"),
    ("forget --customer x", "changes"),
    ("channel add --kind generic --kb a --url https://a.example x", "changes"),
    ("channel list", "looks"),
    ("channel test x", "looks"),
    ("channel remove x", "changes"),
    ("key create --role ask", "tells"),
    ("key list", "looks"),
    ("key revoke x", "tells"),
    ("key rotate x", "tells"),
    ("key limit x --unlimited", "tells"),
    ("person create x --role ask", "tells"),
    ("person list", "looks"),
    ("person passwd x", "tells"),
    ("person role x ask", "tells"),
    ("person disable x", "tells"),
    ("person enable x", "tells"),
    ("person remove x", "tells"),
    ("person sessions x --end-all", "tells"),
    ("person link x", "tells"),
    ("tenant create x", "tells"),
    ("tenant list", "looks"),
    ("tenant limit x --per-month 5", "tells"),
    ("tenant delete x", "tells"),
    ("audit show", "looks"),
    ("audit verify", "looks"),
    ("audit export --out a.jsonl", "looks"),
    ("audit prune --before 2026-11-27", "tells"),
    ("store copy --to postgres:///z", "tells"),
    ("depot put", "changes"),
    ("depot check", "looks"),
    ("depot gc", "changes"),
    ("depot gc --dry-run", "looks"),
    ("setup systemd", "looks"),
    ("setup kubernetes", "looks"),
    ("setup compose", "looks"),
    ("setup image out", "looks"),
    ("backup b.zip", "looks"),
    ("restore b.zip", "tells"),
    ("adapt --kb a", "changes"),
];

/// The names of all commands that do something.
fn leaves(command: &clap::Command, path: &str, found: &mut Vec<String>) {
    for one in command.get_subcommands().filter(|one| one.get_name() != "help") {
        let path = format!("{path} {}", one.get_name());
        if one.has_subcommands() {
            leaves(one, &path, found);
        } else {
            found.push(path.trim().to_owned());
        }
    }
}

#[test]
fn every_command_is_known_to_the_audit() {
    let mut all = Vec::new();
    leaves(&Cli::command(), "", &mut all);
    let known: BTreeMap<&str, &str> = COMMANDS.iter().copied().collect();
    for leaf in &all {
        let words: Vec<&str> = leaf.split(' ').collect();
        let is_it = |line: &&str| {
            // Options may stand between the names of commands.
            let mut given = line.split(' ');
            words.iter().all(|word| given.any(|one| one == *word)) && line.starts_with(words[0])
        };
        assert!(
            known.keys().any(is_it),
            "`zhida {leaf}` does not stand in COMMANDS: say there what it is to the audit, and in its `deed` too"
        );
    }
    for (line, expected) in COMMANDS {
        let words = std::iter::once("zhida").chain(line.split(' '));
        let cli = Cli::try_parse_from(words).unwrap_or_else(|e| panic!("{line}: {e}"));
        let found = match cli.command.deed() {
            Deed::Looks => "looks",
            Deed::Changes(_) => "changes",
            Deed::Tells => "tells",
        };
        assert_eq!(found, *expected, "zhida {line}");
    }
    // Asked only to look, they look.
    for line in [
        "kb queries --kb a",
        "eval --kb demo --queries q.jsonl --out o",
        "kb gc --kb a --keep 1 --dry-run",
        "kb goal --kb a",
        "events keep",
        "key limit x",
        "tenant limit acme",
        "person sessions x",
        "rules default",
    ] {
        let words = std::iter::once("zhida").chain(line.split(' '));
        let cli = Cli::try_parse_from(words).unwrap_or_else(|e| panic!("{line}: {e}"));
        assert!(matches!(cli.command.deed(), Deed::Looks), "zhida {line}");
    }
}
