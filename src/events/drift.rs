//! Has a day left the band that the days before it have drawn?
//!
//! Two measures of every day: the share of questions that were not answered, and
//! the mean confidence in the best candidate. A release, a new product or a
//! change outside moves them together for all questions; what moves single
//! questions is a burst. The band is the mean of up to fourteen days before, three
//! standard deviations to each side: days differ by chance and by themselves.

use std::collections::BTreeMap;

use serde::Serialize;

use super::day::{Day, Days};
use super::log::Log;
use super::record::{Event, Kind};
use super::stats::asks;
use super::wanted::Wanted;
use crate::error::Result;

/// Days that draw the band.
pub(super) const BAND_DAYS: i64 = 14;

/// The band is so many standard deviations wide to each side.
const BAND: f64 = 3.0;

/// Days with fewer questions are left out.
const QUESTIONS: u64 = 20;

/// Fewer days than these draw no band.
const LEAST_DAYS: usize = 3;

/// What is measured of a day.
pub(super) const MEASURES: [&str; 2] = ["unanswered", "confidence"];

/// Reasons that say nothing of how well questions are understood.
const BESIDE: [&str; 3] = ["requested", "sensitive", "angry"];

/// What the questions of a day add up to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct OfDay {
    /// Questions.
    pub questions: u64,
    /// Of them: asked back, or handed to a person.
    pub unanswered: u64,
    /// The sum of the confidences, each 0..=1, …
    pub confidence: f64,
    /// … and that of their squares.
    pub squares: f64,
}

/// By day.
pub type ByDay = BTreeMap<Day, OfDay>;

/// By knowledge base.
pub type ByBase = BTreeMap<String, ByDay>;

/// A day that left the band.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Drift {
    /// The day, +08:00.
    pub day: String,
    /// Questions of that day.
    pub questions: u64,
    /// The share that was not answered, 0..=1.
    pub unanswered: f64,
    /// The band of the days before.
    pub band: [f64; 2],
    /// The mean confidence in the best candidate, 0..=1.
    pub confidence: f64,
    /// The band of the days before.
    pub confidence_band: [f64; 2],
    /// What is out of its band: `unanswered`, `confidence`.
    pub out: Vec<&'static str>,
}

impl OfDay {
    fn share(&self) -> f64 {
        self.unanswered as f64 / self.questions as f64
    }

    fn mean(&self) -> f64 {
        self.confidence / self.questions as f64
    }
}

/// Counts an event where it belongs.
pub(super) fn take(days: &mut ByDay, event: &Event) {
    let reason = event.reason.as_deref().unwrap_or_default();
    if event.kind != Kind::Decision || !asks(event) || BESIDE.contains(&reason) {
        return;
    }
    let day = days.entry(Day::of(event.at)).or_default();
    let confidence = event.confidence.unwrap_or(0.0);
    day.questions += 1;
    day.unanswered += u64::from(event.decision.as_deref() != Some("answer"));
    day.confidence += confidence;
    day.squares += confidence * confidence;
}

/// The sums of some days in a knowledge base.
///
/// # Errors
/// When events cannot be read.
pub fn by_day(log: &Log, kb: &str, days: Days) -> Result<ByDay> {
    let wanted = Wanted { days, kb: Some(kb), kinds: &[Kind::Decision], texts: false, candidates: false };
    let mut found = ByDay::new();
    log.read(&wanted, |event| take(&mut found, &event))?;
    Ok(found)
}

/// The variance of one question's outcome of which there was such a share among so many. Where
/// it has never happened it may happen all the same (Agresti and Coull: two more of each).
fn chance(share: f64, n: f64) -> f64 {
    let smoothed = (share * n + 2.0) / (n + 4.0);
    smoothed * (1.0 - smoothed)
}

/// The days that draw the bands of some days, and these.
#[must_use]
pub fn around(days: Days) -> Days {
    Days { from: days.from.plus(-BAND_DAYS), ..days }
}

/// Those of some days that left their bands, the last one first.
pub fn drift(sums: &ByDay, days: Days) -> Vec<Drift> {
    let mut found = weighed(sums, days);
    found.retain(|day| !day.out.is_empty());
    found
}

