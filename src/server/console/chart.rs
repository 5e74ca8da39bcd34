//! How are figures drawn?
//!
//! As SVG that the page's own style colours; the numbers stand in a table beside it.

use maud::{Markup, html};

/// A share with its interval and what it was before, each 0 to 1.
pub(super) struct Share<'a> {
    pub(super) name: &'a str,
    pub(super) value: Option<f64>,
    pub(super) interval: Option<[f64; 2]>,
    pub(super) before: Option<f64>,
}

/// Shares one below the other: a bar, its interval as a line, a stroke where it was.
pub(super) fn shares(title: &str, rows: &[Share<'_>]) -> Markup {
    const ROW: f64 = 30.0;
    const LEFT: f64 = 10.0;
    const WIDTH: f64 = 480.0;
    let height = ROW * rows.len() as f64 + 26.0;
    let x = |share: f64| LEFT + share.clamp(0.0, 1.0) * WIDTH;
    html! {
        svg.chart viewBox={ "0 0 500 " (height) } role="img" aria-label=(title) {
            @for step in 0..=4 {
                @let at = f64::from(step) / 4.0;
                line.grid x1=(x(at)) x2=(x(at)) y1="0" y2=(height - 22.0) {}
                text.axis x=(x(at)) y=(height - 6.0) text-anchor=(anchor(step, 4)) { (format!("{:.0}%", at * 100.0)) }
            }
            @for (at, row) in rows.iter().enumerate() {
                @let top = at as f64 * ROW;
                text.label x=(LEFT) y=(top + 11.0) { (row.name) }
                @if let Some(value) = row.value {
                    rect.bar x=(LEFT) y=(top + 15.0) width=(x(value) - LEFT) height="9" rx="2" {}
                    @if let Some([low, high]) = row.interval { line.interval x1=(x(low)) x2=(x(high)) y1=(top + 19.5) y2=(top + 19.5) {} }
                    @if let Some(before) = row.before { line.before x1=(x(before)) x2=(x(before)) y1=(top + 13.0) y2=(top + 26.0) {} }
                }
            }
        }
    }
}

/// A point of a curve that can be chosen.
pub(super) struct Mark {
    /// Shares, 0 to 1.
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) name: String,
    /// Where choosing it leads.
    pub(super) place: String,
    /// What is chosen, for scripts.
    pub(super) value: String,
    pub(super) class: &'static str,
}

/// A curve of shares over shares, with points to choose.
pub(super) fn curve(title: &str, points: &[(f64, f64)], marks: &[Mark]) -> Markup {
    const LEFT: f64 = 44.0;
    const WIDTH: f64 = 430.0;
    const HEIGHT: f64 = 220.0;
    let highest =
        points.iter().map(|point| point.1).chain(marks.iter().map(|mark| mark.y)).fold(0.0, f64::max);
    // A little room above; a quarter of it is a round share.
    let top = [0.04, 0.08, 0.2, 0.4, 0.6, 0.8].into_iter().find(|top| *top >= highest).unwrap_or(1.0);
    let x = |share: f64| LEFT + share.clamp(0.0, 1.0) * WIDTH;
    let y = |share: f64| 10.0 + HEIGHT * (1.0 - share.clamp(0.0, top) / top);
    let line: Vec<String> =
        points.iter().map(|point| format!("{:.1},{:.1}", x(point.0), y(point.1))).collect();
    html! {
        svg.chart viewBox="0 0 500 262" role="group" aria-label=(title) {
            @for step in 0..=4 {
                @let at = f64::from(step) / 4.0;
                line.grid x1=(x(at)) x2=(x(at)) y1=(y(top)) y2=(y(0.0)) {}
                text.axis x=(x(at)) y="246" text-anchor=(anchor(step, 4)) { (format!("{:.0}%", at * 100.0)) }
                line.grid x1=(LEFT) x2=(LEFT + WIDTH) y1=(y(top * at)) y2=(y(top * at)) {}
                text.axis x=(LEFT - 6.0) y=(y(top * at) + 4.0) text-anchor="end" { (format!("{:.0}%", top * at * 100.0)) }
            }
            text.axis x=(LEFT) y="259" { (title) }
            polyline.curve points=(line.join(" ")) {}
            @for mark in marks {
                a href=(mark.place) data-goal=(mark.value) aria-label=(mark.name) { circle class=(mark.class) cx=(x(mark.x)) cy=(y(mark.y)) r="7" { title { (mark.name) } } }
            }
        }
    }
}

