//! What does a browser show?
//!
//! One file that asks nothing of anybody: styles and plots stand inside it,
//! there is no script. Every text that a customer or an author wrote goes
//! through `escape`.

use super::markdown::ids;
use super::table::{self, Table};
use super::{GenerationReport, Report, findings, plots};
use crate::error::Result;
use crate::kb::EntryId;

/// Candidates that are shown with a mistake.
const CANDIDATES: usize = 5;

/// Mistakes and confusions that are shown per generation.
const SHOWN: usize = 30;

/// The text of `report.html`.
pub fn render(report: &Report) -> Result<String> {
    let mut page = String::with_capacity(128 * 1024);
    let title = format!("zhida eval: {}", escape(&report.kb));
    page.push_str(&format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n<style>\n{}</style>\n</head>\n<body>\n<h1>{title}</h1>\n",
        include_str!("page.css")
    ));
    for line in report.summary_zh() {
        page.push_str(&format!("<p class=\"zh\" lang=\"zh-CN\">{}</p>\n", escape(&line)));
    }
    page.push_str(&format!(
        "<p class=\"about\">Release {} of {} ({} entries), model {}, {} queries from <code>{}</code>, zhida {}, {}. Parentheses hold 95&nbsp;% intervals.</p>\n",
        escape(&report.release),
        escape(&report.kb),
        report.entries,
        escape(report.model.as_deref().unwrap_or("none")),
        report.queries.n,
        escape(&report.queries.file),
        escape(&report.zhida),
        escape(&report.created),
    ));
    page.push_str("<h2>Headline</h2>\n");
    push_table(&mut page, &table::headline(report));
    if let (Some(comparison), Some(flips)) = (&report.baseline, table::flips(report)) {
        page.push_str("<h2>Against the baseline</h2>\n");
        let class = if comparison.regressed { "bad" } else { "about" };
        page.push_str(&format!(
            "<p class=\"{class}\">{}: <code>{}</code>, {}, release {}.</p>\n",
            if comparison.regressed { "A regression beyond chance" } else { "No regression beyond chance" },
            escape(&comparison.file),
            escape(&comparison.created),
            escape(&comparison.release),
        ));
        push_table(&mut page, &flips);
    }

    page.push_str("<h2>Risk, calibration, time</h2>\n<div class=\"plots\">\n");
    let decided: Vec<String> = report
        .generations
        .iter()
        .map(|generation| {
            let m = &generation.overall;
            format!(
                "generation {}: {} right, {} wrong, {} asked back, {} handed off",
                generation.number, m.right, m.wrong, m.clarified, m.handed_off
            )
        })
        .collect();
    push_figure(
        &mut page,
        &plots::risk(report)?,
        "Risk–coverage",
        &format!(
            "What every bar on the confidence would give, lower and further right is better. A dot is what the policy did ({}).",
            decided.join("; ")
        ),
    );
    push_figure(
        &mut page,
        &plots::calibration(report)?,
        "Reliability",
        "Of the questions with a confidence around x, the share y whose best candidate is right; on the diagonal the confidence is a probability. A dot's area grows with its questions.",
    );
    for generation in &report.generations {
        push_figure(
            &mut page,
            &plots::histogram(generation)?,
            &format!("Confidence, generation {}", generation.number),
            "How the confidences of three groups lie; each group adds up to one.",
        );
    }
    push_figure(
        &mut page,
        &plots::latency(report)?,
        "Latency",
        "From text to decision, all cores busy; the percentiles stand in the headline.",
    );
    page.push_str("</div>\n");

    if let Some(trade_off) = table::trade_off(report) {
        page.push_str("<h2>Goals</h2>\n<div class=\"plots\">\n");
        push_figure(
            &mut page,
            &plots::trade_off(report)?,
            "What every goal gives",
            "Solid: coverage. Dashed: wrong among the answered, which should stay below the thin line where goal and share are equal.",
        );
        page.push_str("</div>\n");
        push_table(&mut page, &trade_off);
        for line in table::proposals(report) {
            page.push_str(&format!("<p class=\"about\">{}</p>\n", escape(&line)));
        }
    }
    let tags = table::by_tag(report);
    if !tags.rows.is_empty() {
        page.push_str("<h2>By tag</h2>\n");
        push_table(&mut page, &tags);
    }
    for generation in &report.generations {
        push_confusions(&mut page, report, generation);
        push_worst(&mut page, report, generation);
    }
    page.push_str("</body>\n</html>\n");
    Ok(page)
}

