//! What has left its band, of what all nodes know together?
//!
//! Nodes that share a knowledge base see a part of its questions each: too few for bands,
//! or of another sort than the others'. So every node tells the others its sums by day,
//! and each looks at all of them together. What days that are over add up to is kept in
//! memory, its own and theirs: a look reads the last two days, and is told those of others.
//!
//! Of a node that does not answer what it has told before goes on counting. Its questions
//! of today are missing then, and what is missing must be no alarm: a measure is out when
//! two of three say so, all sums that are known, those of the nodes that answer alone, and
//! the look before.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use super::day::{Day, Days};
use super::drift::{self, ByBase, Drift};
use super::folder;
use super::others::Summed;
use super::record::Kind;
use super::wanted::Wanted;
use crate::error::Result;

/// The own sums are given to whoever asks for so long before they are made anew: when a
/// node has come or gone, all others ask at once.
const FRESH: Duration = Duration::from_secs(30);

/// What was seen at the last look.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// What has left its band today or yesterday, by knowledge base.
    pub drift: BTreeMap<String, Vec<Drift>>,
    /// Nodes whose questions are not all among the sums: they could not be asked.
    pub missing: Vec<String>,
}

/// The days that are looked at.
pub(super) fn present() -> Days {
    Days { from: Day::today().plus(-1), to: Day::today() }
}

/// What the days of a folder from one on add up to, for every knowledge base that was asked
/// something; no more days than a look needs.
pub(super) fn sums(events: &Path, from: Day) -> Result<ByBase> {
    let span = drift::around(present());
    let days = Days { from: from.max(span.from), to: span.to };
    let wanted = Wanted { days, kb: None, kinds: &[Kind::Decision], texts: false, candidates: false };
    let mut sums = ByBase::new();
    folder::read(events, &wanted, &mut |event| {
        if let Some(days) = sums.get_mut(&event.kb) {
            drift::take(days, &event);
        } else {
            drift::take(sums.entry(event.kb.clone()).or_default(), &event);
        }
    })?;
    Ok(sums)
}

/// What is known of a folder of events.
#[derive(Debug, Default)]
struct Known {
    sums: ByBase,
    /// The first day whose sums may still change; all before it is whole.
    open: Option<Day>,
}

impl Known {
    /// The first day that must be asked for, so that all of a span is known.
    fn from(&self, span: Days) -> Day {
        self.open.map_or(span.from, |open| open.max(span.from))
    }

    /// Takes the sums of the days from one on in the place of what was known of them.
    fn take(&mut self, span: Days, from: Day, told: ByBase) {
        let is_whole = from <= self.from(span);
        for days in self.sums.values_mut() {
            days.retain(|day, _| *day >= span.from && *day < from);
        }
        for (kb, days) in told {
            let days = days.into_iter().filter(|(day, _)| (from..=span.to).contains(day));
            self.sums.entry(kb).or_default().extend(days);
        }
        self.sums.retain(|_, days| !days.is_empty());
        // A question of yesterday's last moment may be stored today.
        self.open = is_whole.then(|| span.to.plus(-1));
    }
}

/// What this folder adds up to.
#[derive(Debug, Default)]
pub(super) struct Own {
    known: Known,
    made: Option<Instant>,
}

impl Own {
    /// The sums of the days from one on, as of the last seconds.
    pub(super) fn sums(&mut self, events: &Path, from: Day) -> Result<ByBase> {
        let span = drift::around(present());
        if self.made.is_none_or(|made| made.elapsed() >= FRESH || self.known.from(span) < span.to.plus(-1)) {
            let open = self.known.from(span);
            let made = Instant::now();
            self.known.take(span, open, sums(events, open)?);
            self.made = Some(made);
        }
        let mut told = self.known.sums.clone();
        for days in told.values_mut() {
            days.retain(|day, _| *day >= from);
        }
        Ok(told)
    }
}

/// What other nodes have told.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// By the names of their folders: a node may come back under another address.
    known: BTreeMap<String, Known>,
    /// The folder that each of them has told of last.
    folders: BTreeMap<String, String>,
}