/// Where the words below an axis hang so that they stay inside.
const fn anchor(step: i32, last: i32) -> &'static str {
    if step == 0 {
        "start"
    } else if step == last {
        "end"
    } else {
        "middle"
    }
}

/// A column of parts, each with the class that colours it.
pub(super) struct Column<'a> {
    pub(super) name: &'a str,
    pub(super) parts: Vec<(&'static str, u64)>,
}

/// Columns beside each other, their parts upon each other.
pub(super) fn columns(title: &str, all: &[Column<'_>]) -> Markup {
    const HEIGHT: f64 = 180.0;
    const WIDTH: f64 = 560.0;
    const LEFT: f64 = 44.0;
    let most = all.iter().map(|one| one.parts.iter().map(|(_, count)| *count).sum::<u64>()).max();
    let most = rounded(most.unwrap_or(0));
    let y = |count: u64| 8.0 + HEIGHT * (1.0 - count as f64 / most as f64);
    let step = WIDTH / all.len().max(1) as f64;
    let width = (step * 0.7).min(46.0);
    // As many names as there is room for.
    let every = all.len().div_ceil(10).max(1);
    html! {
        svg.chart viewBox="0 0 620 216" role="img" aria-label=(title) {
            @for part in 0..=2_u64 {
                @let count = most * part / 2;
                line.grid x1=(LEFT) x2=(LEFT + WIDTH) y1=(y(count)) y2=(y(count)) {}
                text.axis x=(LEFT - 6.0) y=(y(count) + 4.0) text-anchor="end" { (count) }
            }
            @for (at, one) in all.iter().enumerate() {
                @let middle = LEFT + step * (at as f64 + 0.5);
                g {
                    title { (one.name) ": " (one.parts.iter().map(|(_, count)| *count).sum::<u64>()) }
                    @for (class, from, to) in stacked(&one.parts) {
                        rect class=(class) x=(middle - width / 2.0) y=(y(to)) width=(width) height=(y(from) - y(to)) {}
                    }
                }
                @if at % every == 0 { text.axis x=(middle) y="208" text-anchor="middle" { (short(one.name)) } }
            }
        }
    }
}

/// Each part with where it begins and ends.
fn stacked(parts: &[(&'static str, u64)]) -> Vec<(&'static str, u64, u64)> {
    let mut sum = 0;
    let whole = parts.iter().map(|(class, count)| {
        let from = sum;
        sum += count;
        (*class, from, sum)
    });
    whole.filter(|(_, from, to)| from < to).collect()
}

/// The end of an axis that holds a count: even, so that its half is whole.
fn rounded(most: u64) -> u64 {
    let mut size = 1;
    loop {
        for step in [2, 4, 10] {
            if size * step >= most {
                return size * step;
            }
        }
        size *= 10;
    }
}

/// A name that fits below a column: of a day, month and day.
fn short(name: &str) -> String {
    let is_day = name.len() == 10 && name.as_bytes()[4] == b'-';
    if is_day { name[5..].to_owned() } else { name.chars().take(8).collect() }
}

#[cfg(test)]
mod tests {
    use super::{Column, columns, rounded};

    #[test]
    fn axes_end_at_even_numbers_that_hold_everything() {
        let ends: Vec<u64> = [0, 2, 3, 5, 11, 37, 41, 100, 101].into_iter().map(rounded).collect();
        assert_eq!(ends, [2, 2, 4, 10, 20, 40, 100, 100, 200]);
    }

    #[test]
    fn names_stay_text_and_nothing_is_no_column() {
        let all = [Column { name: "<script>", parts: vec![("a", 3), ("b", 0)] }];
        let drawn = columns("t", &all).into_string();
        assert!(drawn.contains("&lt;script&gt;: 3") && !drawn.contains("<script>"), "{drawn}");
        assert_eq!(drawn.matches("<rect").count(), 1);
        assert_eq!(columns("t", &[]).into_string().matches("<rect").count(), 0);
    }
}