fn push_table(page: &mut String, table: &Table) {
    page.push_str("<div class=\"scroll\"><table>\n<thead><tr>");
    for cell in &table.head {
        page.push_str(&format!("<th scope=\"col\">{}</th>", escape(cell)));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        page.push_str("<tr>");
        for cell in row {
            page.push_str(&format!("<td class=\"nowrap\">{}</td>", escape(cell)));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></div>\n");
}

fn push_figure(page: &mut String, svg: &str, title: &str, caption: &str) {
    let (title, caption) = (escape(title), escape(caption));
    page.push_str(&format!(
        "<figure role=\"group\" aria-label=\"{title}\">\n{svg}\n<figcaption><strong>{title}.</strong> {caption}</figcaption>\n</figure>\n"
    ));
}

fn push_confusions(page: &mut String, report: &Report, generation: &GenerationReport) {
    let confusions = findings::confusions(generation, SHOWN);
    if confusions.is_empty() {
        return;
    }
    page.push_str(&format!(
        "<h2>Taken for one another, generation {}</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th scope=\"col\">expected</th><th scope=\"col\">best candidate</th><th scope=\"col\">questions</th><th scope=\"col\">answered so</th></tr></thead>\n<tbody>\n",
        generation.number
    ));
    for confusion in confusions {
        let expected = named(report, &confusion.expected);
        let predicted = named(report, std::slice::from_ref(&confusion.predicted));
        page.push_str(&format!(
            "<tr><td>{expected}</td><td>{predicted}</td><td>{}</td><td>{}</td></tr>\n",
            confusion.count, confusion.answered
        ));
    }
    page.push_str("</tbody></table></div>\n");
}

fn push_worst(page: &mut String, report: &Report, generation: &GenerationReport) {
    let worst = findings::worst(generation, SHOWN);
    if worst.is_empty() {
        return;
    }
    page.push_str(&format!(
        "<h2>Surest mistakes, generation {}</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th scope=\"col\">confidence</th><th scope=\"col\">question</th><th scope=\"col\">expected</th><th scope=\"col\">decision</th><th scope=\"col\">candidates</th></tr></thead>\n<tbody>\n",
        generation.number
    ));
    for prediction in worst {
        let tags = prediction.tags.join(", ");
        page.push_str(&format!(
            "<tr><td>{:.3}</td><td lang=\"zh-CN\">{}<br><span class=\"muted\">{}</span></td><td>{}</td><td class=\"nowrap\">{}<br><span class=\"muted\">{}</span></td><td><ol class=\"candidates\">",
            prediction.confidence,
            escape(&prediction.text),
            escape(&tags),
            named(report, &findings::expected(&prediction.expect)),
            prediction.decision.name(),
            escape(&prediction.reason),
        ));
        for candidate in prediction.candidates.iter().take(CANDIDATES) {
            let right = if prediction.expect.accepts(&candidate.entry) { " ✓" } else { "" };
            page.push_str(&format!(
                "<li>{:.3}{right} {}</li>",
                candidate.confidence,
                named(report, std::slice::from_ref(&candidate.entry))
            ));
        }
        page.push_str("</ol></td></tr>\n");
    }
    page.push_str("</tbody></table></div>\n");
}

/// Ids with their standard questions.
fn named(report: &Report, entries: &[EntryId]) -> String {
    if entries.is_empty() {
        return format!("<span class=\"muted\">{}</span>", escape(&ids(entries)));
    }
    let named: Vec<String> = entries
        .iter()
        .map(|id| {
            format!(
                "<code>{}</code> <span lang=\"zh-CN\">{}</span>",
                escape(&id.0),
                escape(report.question(id))
            )
        })
        .collect();
    named.join("<br>")
}

/// Text as HTML shows it, between tags and between quotes.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // A form feed or an escape sequence is no text.
            c if c.is_control() && c != '\n' && c != '\t' => safe.push('\u{FFFD}'),
            c => safe.push(c),
        }
    }
    safe
}