/// What a look goes by, beside what others have told.
pub(super) struct Look<'a> {
    /// The days that are looked at.
    pub(super) days: Days,
    /// The name of this folder.
    pub(super) folder: Option<&'a str>,
    pub(super) own: ByBase,
    /// What the look before has seen.
    pub(super) before: &'a Seen,
    /// Whether nodes that have told nothing yet may just be late.
    pub(super) is_early: bool,
}

impl Watch {
    /// The first day that a node must be asked for.
    pub(super) fn from(&self, node: &str, span: Days) -> Day {
        let known = self.folders.get(node).and_then(|folder| self.known.get(folder));
        known.map_or(span.from, |known| known.from(span))
    }

    /// Says what has left its band, with what others have told when they were asked for
    /// the days from [`Self::from`] on.
    pub(super) fn look(&mut self, look: Look<'_>, told: Vec<Summed>) -> Seen {
        let Look { days, folder, own, before, is_early } = look;
        let span = drift::around(days);
        let (mut missing, mut answered) = (Vec::new(), BTreeSet::new());
        let named: BTreeSet<String> = told.iter().map(|one| one.node.clone()).collect();
        for Summed { node, told } in told {
            let from = self.from(&node, span);
            let Some(told) = told else {
                missing.push(node);
                continue;
            };
            // Where nothing has happened yet nothing is missing, and what lies here is known.
            let Some(theirs) = told.folder.filter(|theirs| Some(theirs.as_str()) != folder) else {
                self.folders.remove(&node);
                continue;
            };
            self.known.entry(theirs.clone()).or_default().take(span, from, told.sums);
            answered.insert(theirs.clone());
            self.folders.insert(node, theirs);
        }
        // Who is not heard of for a day is gone for good.
        self.folders.retain(|node, _| named.contains(node));
        let folders = &self.folders;
        self.known.retain(|folder, _| folders.values().any(|known| known == folder));
        let all = joined(&own, self.known.values().map(|known| &known.sums));
        let here = self.known.iter().filter(|(folder, _)| answered.contains(*folder));
        let here = joined(&own, here.map(|(_, known)| &known.sums));
        let is_unknown = |node: &String| !self.folders.contains_key(node);
        let may_begin = !(is_early && missing.iter().any(is_unknown));
        let none = drift::ByDay::new();
        let of = |(kb, sums): (&String, &drift::ByDay)| {
            let found = if missing.is_empty() {
                drift::drift(sums, days)
            } else {
                let before = before.drift.get(kb).map_or(&[][..], Vec::as_slice);
                agreed([sums, here.get(kb).unwrap_or(&none)], before, days, may_begin)
            };
            (kb.clone(), found)
        };
        let drift = all.iter().map(of).collect();
        missing.sort();
        Seen { drift, missing }
    }
}

/// Whether the node of a name is the one that tells the operator: the first of those who
/// look at the same sums.
pub(super) fn tells(me: &str, told: &[Summed]) -> bool {
    let watches = |one: &Summed| one.told.as_ref().is_some_and(|told| told.watches);
    told.iter().all(|one| me < one.node.as_str() || !watches(one))
}

/// What is out of its band where some nodes do not answer: by all sums that are known, by
/// those of the nodes that do, and by the look before.
fn agreed(sums: [&drift::ByDay; 2], before: &[Drift], days: Days, may_begin: bool) -> Vec<Drift> {
    let [mut all, here] = sums.map(|sums| drift::weighed(sums, days));
    let is_out = |found: &[Drift], day: &str, measure: &str| {
        found.iter().any(|one| one.day == day && one.out.contains(&measure))
    };
    for one in &mut all {
        let says = |measure: &&'static str| {
            let was = is_out(before, &one.day, measure);
            let votes = [one.out.contains(measure), is_out(&here, &one.day, measure), was];
            votes.into_iter().filter(|says| *says).count() >= 2 && (was || may_begin)
        };
        one.out = drift::MEASURES.into_iter().filter(says).collect();
    }
    all.retain(|day| !day.out.is_empty());
    all
}

