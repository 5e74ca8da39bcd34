//! What would another goal mean?
//!
//! The last evaluation asked the labelled questions at several goals; each is a point
//! that can be chosen, seen for what it means, and set.

use maud::{Markup, html};
use serde_json::Value;

use super::super::chart::{self, Mark};
use super::super::inside::{Refusal, address};
use super::super::page::Page;
use super::evaluations::share;
use super::parts::{api, base, list, percent, text};

/// The curve with its points, from the last evaluation; `at` is the goal that is chosen.
pub(super) async fn section(page: &Page, kb: &str, set: Option<f64>, at: &str) -> Result<Markup, Refusal> {
    let of_api = format!("{}/evaluations", api(kb));
    let all: Value = page.inside.get(&of_api).read().await?;
    let evaluations = format!("{}/evaluations", base(kb));
    let Some(newest) = list(&all, "items").next() else {
        return Ok(html! {
            section.card #curve {
                h2 { (page.say("回答得多，还是答错得少", "More answers, or fewer wrong ones")) }
                p { (page.say("评测一次，这里就画出不同的目标各意味着什么。", "Evaluate once, and this shows what each goal would mean.")) }
                p { a.button href=(evaluations) { (page.say("去评测", "Evaluate")) } }
            }
        });
    };
    let found: Value = page.inside.get(&format!("{of_api}/{}", newest["number"])).read().await?;
    let generation = found["summary"]["generation"].to_string();
    let points: Vec<(f64, f64)> = list(&found["curve"], &generation)
        .filter_map(|point| Some((point["answered"].as_f64()?, point["wrong"].as_f64()?)))
        .collect();
    let choices: Vec<&Value> =
        list(&found["report"]["generations"][generation.as_str()], "trade_off").collect();
    let goal = set.or_else(|| found["report"]["max_wrong"].as_f64());
    let is =
        |choice: &Value, goal: f64| choice["max_wrong"].as_f64().is_some_and(|own| (own - goal).abs() < 1e-9);
    let wanted: Option<f64> = at.parse().ok();
    let chosen = wanted.and_then(|wanted| choices.iter().find(|choice| is(choice, wanted)));
    let here = format!("{}/queries", base(kb));
    let place =
        |choice: &Value| format!("{}#curve", address(&here, &[("at", &choice["max_wrong"].to_string())]));
    let marks: Vec<Mark> = choices
        .iter()
        .filter_map(|choice| {
            let class =
                match (goal.is_some_and(|goal| is(choice, goal)), chosen.is_some_and(|one| one == choice)) {
                    (_, true) => "point chosen",
                    (true, _) => "point set",
                    _ => "point",
                };
            let told = format!("{} {}", page.say("目标", "goal"), share(&choice["max_wrong"]));
            let (x, y) = (choice["answer_rate"]["value"].as_f64()?, choice["wrong_rate"]["value"].as_f64()?);
            Some(Mark {
                x,
                y,
                name: told,
                place: place(choice),
                value: choice["max_wrong"].to_string(),
                class,
            })
        })
        .collect();
    let summary = &found["summary"];
    Ok(html! {
        section.card #curve {
            h2 { (page.say("回答得多，还是答错得少", "More answers, or fewer wrong ones")) }
            p.soft {
                (page.say("来自评测 ", "From evaluation ")) a href={ (evaluations) "/" (newest["number"].to_string()) } { "#" (newest["number"].to_string()) }
                " (" (if text(summary, "of") == "release" { page.say("正在用的版本", "what is served") } else { page.say("草稿", "the draft") }) ", " (summary["queries"].to_string()) (page.say(" 个问题）。红点是现在的目标；拖动圆圈（或选中它按方向键）、点一个点或表里的一行，看它意味着什么。", " questions). The red point is the goal now; drag the ring (or use its arrow keys), or choose a point or a line, to see what it means.")) " "
                a href=(evaluations) { (page.say("重新评测", "Evaluate again")) }
            }
            // A script moves the point and shows what each goal means; without it a point
            // or a line of the table leads to the same.
            @for choice in &choices { (meaning(page, kb, choice, summary, chosen.is_some_and(|one| one == choice))) }
            div.figure {
                (chart::curve(page.say("横轴：直接回答的比例；纵轴：回答里答错的比例", "Across: share answered; up: share wrong of the answers"), &points, &marks))
                div.scroll tabindex="0" role="region" aria-label=(page.say("表格", "Table")) { table.list {
                    thead { tr { th { (page.say("目标", "Goal")) } th { (page.say("把握达到", "From")) } th { (page.say("直接回答", "Answered")) } th { (page.say("答错", "Wrong")) } th { (page.say("选", "Choose")) } } }
                    tbody { @for choice in &choices { tr {
                        td { (share(&choice["max_wrong"])) @if goal.is_some_and(|goal| is(choice, goal)) { " " span.tag.good { (page.say("现在", "now")) } } }
                        td { (percent(&choice["bar"])) }
                        td { (estimated(&choice["answer_rate"])) } td { (estimated(&choice["wrong_rate"])) }
                        td { a.button.small href=(place(choice)) aria-label={ (page.say("看看目标 ", "See goal ")) (share(&choice["max_wrong"])) } { (page.say("看看", "See")) } }
                    } } }
                } }
            }
        }
    })
}

fn estimated(value: &Value) -> Markup {
    super::evaluations::with_interval(&value["value"], &value["interval"])
}

/// What a goal would mean, and the button that sets it.
fn meaning(page: &Page, kb: &str, choice: &Value, summary: &Value, is_chosen: bool) -> Markup {
    let goal = choice["max_wrong"].as_f64().unwrap_or(0.05);
    let (all, answered) =
        (summary["queries"].as_u64().unwrap_or(0), choice["answered"].as_u64().unwrap_or(0));
    let wrong = (choice["wrong_rate"]["value"].as_f64().unwrap_or(0.0) * answered as f64).round();
    let range = |value: &Value| format!("{}–{}", share(&value["interval"][0]), share(&value["interval"][1]));
    html! {
        div.card.undo role="status" data-goal=(choice["max_wrong"].to_string()) hidden[!is_chosen] {
            span {
                b { (page.say("目标 ", "Goal ")) (share(&choice["max_wrong"])) (page.say("：", ": ")) }
                @if page.is_english() {
                    (format!("of {all} questions {answered} would be answered ({}), {wrong} of them wrong ({}, 95 % interval {}).", share(&choice["answer_rate"]["value"]), share(&choice["wrong_rate"]["value"]), range(&choice["wrong_rate"])))
                } @else {
                    (format!("{all} 个问题里直接回答 {answered} 个（{}），其中答错 {wrong} 个（{}，95% 区间 {}）。", share(&choice["answer_rate"]["value"]), share(&choice["wrong_rate"]["value"]), range(&choice["wrong_rate"])))
                }
            }
            form method="post" action={ (base(kb)) "/queries/goal" } {
                (page.csrf())
                input type="hidden" name="percent" value=(format!("{}", (goal * 1e6).round() / 1e4));
                button.button.primary.small name="do" value="goal" { (page.say("设为目标", "Set this goal")) }
            }
        }
    }
}