/// Those of some days that have a band, with what is out of it, the last one first.
pub(super) fn weighed(sums: &ByDay, days: Days) -> Vec<Drift> {
    let enough = |(_, day): &(&Day, &OfDay)| day.questions >= QUESTIONS;
    let mut found = Vec::new();
    for (&day, of) in sums.range(days.from..=days.to).filter(enough) {
        let before: Vec<OfDay> =
            sums.range(day.plus(-BAND_DAYS)..day).filter(enough).map(|(_, of)| *of).collect();
        if before.len() < LEAST_DAYS {
            continue;
        }
        let sum = |value: fn(&OfDay) -> f64| before.iter().map(value).sum::<f64>();
        let n = sum(|day| day.questions as f64);
        // The chance of one question, the difference of days, and what this day's number leaves of them.
        let band = |mean: f64, of_one: f64, value: fn(&OfDay) -> f64| {
            let between =
                before.iter().map(|day| (value(day) - mean).powi(2)).sum::<f64>() / before.len() as f64;
            // Of this day's number, and of those that the mean is of.
            let spread = (of_one * (1.0 / of.questions as f64 + 1.0 / n) + between).sqrt();
            [(mean - BAND * spread).max(0.0), (mean + BAND * spread).min(1.0)]
        };
        let share = sum(|day| day.unanswered as f64) / n;
        let mean = sum(|day| day.confidence) / n;
        let one = Drift {
            day: day.to_string(),
            questions: of.questions,
            unanswered: of.share(),
            band: band(share, chance(share, n), OfDay::share),
            confidence: of.mean(),
            confidence_band: band(mean, (sum(|day| day.squares) / n - mean * mean).max(0.0), OfDay::mean),
            out: Vec::new(),
        };
        let is_out = |value: f64, band: [f64; 2]| value < band[0] || value > band[1];
        let measures = [is_out(one.unanswered, one.band), is_out(one.confidence, one.confidence_band)];
        let out = MEASURES.into_iter().zip(measures).filter(|(_, out)| *out).map(|(name, _)| name).collect();
        found.push(Drift { out, ..one });
    }
    found.reverse();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(last: OfDay) -> (ByDay, Days) {
        let today: Day = "2026-11-27".parse().expect("a day");
        let quiet = |back: i64| {
            // 9 to 11 in 100 are not answered; confidences of 0.8 on the average.
            let unanswered = 18 + u64::try_from(back % 5).expect("positive");
            (today.plus(-back), OfDay { questions: 200, unanswered, confidence: 160.0, squares: 135.0 })
        };
        let mut sums: ByDay = (1..=9).map(quiet).collect();
        sums.insert(today, last);
        (sums, Days { from: today.plus(-6), to: today })
    }

    #[test]
    fn a_day_like_the_others_is_no_drift() {
        let (sums, span) = days(OfDay { questions: 200, unanswered: 22, confidence: 158.0, squares: 132.0 });
        assert_eq!(drift(&sums, span), []);
        let (few, span) = days(OfDay { questions: 10, unanswered: 10, confidence: 0.0, squares: 0.0 });
        assert_eq!(drift(&few, span), [], "a few questions tell nothing");
    }

    #[test]
    fn either_measure_can_leave_its_band() {
        let (sums, span) = days(OfDay { questions: 200, unanswered: 80, confidence: 159.0, squares: 134.0 });
        let found = drift(&sums, span);
        assert_eq!((found.len(), found[0].day.as_str()), (1, "2026-11-27"));
        assert_eq!(found[0].out, ["unanswered"]);
        assert!(found[0].unanswered > found[0].band[1]);
        let (sums, span) = days(OfDay { questions: 200, unanswered: 20, confidence: 120.0, squares: 80.0 });
        let found = drift(&sums, span);
        assert_eq!(found[0].out, ["confidence"]);
        assert!(found[0].confidence < found[0].confidence_band[0]);
    }

    #[test]
    fn what_asks_nothing_does_not_count() {
        let event = |reason: &str, decision: &str| Event {
            reason: Some(reason.to_owned()),
            decision: Some(decision.to_owned()),
            confidence: Some(0.5),
            ..Event::now(Kind::Decision, "shop")
        };
        let mut sums = ByDay::new();
        for (reason, decision) in [
            ("confident", "answer"),
            ("no_match", "handoff"),
            ("small_talk", "answer"),
            ("requested", "handoff"),
        ] {
            take(&mut sums, &event(reason, decision));
        }
        let day = sums[&Day::today()];
        assert_eq!((day.questions, day.unanswered, day.confidence), (2, 1, 1.0));
    }
}