/// The sums of several folders.
fn joined<'a>(own: &ByBase, theirs: impl Iterator<Item = &'a ByBase>) -> ByBase {
    let mut all = own.clone();
    for (kb, days) in theirs.flatten() {
        let of = all.entry(kb.clone()).or_default();
        for (day, more) in days {
            let sum = of.entry(*day).or_default();
            sum.questions += more.questions;
            sum.unanswered += more.unanswered;
            sum.confidence += more.confidence;
            sum.squares += more.squares;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::drift::{ByDay, OfDay};
    use super::super::others::Sums;
    use super::*;

    fn span() -> Days {
        drift::around(present())
    }

    /// A day of so many questions, of which so many have no answer.
    fn day(questions: u64, unanswered: u64) -> OfDay {
        let n = questions as f64;
        OfDay { questions, unanswered, confidence: 0.8 * n, squares: 0.65 * n }
    }

    /// Eight quiet days and another one.
    fn base(quiet: OfDay, today: OfDay) -> ByBase {
        let back = |back: i64| (Day::today().plus(-back), quiet);
        let mut days: ByDay = (1..=8).map(back).collect();
        days.insert(Day::today(), today);
        [("shop".to_owned(), days)].into()
    }

    fn told(node: &str, sums: ByBase) -> Summed {
        let told = Some(Sums { folder: Some(format!("folder of {node}")), sums, watches: true });
        Summed { node: node.to_owned(), told }
    }

    fn silent(node: &str) -> Summed {
        Summed { node: node.to_owned(), told: None }
    }

    fn look(watch: &mut Watch, own: &ByBase, before: &Seen, is_early: bool, told: Vec<Summed>) -> Seen {
        let own = own.clone();
        watch.look(Look { days: present(), folder: Some("own"), own, before, is_early }, told)
    }

    fn out(seen: &Seen) -> Vec<&'static str> {
        seen.drift.get("shop").into_iter().flatten().flat_map(|day| day.out.clone()).collect()
    }

    #[test]
    fn what_is_too_little_at_each_node_is_enough_at_all_together() {
        let bad = base(day(12, 1), day(12, 11));
        let mut watch = Watch::default();
        let nothing = Seen::default();
        assert!(out(&look(&mut watch, &bad, &nothing, false, Vec::new())).is_empty());
        let seen = look(&mut watch, &bad, &nothing, false, vec![told("b", bad.clone())]);
        assert_eq!(out(&seen), ["unanswered"]);
        assert_eq!((seen.drift["shop"][0].questions, seen.missing.len()), (24, 0));
        // What is out of its band at one node only need not be at all.
        let alone = base(day(30, 3), day(30, 14));
        assert_eq!(out(&look(&mut Watch::default(), &alone, &nothing, false, Vec::new())), ["unanswered"]);
        let many = base(day(900, 90), day(900, 90));
        let seen = look(&mut Watch::default(), &alone, &nothing, false, vec![told("b", many)]);
        assert!(out(&seen).is_empty(), "{seen:?}");
    }

    #[test]
    fn who_does_not_answer_counts_with_what_it_has_told_and_raises_nothing() {
        // One node answers nearly all of its customers, the other one half of them.
        let own = base(day(100, 50), day(100, 50));
        let theirs = base(day(100, 2), day(100, 2));
        let nothing = Seen::default();
        let mut watch = Watch::default();
        assert!(out(&look(&mut watch, &own, &nothing, false, vec![told("b", theirs)])).is_empty());
        // It went at noon; what goes on here makes another share of the day.
        let own_on = base(day(100, 50), day(400, 200));
        let seen = look(&mut watch, &own_on, &nothing, false, vec![silent("b")]);
        assert_eq!((out(&seen), &seen.missing), (Vec::new(), &vec!["b".to_owned()]));
        // All sums that are known do say so, and would raise it.
        let all = joined(&own_on, watch.known.values().map(|known| &known.sums));
        assert_eq!(drift::drift(&all["shop"], present()).len(), 1);
        // What is out of its band without it too is told.
        let bad = base(day(100, 50), day(400, 390));
        let seen = look(&mut watch, &bad, &nothing, false, vec![silent("b")]);
        assert_eq!(out(&seen), ["unanswered"]);
        // And goes on being told while the two disagree.
        let still = look(&mut watch, &own_on, &seen, false, vec![silent("b")]);
        assert_eq!(out(&still), ["unanswered"]);
        // Forgotten with its node.
        assert!(out(&look(&mut watch, &own_on, &still, false, Vec::new())).is_empty());
        assert!(watch.known.is_empty() && watch.folders.is_empty());
    }

    #[test]
    fn a_node_that_may_just_be_late_is_waited_for() {
        let bad = base(day(30, 3), day(30, 29));
        let nothing = Seen::default();
        let seen = look(&mut Watch::default(), &bad, &nothing, true, vec![silent("b")]);
        assert_eq!((out(&seen), seen.missing.len()), (Vec::new(), 1));
        // But not for ever.
        let seen = look(&mut Watch::default(), &bad, &nothing, false, vec![silent("b")]);
        assert_eq!(out(&seen), ["unanswered"]);
    }

    #[test]
    fn days_that_are_over_are_asked_for_once() {
        let mut watch = Watch::default();
        let nothing = Seen::default();
        assert_eq!(watch.from("b", span()), span().from);
        let quiet = base(day(30, 3), day(30, 3));
        look(&mut watch, &ByBase::new(), &nothing, false, vec![told("b", quiet.clone())]);
        assert_eq!(watch.from("b", span()), Day::today().plus(-1));
        // Only the last days come, and the others stay.
        let mut last = quiet.clone();
        let days = last.get_mut("shop").expect("there");
        days.retain(|day, _| *day >= Day::today().plus(-1));
        days.insert(Day::today(), day(60, 58));
        let seen = look(&mut watch, &ByBase::new(), &nothing, false, vec![told("b", last.clone())]);
        assert_eq!((out(&seen), seen.drift["shop"][0].questions), (vec!["unanswered"], 60));
        // Another folder at the same address is asked for all of it.
        let told = Sums { folder: Some("another".to_owned()), sums: last, watches: true };
        let other = Summed { node: "b".to_owned(), told: Some(told) };
        look(&mut watch, &ByBase::new(), &nothing, false, vec![other]);
        assert_eq!(watch.from("b", span()), span().from);
        assert_eq!(watch.known.len(), 1);
    }

    #[test]
    fn one_node_tells_the_operator() {
        let none = ByBase::new();
        let asleep = |node: &str| {
            let told = Sums { folder: None, sums: ByBase::new(), watches: false };
            Summed { node: node.to_owned(), told: Some(told) }
        };
        assert!(tells("b", &[]));
        assert!(tells("a", &[told("b", none.clone())]) && !tells("b", &[told("a", none.clone())]));
        // Who does not look at these sums, or does not answer, tells nobody.
        assert!(tells("c", &[asleep("a"), silent("b"), told("d", none)]));
    }

    #[test]
    fn a_folder_counts_once_whoever_tells_of_it() {
        let bad = base(day(12, 1), day(12, 11));
        let nothing = Seen::default();
        let of = |node: &str, folder: &str| {
            let told = Sums { folder: Some(folder.to_owned()), sums: bad.clone(), watches: true };
            Summed { node: node.to_owned(), told: Some(told) }
        };
        // Two servers on this one's folder, …
        let seen = look(&mut Watch::default(), &bad, &nothing, false, vec![of("b", "own"), of("c", "own")]);
        assert!(out(&seen).is_empty());
        // … and one that has come back under another address.
        let mut watch = Watch::default();
        let none = ByBase::new();
        look(&mut watch, &none, &nothing, false, vec![of("b", "theirs")]);
        let seen = look(&mut watch, &none, &nothing, false, vec![silent("b"), of("c", "theirs")]);
        assert!(out(&seen).is_empty());
        assert_eq!(joined(&none, watch.known.values().map(|known| &known.sums)), bad);
    }
}
