//! `zhida eval thresholds`: what would a threshold on one score do?

use std::path::PathBuf;
use std::process::ExitCode;

use crate::error::{Error, Result};
use crate::eval::evidence;
use crate::eval::metrics::Estimate;
use crate::eval::report::table::Table;
use crate::eval::thresholds::{Asked, Score, apply, asked, at_precision, cascade, tuned};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files that `zhida eval --evidence` wrote, one per query set; two or more.
    #[arg(required = true, num_args = 2.., value_name = "EVIDENCE")]
    evidence: Vec<PathBuf>,
    /// The goals to tune for.
    #[arg(long, value_name = "SHARE,…", value_delimiter = ',', value_parser = super::share, default_values_t = [0.02, 0.05, 0.10])]
    goals: Vec<f64>,
}

/// The precisions at which coverages are compared.
const PRECISIONS: [f64; 3] = [0.80, 0.90, 0.95];

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let (mut sets, mut orders) = (Vec::new(), Vec::new());
    for path in &args.evidence {
        let name = path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .ok_or_else(|| Error::Refused(format!("{}: names no file", path.display())))?;
        let lines = evidence::read(path)?;
        let order = cascade(&lines);
        orders.push(vec![
            name.clone(),
            percent(order.alone),
            percent(order.cascade),
            format!("{} → {}", order.right.before, order.right.after),
            format!("{} → {}", order.wrong.before, order.wrong.after),
            format!("{:.3}", order.wrong.p),
            order.spared.to_string(),
        ]);
        sets.push((name, Score::ALL.map(|score| asked(&lines, score))));
    }
    say!("coverage at a precision, each threshold set by the set itself\n");
    say!("{}", same_precision(&sets).text(true));
    say!("thresholds tuned on the other sets\n");
    say!("{}", transferred(&sets, &args.goals).text(true));
    say!("generation 2 alone → generation 1 first where it is sure\n");
    let head =
        ["set", "wrong, alone", "wrong, in order", "right", "wrong", "p (McNemar, exact)", "encoder spared"];
    say!("{}", Table { head: head.map(str::to_owned).to_vec(), rows: orders }.text(true));
    Ok(ExitCode::SUCCESS)
}

fn percent(estimate: Option<Estimate>) -> String {
    estimate.map_or("–".to_owned(), |e| {
        format!("{:.1} ({:.0}–{:.0})", e.value * 100.0, e.low * 100.0, e.high * 100.0)
    })
}

type Sets = [(String, [Vec<Asked>; 3])];

fn same_precision(sets: &Sets) -> Table {
    let mut head = vec!["set".to_owned()];
    for precision in PRECISIONS {
        head.extend(Score::ALL.iter().map(|score| format!("{} {precision:.2}", score.name())));
    }
    let rows = sets.iter().map(|(name, scores)| {
        let cells = PRECISIONS.iter().flat_map(|&precision| {
            scores.iter().map(move |set| {
                at_precision(set, precision).map_or("–".to_owned(), |c| format!("{:.1}", c * 100.0))
            })
        });
        std::iter::once(name.clone()).chain(cells).collect()
    });
    Table { head, rows: rows.collect() }
}

fn transferred(sets: &Sets, goals: &[f64]) -> Table {
    let head =
        ["set", "goal", "score", "threshold", "answered", "wrong / answered", "coverage", "false answers"];
    let mut rows = Vec::new();
    for (index, (name, scores)) in sets.iter().enumerate() {
        for &goal in goals {
            // zhida's own bar comes from its calibration: `zhida eval --max-wrong`.
            for (which, score) in Score::ALL.into_iter().enumerate().filter(|(_, s)| *s != Score::Zhida) {
                let others: Vec<&[Asked]> = sets
                    .iter()
                    .enumerate()
                    .filter(|(other, _)| *other != index)
                    .map(|(_, (_, scores))| scores[which].as_slice())
                    .collect();
                let kept = apply(&scores[which], tuned(&others, goal));
                rows.push(vec![
                    name.clone(),
                    goal.to_string(),
                    score.name().to_owned(),
                    format!("{:.3}", kept.threshold),
                    kept.answered.to_string(),
                    percent(kept.wrong_rate),
                    percent(kept.coverage),
                    percent(kept.false_answer_rate),
                ]);
            }
        }
    }
    Table { head: head.map(str::to_owned).to_vec(), rows }
}
