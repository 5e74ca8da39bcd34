//! What do the numbers look like?
//!
//! Every plot is SVG text without scripts, fonts or outside resources.

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use super::{GenerationReport, Report};
use crate::error::{Error, Result};
use crate::eval::metrics::{BINS, Estimate, best_is_right, bin_of, reliability, risk_coverage};
use crate::eval::tune::Choice;

const SIZE: (u32, u32) = (560, 380);
const FONT: (&str, i32) = ("sans-serif", 13);
const GRID: RGBColor = RGBColor(225, 225, 225);
const INK: RGBColor = RGBColor(70, 70, 70);
const GOAL: RGBColor = RGBColor(176, 48, 48);
const RIGHT: RGBColor = RGBColor(27, 127, 77);
const CONFUSED: RGBColor = RGBColor(214, 130, 30);
const OUTSIDE: RGBColor = RGBColor(120, 80, 170);

/// A generation keeps its colour in every plot.
fn colour(generation: &GenerationReport) -> RGBColor {
    if generation.number == 1 { RGBColor(196, 92, 26) } else { RGBColor(27, 99, 176) }
}

type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

fn svg(
    draw: impl FnOnce(&Canvas<'_>) -> std::result::Result<(), Box<dyn std::error::Error>>,
) -> Result<String> {
    let mut text = String::new();
    {
        let canvas = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        draw(&canvas).map_err(|e| Error::internal("plot", e))?;
        canvas.present().map_err(|e| Error::internal("plot", e))?;
    }
    Ok(text)
}

/// Two axes with room for their names.
fn chart<'a, 'b>(
    canvas: &'a Canvas<'b>,
    x: std::ops::Range<f64>,
    y: std::ops::Range<f64>,
) -> std::result::Result<Chart<'a, 'b>, Box<dyn std::error::Error>> {
    let mut builder = ChartBuilder::on(canvas);
    builder.margin(14).margin_right(32).x_label_area_size(46).y_label_area_size(58);
    Ok(builder.build_cartesian_2d(x, y)?)
}

/// What the colours mean, on a ground that the curves may shine through.
fn legend<'a, 'b: 'a>(
    chart: &mut Chart<'a, 'b>,
    position: SeriesLabelPosition,
    ground: impl Into<ShapeStyle>,
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    chart
        .configure_series_labels()
        .position(position)
        .label_font(FONT)
        .background_style(ground)
        .border_style(GRID)
        .draw()?;
    Ok(())
}

/// The share wrong among the answered against the coverage, one curve per
/// generation; a dot marks where the policy stands, a line the goal.
pub fn risk(report: &Report) -> Result<String> {
    let curves: Vec<_> = report.generations.iter().map(|g| (g, risk_coverage(&g.predictions))).collect();
    let highest = curves.iter().flat_map(|(_, curve)| curve).map(|point| point.risk).fold(0.0, f64::max);
    let top = highest.max(report.max_wrong * 2.0).clamp(0.1, 1.0);
    svg(|canvas| {
        let mut chart = chart(canvas, 0.0..1.0, 0.0..top)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .label_style(FONT)
            .x_desc("coverage (answered right / inside)")
            .y_desc("wrong / answered")
            .draw()?;
        let goal = [(0.0, report.max_wrong), (1.0, report.max_wrong)];
        chart
            .draw_series(LineSeries::new(goal, GOAL.stroke_width(1)))?
            .label("goal")
            .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], GOAL));
        for (generation, curve) in &curves {
            let colour = colour(generation);
            chart
                .draw_series(LineSeries::new(
                    curve.iter().map(|p| (p.coverage, p.risk)),
                    colour.stroke_width(2),
                ))?
                .label(format!("generation {}", generation.number))
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
            if let (Some(coverage), Some(risk)) = (generation.overall.coverage, generation.overall.wrong_rate)
            {
                chart.draw_series([Circle::new(
                    (coverage.value, risk.value.min(top)),
                    5,
                    colour.filled(),
                )])?;
            }
        }
        legend(&mut chart, SeriesLabelPosition::UpperLeft, WHITE)
    })
}

/// Coverage and share wrong against the goal that is set.
pub fn trade_off(report: &Report) -> Result<String> {
    let choices = || report.generations.iter().flat_map(|generation| &generation.trade_off);
    let end = choices().map(|choice| choice.max_wrong).fold(0.01, f64::max);
    let shares = |choice: &Choice| [choice.coverage, choice.wrong_rate].map(|s| s.map_or(0.0, |s| s.value));
    let top = choices().flat_map(shares).fold(end, f64::max).min(1.0);
    svg(|canvas| {
        let mut chart = chart(canvas, 0.0..end, 0.0..top)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .label_style(FONT)
            .x_desc("goal set (wrong / answered, at most)")
            .y_desc("share")
            .draw()?;
        chart
            .draw_series(LineSeries::new([(0.0, 0.0), (end.min(top), end.min(top))], GOAL.stroke_width(1)))?;
        for generation in &report.generations {
            let colour = colour(generation);
            let points = |of: fn(&Choice) -> Option<Estimate>| {
                generation.trade_off.iter().filter_map(move |c| of(c).map(|s| (c.max_wrong, s.value)))
            };
            chart
                .draw_series(LineSeries::new(points(|c| c.coverage), colour.stroke_width(2)))?
                .label(format!("generation {}", generation.number))
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
            chart.draw_series(DashedLineSeries::new(
                points(|c| c.wrong_rate),
                6,
                4,
                colour.stroke_width(2),
            ))?;
        }
        legend(&mut chart, SeriesLabelPosition::UpperLeft, WHITE)
    })
}

