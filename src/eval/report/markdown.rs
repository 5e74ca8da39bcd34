//! What does a terminal or a merge request show?

use super::table::{self, escape};
use super::{Report, findings};
use crate::kb::EntryId;

/// The text of `report.md`.
pub fn render(report: &Report) -> String {
    let mut text = format!("# zhida eval: {}\n\n", escape(&report.kb));
    for line in report.summary_zh() {
        text.push_str(&format!("> {line}\n"));
    }
    text.push_str(&format!(
        "\nRelease {} of {} ({} entries), model {}, queries {} ({}), zhida {}, {}.\nParentheses hold 95 % intervals.\n\n",
        escape(&report.release),
        escape(&report.kb),
        report.entries,
        report.model.as_deref().map_or_else(|| "none".to_owned(), escape),
        escape(&report.queries.file),
        report.queries.n,
        report.zhida,
        report.created,
    ));
    text.push_str(&table::headline(report).text(true));
    if let (Some(comparison), Some(flips)) = (&report.baseline, table::flips(report)) {
        let verdict =
            if comparison.regressed { "a regression beyond chance" } else { "no regression beyond chance" };
        text.push_str(&format!(
            "\n## Against the baseline: {verdict}\n\n{} of {}, release {}.\n\n{}",
            escape(&comparison.file),
            comparison.created,
            escape(&comparison.release),
            flips.text(true)
        ));
    }
    if let Some(trade_off) = table::trade_off(report) {
        text.push_str(&format!("\n## Goals\n\n{}\n", trade_off.text(true)));
        for line in table::proposals(report) {
            text.push_str(&format!("- {line}\n"));
        }
    }
    let tags = table::by_tag(report);
    if !tags.rows.is_empty() {
        text.push_str(&format!("\n## By tag\n\n{}", tags.text(true)));
    }
    for generation in &report.generations {
        let confusions = findings::confusions(generation, 10);
        if !confusions.is_empty() {
            text.push_str(&format!("\n## Taken for one another, generation {}\n\n", generation.number));
            for confusion in confusions {
                text.push_str(&format!(
                    "- {} × {} → {} ({} answered)\n",
                    confusion.count,
                    escape(&ids(&confusion.expected)),
                    escape(&confusion.predicted.0),
                    confusion.answered
                ));
            }
        }
        let worst = findings::worst(generation, 10);
        if !worst.is_empty() {
            text.push_str(&format!("\n## Surest mistakes, generation {}\n\n", generation.number));
            for prediction in worst {
                let entry = prediction.entry.as_ref().map_or("", |entry| entry.0.as_str());
                text.push_str(&format!(
                    "- {:.3} {}: {} → {} ({})\n",
                    prediction.confidence,
                    prediction.decision.name(),
                    escape(&prediction.text),
                    escape(entry),
                    escape(&format!("expected {}", ids(&findings::expected(&prediction.expect)))),
                ));
            }
        }
    }
    text
}

/// Ids as a reader writes them; an empty list is a question outside.
pub(super) fn ids(expected: &[EntryId]) -> String {
    if expected.is_empty() {
        return "nothing (outside)".to_owned();
    }
    expected.iter().map(|id| id.0.as_str()).collect::<Vec<_>>().join(" or ")
}
