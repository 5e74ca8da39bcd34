//! What does a reader of the model's folder need to know?

use super::Report;

/// The model's `README.md`.
pub(super) fn render(report: &Report) -> String {
    let Report { kb, model, parent, sizes, figures, .. } = report;
    let share = |hits: usize| 100.0 * hits as f64 / figures.held_out.max(1) as f64;
    let cut = if report.cut_short { ", cut short by the time limit" } else { "" };
    format!(
        "\
# {id}

A sentence encoder adapted to the knowledge base {kb} by `zhida adapt`. It is
meant for this knowledge base; elsewhere use the model it came from.

| | |
| --- | --- |
| Fingerprint | {fingerprint} |
| Adapted from | {parent} |
| Knowledge base | {kb}, {entries} entries; digest of phrasings and queries {material} |
| Trained on | {trained} phrasings ({queries} queries among trained and held out), {strangers} strangers |
| Held out | {held_out} phrasings, {strangers_held_out} strangers |
| Training | {steps} steps{cut}, seed {seed}; mean of the weights before and after |

On what was held out:

| | before | after | |
| --- | --- | --- | --- |
| right entry first | {before:.1} % | {after:.1} % | {gained} gained, {lost} lost, p = {p:.2e} (McNemar) |
| right entry first in the whole engine | {engine_before:.1} % | {engine_after:.1} % | {engine_gained} gained, {engine_lost} lost, p = {engine_p:.2e} |
| and nearer than 95 % of strangers | {sure_before:.1} % | {sure_after:.1} % | {sure_gained} gained, {sure_lost} lost, p = {sure_p:.2e} |
| what both find told apart from strangers (area under the curve) | {area_before:.3} | {area_after:.3} | standard error of the difference {error:.3} |
| cosines between strangers, rank correlation with before | | {alike:.3} | |

`seen.txt` holds digests of what was trained on: a release made with this model
is calibrated with the rest. The weights may tell about the texts that they
were trained on; treat them like the knowledge base.

```sh
zhida kb publish --kb {kb} --model {id}
```
",
        id = model.id,
        fingerprint = model.fingerprint,
        entries = sizes.entries,
        material = report.material,
        trained = sizes.trained,
        queries = sizes.queries,
        strangers = sizes.strangers,
        held_out = sizes.held_out,
        strangers_held_out = sizes.strangers_held_out,
        steps = report.steps,
        seed = report.seed,
        before = share(figures.first.before),
        after = share(figures.first.after),
        gained = figures.first.gained,
        lost = figures.first.lost,
        p = figures.first.p,
        engine_before = share(figures.engine.before),
        engine_after = share(figures.engine.after),
        engine_gained = figures.engine.gained,
        engine_lost = figures.engine.lost,
        engine_p = figures.engine.p,
        sure_before = share(figures.sure.before),
        sure_after = share(figures.sure.after),
        sure_gained = figures.sure.gained,
        sure_lost = figures.sure.lost,
        sure_p = figures.sure.p,
        area_before = figures.apart.before,
        area_after = figures.apart.after,
        error = figures.apart.error,
        alike = figures.alike,
    )
}