/// The share right against the confidence; a calibrated engine is on the
/// diagonal. A dot's area grows with its questions.
pub fn calibration(report: &Report) -> Result<String> {
    svg(|canvas| {
        let mut chart = chart(canvas, 0.0..1.0, 0.0..1.0)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .label_style(FONT)
            .x_desc("confidence")
            .y_desc("share right")
            .draw()?;
        chart.draw_series(LineSeries::new([(0.0, 0.0), (1.0, 1.0)], INK.stroke_width(1)))?;
        for generation in &report.generations {
            let colour = colour(generation);
            let bins = reliability(&generation.predictions);
            chart
                .draw_series(LineSeries::new(
                    bins.iter().map(|b| (b.confidence, b.right)),
                    colour.stroke_width(2),
                ))?
                .label(format!("generation {}", generation.number))
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
            let n = generation.predictions.len() as f64;
            chart.draw_series(bins.iter().map(|bin| {
                let radius = (3.0 + 14.0 * (bin.n as f64 / n).sqrt()).round() as i32;
                Circle::new((bin.confidence, bin.right), radius, colour.mix(0.55).filled())
            }))?;
        }
        legend(&mut chart, SeriesLabelPosition::UpperLeft, WHITE)
    })
}

/// How the confidences of three groups lie: inside with the right entry first,
/// inside with a wrong one first, outside. Each group adds up to one, so that
/// a small one shows.
pub fn histogram(generation: &GenerationReport) -> Result<String> {
    let mut groups = [[0usize; BINS]; 3];
    for prediction in &generation.predictions {
        let group = match (prediction.expect.is_inside(), best_is_right(prediction)) {
            (true, true) => 0,
            (true, false) => 1,
            (false, _) => 2,
        };
        groups[group][bin_of(prediction.confidence)] += 1;
    }
    let shares = groups.map(|bins| {
        let total = bins.iter().sum::<usize>().max(1) as f64;
        bins.map(|count| count as f64 / total)
    });
    let top = shares.iter().flatten().copied().fold(0.0, f64::max).max(0.1);
    let bars =
        [("inside, right entry first", RIGHT), ("inside, wrong entry first", CONFUSED), ("outside", OUTSIDE)];
    svg(|canvas| {
        let mut chart = chart(canvas, 0.0..1.0, 0.0..top * 1.05)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .disable_x_mesh()
            .label_style(FONT)
            .x_desc(format!("confidence, generation {}", generation.number))
            .y_desc("share of the group")
            .draw()?;
        let slot = 1.0 / BINS as f64;
        let width = slot * 0.28;
        for (index, ((name, colour), shares)) in bars.into_iter().zip(shares).enumerate() {
            let boxes =
                shares.into_iter().enumerate().filter(|(_, share)| *share > 0.0).map(|(bin, share)| {
                    let left = slot * (bin as f64 + 0.08) + width * index as f64;
                    Rectangle::new([(left, 0.0), (left + width, share)], colour.filled())
                });
            chart
                .draw_series(boxes)?
                .label(name)
                .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 14, y + 5)], colour.filled()));
        }
        legend(&mut chart, SeriesLabelPosition::UpperMiddle, WHITE.mix(0.8))
    })
}

/// The share of questions that were answered within a time, from 1 µs on by
/// powers of ten.
pub fn latency(report: &Report) -> Result<String> {
    let slowest = report.generations.iter().flat_map(|g| &g.predictions).map(|p| p.micros).max().unwrap_or(1);
    let end = (slowest.max(10) as f64).log10().ceil();
    svg(|canvas| {
        let mut chart = chart(canvas, 0.0..end, 0.0..1.0)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .label_style(FONT)
            .x_labels(end as usize + 1)
            .x_label_formatter(&|power| {
                if power.fract() == 0.0 { format!("{:.0}", 10f64.powf(*power)) } else { String::new() }
            })
            .x_desc("microseconds")
            .y_desc("share done")
            .draw()?;
        for generation in &report.generations {
            let colour = colour(generation);
            let mut times: Vec<u64> = generation.predictions.iter().map(|p| p.micros).collect();
            times.sort_unstable();
            let n = times.len().max(1);
            // A hundred steps draw the curve; a thousand questions need no thousand points.
            let step = (n / 100).max(1);
            let points = (0..times.len())
                .step_by(step)
                .chain(times.len().checked_sub(1))
                .map(|index| ((times[index].max(1) as f64).log10(), (index + 1) as f64 / n as f64));
            chart
                .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
                .label(format!("generation {}", generation.number))
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        }
        legend(&mut chart, SeriesLabelPosition::UpperLeft, WHITE)
    })
}
