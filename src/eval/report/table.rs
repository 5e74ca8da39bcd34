//! Which numbers stand side by side?

use super::{GenerationReport, Report};
use crate::eval::compare::Paired;
use crate::eval::metrics::Estimate;
use crate::eval::tune;

/// Rows of text under a head; the first column is a name, the others numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The names of the columns.
    pub head: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<String>>,
}

/// What stands where a number is undefined.
const NONE: &str = "–";

fn percent(estimate: Option<Estimate>) -> String {
    estimate.map_or(NONE.to_owned(), |e| {
        format!("{:.1} % ({:.1}–{:.1})", e.value * 100.0, e.low * 100.0, e.high * 100.0)
    })
}

fn plain(estimate: Option<Estimate>) -> String {
    estimate.map_or(NONE.to_owned(), |e| format!("{:.3} ({:.3}–{:.3})", e.value, e.low, e.high))
}

/// Every generation's numbers side by side.
pub fn headline(report: &Report) -> Table {
    let mut head = vec!["measure".to_owned()];
    head.extend(report.generations.iter().map(|generation| format!("generation {}", generation.number)));
    let mut rows = Vec::new();
    let mut row = |name: String, cell: &dyn Fn(&GenerationReport) -> String| {
        let mut cells = vec![name];
        cells.extend(report.generations.iter().map(cell));
        rows.push(cells);
    };
    let share = |goal: f64| format!("goal (wrong at most {:.1} %)", goal * 100.0);
    row("questions (inside + outside)".to_owned(), &|g| {
        format!("{} + {}", g.overall.inside, g.overall.outside)
    });
    row(share(report.max_wrong), &|g| g.goal(report.max_wrong).name().to_owned());
    row("answered".to_owned(), &|g| percent(g.overall.answer_rate));
    row("precision (right / answered)".to_owned(), &|g| percent(g.overall.precision));
    row("wrong / answered".to_owned(), &|g| percent(g.overall.wrong_rate));
    row("false answers (answered / outside)".to_owned(), &|g| percent(g.overall.false_answer_rate));
    row("coverage (right / inside)".to_owned(), &|g| percent(g.overall.coverage));
    let keyed = |list: &[(&'static str, Option<Estimate>)], key: &str| {
        list.iter().find(|(name, _)| *name == key).and_then(|(_, estimate)| *estimate)
    };
    for (key, _) in crate::eval::metrics::PRECISIONS {
        row(format!("coverage at precision {key}"), &|g| {
            percent(keyed(&g.overall.coverage_at_precision, key))
        });
    }
    for (key, _) in crate::eval::metrics::LENGTHS {
        row(format!("recall@{key}"), &|g| percent(keyed(&g.overall.recall_at, key)));
    }
    row("MRR".to_owned(), &|g| plain(g.overall.mrr));
    row("AUROC".to_owned(), &|g| plain(g.overall.auroc));
    row("calibration error (ECE)".to_owned(), &|g| plain(g.overall.ece));
    row("calibration error, equal mass".to_owned(), &|g| plain(g.overall.ece_equal_mass));
    row("asked back".to_owned(), &|g| percent(g.overall.clarify_rate));
    row("right one offered / asked back inside".to_owned(), &|g| percent(g.overall.clarify_hit));
    row("handed off".to_owned(), &|g| percent(g.overall.handoff_rate));
    row("latency p50 / p95 / p99, µs".to_owned(), &|g| {
        g.overall.latency_us.map_or(NONE.to_owned(), |l| format!("{} / {} / {}", l.p50, l.p95, l.p99))
    });
    Table { head, rows }
}

/// The headline's first rows, for the end of a run.
pub fn short(report: &Report) -> Table {
    let mut table = headline(report);
    let wanted = [
        "questions",
        "goal",
        "answered",
        "precision",
        "false",
        "coverage (",
        "coverage at precision 0.9",
        "recall@1 ",
        "recall@5",
        "AUROC",
        "calibration error (",
        "asked back",
        "latency",
    ];
    table.rows.retain(|row| wanted.iter().any(|start| format!("{} ", row[0]).starts_with(start)));
    table
}

/// One row per tag and generation.
pub fn by_tag(report: &Report) -> Table {
    let head = [
        "tag",
        "gen.",
        "questions",
        "answered",
        "precision",
        "coverage",
        "false answers",
        "coverage at 0.95",
        "recall@1",
        "AUROC",
    ];
    let mut rows = Vec::new();
    let tags = report.generations.first().map(|generation| generation.by_tag.keys()).into_iter().flatten();
    for tag in tags {
        for generation in &report.generations {
            let Some(m) = generation.by_tag.get(tag) else { continue };
            rows.push(vec![
                tag.clone(),
                generation.number.to_string(),
                m.n.to_string(),
                percent(m.answer_rate),
                percent(m.precision),
                percent(m.coverage),
                percent(m.false_answer_rate),
                percent(m.coverage_at_precision.get(2).and_then(|(_, estimate)| *estimate)),
                percent(m.recall_at.first().and_then(|(_, estimate)| *estimate)),
                plain(m.auroc),
            ]);
        }
    }
    Table { head: head.map(str::to_owned).to_vec(), rows }
}

/// What every goal would give; `None` unless it was asked for. The goal that is
/// proposed for the wanted one bears a star.
pub fn trade_off(report: &Report) -> Option<Table> {
    let head = [
        "gen.",
        "goal set",
        "bar",
        "answered",
        "wrong / answered",
        "coverage",
        "false answers",
        "asked back",
    ];
    let mut rows = Vec::new();
    for generation in &report.generations {
        let proposed = tune::propose(&generation.trade_off, report.max_wrong);
        for choice in &generation.trade_off {
            let star = if proposed == Some(choice) { " *" } else { "" };
            rows.push(vec![
                generation.number.to_string(),
                format!("{}{star}", choice.max_wrong),
                format!("{:.3}", choice.bar),
                percent(choice.answer_rate),
                percent(choice.wrong_rate),
                percent(choice.coverage),
                percent(choice.false_answer_rate),
                percent(choice.clarify_rate),
            ]);
        }
    }
    (!rows.is_empty()).then(|| Table { head: head.map(str::to_owned).to_vec(), rows })
}

/// One sentence per generation on the goal to set.
pub fn proposals(report: &Report) -> Vec<String> {
    let of = |generation: &GenerationReport| {
        let wanted = report.max_wrong * 100.0;
        let n = generation.number;
        match tune::propose(&generation.trade_off, report.max_wrong) {
            None => format!(
                "generation {n}: no goal keeps {wanted:.1} % wrong among these answers; the closest is the strictest"
            ),
            Some(choice) => {
                let high = choice.wrong_rate.map_or(0.0, |rate| rate.high * 100.0);
                let sure =
                    if high <= wanted { "beyond chance" } else { "but so few answers could hide more" };
                format!(
                    "generation {n}: set the goal to {} for at most {wanted:.1} % wrong here: {} of {} answered, {} wrong ({sure})",
                    choice.max_wrong,
                    choice.answered,
                    report.queries.n,
                    percent(choice.wrong_rate),
                )
            }
        }
    };
    report.generations.iter().filter(|generation| !generation.trade_off.is_empty()).map(of).collect()
}

/// What flipped since the baseline; `None` without one.
pub fn flips(report: &Report) -> Option<Table> {
    let comparison = report.baseline.as_ref()?;
    let head = ["change", "before", "now", "gained", "lost", "p (McNemar, exact)"];
    let mut rows = Vec::new();
    for (number, change) in &comparison.generations {
        let paired = |name: &str, p: Paired| {
            let name = format!("generation {number}: {name}");
            vec![
                name,
                p.before.to_string(),
                p.after.to_string(),
                p.gained.to_string(),
                p.lost.to_string(),
                format!("{:.4}", p.p),
            ]
        };
        rows.push(paired("answered right", change.right));
        rows.push(paired("answered wrong", change.wrong));
        for (kind, count) in &change.flips {
            let name = format!("generation {number}: {}", kind.replace('_', " "));
            rows.push(vec![
                name,
                String::new(),
                count.to_string(),
                String::new(),
                String::new(),
                String::new(),
            ]);
        }
    }
    Some(Table { head: head.map(str::to_owned).to_vec(), rows })
}

impl Table {
    /// Columns padded to their width, so that it reads as plain text; with
    /// `bars`, the same as a Markdown table.
    pub fn text(&self, bars: bool) -> String {
        let clean = |cell: &String| if bars { escape(cell) } else { cell.clone() };
        let head: Vec<String> = self.head.iter().map(clean).collect();
        let rows: Vec<Vec<String>> = self.rows.iter().map(|row| row.iter().map(clean).collect()).collect();
        let widths: Vec<usize> = (0..head.len())
            .map(|column| {
                let cells = rows.iter().filter_map(|row| row.get(column));
                let widest = cells.chain(head.get(column)).map(|cell| width(cell)).max().unwrap_or(0);
                // Markdown wants three dashes below each name.
                if bars { widest.max(3) } else { widest }
            })
            .collect();
        let line = |cells: &[String]| {
            let padded: Vec<String> = cells
                .iter()
                .zip(&widths)
                .map(|(cell, &wanted)| format!("{cell}{}", " ".repeat(wanted - width(cell))))
                .collect();
            if bars {
                format!("| {} |\n", padded.join(" | "))
            } else {
                format!("{}\n", padded.join("   ").trim_end())
            }
        };
        let mut text = line(&head);
        if bars {
            let rules: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
            text.push_str(&line(&rules));
        }
        rows.iter().for_each(|row| text.push_str(&line(row)));
        text
    }
}

/// Cells hold customers' words and authors' ids: nothing in them may end the
/// cell, the row, or begin markup.
pub(super) fn escape(cell: &str) -> String {
    let mut safe = String::with_capacity(cell.len());
    for c in cell.chars() {
        match c {
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '#' => safe.extend(['\\', c]),
            '<' => safe.push_str("&lt;"),
            '&' => safe.push_str("&amp;"),
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

/// Columns on a terminal; Chinese characters take two.
fn width(text: &str) -> usize {
    text.chars()
        .map(|c| {
            if matches!(c, '\u{1100}'..='\u{115F}' | '\u{2E80}'..='\u{FFDC}' | '\u{1F300}'..='\u{3FFFD}') {
                2
            } else {
                1
            }
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_may_be_narrower_than_the_rule_below_its_name() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let table = Table { head: row(["n", "题"]), rows: vec![row(["7", "退货"])] };
        assert_eq!(table.text(true), "| n   | 题   |\n| --- | ---- |\n| 7   | 退货 |\n");
        assert_eq!(table.text(false), "n   题\n7   退货\n");
    }
}
