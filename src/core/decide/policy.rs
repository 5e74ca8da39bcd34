//! What follows from a confidence?

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::apart::{Apart, Cost, LookAlikes};
use super::calibrate::{LISTED, Outcome};
use super::{Confidence, Decision, Generation, Reason, light};
use crate::kb::EntryId;

/// The goal of an operator and the bar that keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// The goal: at most this share wrong among the answered.
    pub max_wrong: f64,
    /// Answer from this confidence on.
    pub bar: Confidence,
    /// The share answered and the upper bound of the share wrong among them,
    /// on the calibration questions.
    pub expected: Expected,
    /// Which candidates it is for.
    #[serde(default)]
    pub group: Group,
}

/// Candidates that share a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// All of them, but …
    #[default]
    Common,
    /// … one that cannot be told from another entry ([`super::apart`]).
    LookAlike,
}

impl Group {
    /// The word in replies and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Common => "common",
            Self::LookAlike => "look_alike",
        }
    }
}

/// The policies of both generations under one goal; without an encoder they
/// are the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Policies {
    /// Generation 1's.
    pub one: Policy,
    /// Generation 2's.
    pub two: Policy,
    /// Of entries whose bar is above these, by generation.
    look_alike: [HashMap<EntryId, Policy>; 2],
}

impl Policies {
    /// That of a generation.
    pub fn of(&self, generation: Generation) -> &Policy {
        match generation {
            Generation::One => &self.one,
            Generation::Two => &self.two,
        }
    }

    /// That of a generation for a best candidate.
    pub fn of_entry(&self, generation: Generation, entry: &EntryId) -> &Policy {
        let own = self.look_alike[usize::from(generation.number()) - 1].get(entry);
        own.unwrap_or_else(|| self.of(generation))
    }
}

/// What a bar gives on the calibration questions.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Expected {
    /// Share of all questions that are answered.
    pub answer_rate: f64,
    /// Share wrong among the answered.
    pub wrong_rate: f64,
    /// Its upper confidence bound.
    pub wrong_rate_bound: f64,
}

/// The goal unless the operator states another.
pub const DEFAULT_MAX_WRONG: f64 = 0.05;

/// Goals that operators choose from, strictest first.
pub const GOALS: [f64; 9] = [0.01, 0.02, 0.03, 0.05, 0.08, 0.10, 0.15, 0.20, 0.30];

/// One-sided 90 %. The search begins where the first bar passes instead of at
/// one that was fixed beforehand, and customers are not the calibration
/// questions: this is a margin, not a guarantee.
const Z: f64 = 1.281_55;

/// A clarification is offered when the right entry is on the list at least
/// this likely; below, a person is faster than a guess.
const WORTH_ASKING: f64 = 0.5;

/// The share of the list's probability that the offered questions must hold.
const HOLDS: f64 = 0.9;

/// The most questions that are offered.
pub const MOST_OFFERED: usize = LISTED;

/// A reading of a message competes with the surest one from this share of its
/// confidence on.
const RIVAL: f64 = 0.65;

/// Whether another reading of a message, with what would be done by it alone,
/// leaves open which one is meant.
pub fn is_rival(surest: Confidence, other: Confidence, decision: Decision) -> bool {
    decision != Decision::Handoff && other.value() >= RIVAL * surest.value()
}

impl Policy {
    /// The lowest bar whose share wrong, by its upper confidence bound, keeps
    /// the goal on the calibration questions. When none does, the policy
    /// answers only what the exact matcher settles.
    ///
    /// This is fixed-sequence testing as in Learn then Test (Angelopoulos et
    /// al. 2021, arXiv:2110.01052): bars are tested from the strictest down,
    /// and the first that fails ends the search, for a later one that passes by
    /// chance is no better. The test of one bar is the score test (Wilson 1927)
    /// on the effective number of questions; bars with too few to pass are
    /// skipped. Of a smoothed ranking it is the last bar that passes: its shares
    /// only rise, so none passes by the chance of a few questions.
    pub fn for_goal(max_wrong: f64, ranking: &Ranking) -> Self {
        let mut policy =
            Self { max_wrong, bar: Confidence::CERTAIN, expected: Expected::default(), group: Group::Common };
        for &(bar, expected) in &ranking.bars {
            if expected.wrong_rate_bound <= max_wrong {
                (policy.bar, policy.expected) = (bar, expected);
            } else if policy.bar < Confidence::CERTAIN && !ranking.smoothed {
                break;
            }
        }
        policy
    }

    /// The policy of an entry with a look-alike, from the questions that had it
    /// first: the lowest bar, not below the common one, above which no bar has
    /// a larger share wrong than the goal. They are few, so the share is taken
    /// as it is; when the surest is wrong already, nothing but the exact matcher
    /// settles a question of this entry.
    pub fn for_look_alike(common: &Self, ranking: &Ranking) -> Self {
        let group = Group::LookAlike;
        let mut own = Self { bar: Confidence::CERTAIN, expected: Expected::default(), group, ..*common };
        for &(bar, expected) in ranking.bars.iter().take_while(|(bar, _)| *bar >= common.bar) {
            if expected.wrong_rate > common.max_wrong {
                return own;
            }
            (own.bar, own.expected) = (bar, expected);
        }
        Self { bar: common.bar, ..own }
    }

    /// The policy under the same goal for messages in the light of a turn before,
    /// whose confidences are of another kind.
    #[must_use]
    pub fn in_light(&self) -> Self {
        Self { bar: light::bar(self.max_wrong), ..*self }
    }

    /// Decides by the candidates' confidences, best first, and the probability
    /// that the right entry is among them. Also says how many to offer.
    pub fn decide(&self, confidences: &[Confidence], listed: Confidence) -> (Decision, Reason, usize) {
        let Some(&best) = confidences.first() else {
            return (Decision::Handoff, Reason::NoMatch, 0);
        };
        let mut held = 0.0;
        let needed = confidences
            .iter()
            .take(LISTED)
            .take_while(|confidence| {
                let enough = held >= HOLDS * listed.value();
                held += confidence.value();
                !enough
            })
            .count();
        let offered = needed.clamp(2.min(confidences.len()), LISTED);
        if best >= self.bar {
            (Decision::Answer, Reason::Confident, offered)
        } else if listed.value() >= WORTH_ASKING && confidences.len() > 1 {
            let reason = if best.value() >= WORTH_ASKING { Reason::LowConfidence } else { Reason::Ambiguous };
            (Decision::Clarify, reason, offered)
        } else if listed.value() >= WORTH_ASKING / 2.0 {
            (Decision::Handoff, Reason::LowConfidence, offered)
        } else {
            (Decision::Handoff, Reason::NoMatch, offered)
        }
    }
}

/// Every bar that a generation's calibration questions can tell apart, the
/// strictest first, with what it gives. No goal changes them.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    bars: Vec<(Confidence, Expected)>,
    /// Whether the shares wrong were made to rise as bars fall.
    smoothed: bool,
}

impl Ranking {
    /// Sorts the calibration questions by their confidence.
    pub fn new(outcomes: &[Option<Outcome>]) -> Self {
        let total: f64 = outcomes.iter().flatten().map(|Outcome(_, _, weight)| weight).sum();
        let mut order: Vec<&Outcome> = outcomes.iter().flatten().collect();
        order.sort_by(|a, b| b.0.value().total_cmp(&a.0.value()));
        let mut tally = Tally::default();
        let bars = order.chunk_by(|a, b| a.0 == b.0).map(|same| {
            same.iter().for_each(|outcome| tally.add(outcome));
            let expected = Expected {
                answer_rate: tally.answered / total,
                wrong_rate: tally.rate(),
                wrong_rate_bound: tally.bound(),
            };
            (same[0].0, expected)
        });
        Self { bars: bars.collect(), smoothed: false }
    }

    /// The same with shares that only rise as bars fall: less sure is no oftener
    /// right, so where a few questions say otherwise they are taken together with
    /// their neighbours (pool adjacent violators, Ayer et al. 1955). Questions that
    /// weigh much would else decide by where they happen to stand.
    pub fn smoothed(outcomes: &[Option<Outcome>]) -> Self {
        let total: f64 = outcomes.iter().flatten().map(|Outcome(_, _, weight)| weight).sum();
        let mut order: Vec<&Outcome> = outcomes.iter().flatten().collect();
        order.sort_by(|a, b| b.0.value().total_cmp(&a.0.value()));
        // Of each confidence, and of all that were taken together: what is wrong, what it weighs, how many.
        let mut steps: Vec<(Confidence, f64, f64)> = Vec::new();
        let mut pools: Vec<(f64, f64, usize)> = Vec::new();
        for same in order.chunk_by(|a, b| a.0 == b.0) {
            let weight: f64 = same.iter().map(|outcome| outcome.2).sum();
            let wrong: f64 = same.iter().filter(|outcome| !outcome.1).map(|outcome| outcome.2).sum();
            let squares: f64 = same.iter().map(|outcome| outcome.2 * outcome.2).sum();
            if weight <= 0.0 {
                continue;
            }
            steps.push((same[0].0, weight, squares));
            let mut pool = (wrong, weight, 1);
            while let Some(before) = pools.pop_if(|before| before.0 * pool.1 > pool.0 * before.1) {
                pool = (pool.0 + before.0, pool.1 + before.1, pool.2 + before.2);
            }
            pools.push(pool);
        }
        let shares =
            pools.iter().flat_map(|(wrong, weight, count)| std::iter::repeat_n(wrong / weight, *count));
        let mut tally = Tally::default();
        let bars = steps.iter().zip(shares).map(|((bar, weight, squares), share)| {
            tally.answered += weight;
            tally.squares += squares;
            tally.wrong += share * weight;
            let expected = Expected {
                answer_rate: tally.answered / total,
                wrong_rate: tally.rate(),
                wrong_rate_bound: tally.bound(),
            };
            (*bar, expected)
        });
        Self { bars: bars.collect(), smoothed: true }
    }
}

/// The calibration questions of both generations, sorted once: what follows
/// from a goal comes of looking through them.
#[derive(Debug, Clone, PartialEq)]
pub struct Rankings {
    one: Ranking,
    /// `None` without an encoder.
    two: Option<Ranking>,
    /// What both generations made of a question, in the order of the questions …
    both: Vec<(Outcome, Outcome)>,
    /// … and by generation 1's confidence, the highest first.
    falling: Vec<(Outcome, Outcome)>,
    /// The questions whose best candidates have look-alikes, by generation.
    apart: [LookAlikes; 2],
}

impl Rankings {
    /// Sorts the calibration questions. Both lists speak of the same ones, in
    /// one order; there is no second one without an encoder.
    pub fn new(one: &[Option<Outcome>], two: Option<&[Option<Outcome>]>) -> Self {
        let pairs = one.iter().zip(two.unwrap_or_default());
        let both: Vec<(Outcome, Outcome)> = pairs.filter_map(|(&one, &two)| Some((one?, two?))).collect();
        let mut falling = both.clone();
        falling.sort_by(|a, b| b.0.0.value().total_cmp(&a.0.0.value()));
        let apart = [LookAlikes::default(), LookAlikes::default()];
        Self { one: Ranking::new(one), two: two.map(Ranking::new), both, falling, apart }
    }

    /// The same with smoothed shares, where customers' own questions are among them.
    #[must_use]
    pub fn smoothed(one: &[Option<Outcome>], two: Option<&[Option<Outcome>]>) -> Self {
        Self { one: Ranking::smoothed(one), two: two.map(Ranking::smoothed), ..Self::new(one, two) }
    }

    /// The same with the questions whose best candidates have look-alikes;
    /// without an encoder, generation 2 has those of generation 1.
    #[must_use]
    pub fn with_apart(self, one: &[Apart], two: Option<&[Apart]>) -> Self {
        Self { apart: [one, two.unwrap_or(one)].map(LookAlikes::new), ..self }
    }

    /// The policies that keep a goal.
    pub fn policies(&self, max_wrong: f64) -> Policies {
        let [one, two] = self.common(max_wrong);
        let look_alike = [self.apart[0].policies(&one), self.apart[1].policies(&two)];
        Policies { one, two, look_alike }
    }

    /// Both generations' policies for entries without look-alikes.
    fn common(&self, max_wrong: f64) -> [Policy; 2] {
        let one = Policy::for_goal(max_wrong, &self.one);
        [one, self.two.as_ref().map_or(one, |two| Policy::for_goal(max_wrong, two))]
    }

    /// The pairs of entries that are not answered because they are taken for
    /// each other, the dearest first.
    pub fn costs(&self, max_wrong: f64) -> Vec<Cost> {
        let [_, two] = self.common(max_wrong);
        self.apart[1].costs(&two)
    }

    /// The confidence from which on generation 1 may answer before the encoder
    /// has run: the lowest one, not below its own bar, at which answering first
    /// makes no larger share wrong than leaving everything to generation 2. Two
    /// bars that keep a goal each do not keep it together: what only the first
    /// is sure of is wrong more often.
    ///
    /// A looser goal never has the higher value, so that no question is answered
    /// under a strict goal and handed off under a loose one.
    pub fn exit(&self, max_wrong: f64) -> Confidence {
        if self.two.is_none() {
            return self.common(max_wrong)[0].bar;
        }
        let looser = GOALS.iter().copied().filter(|&goal| goal > max_wrong);
        let exits = std::iter::once(max_wrong).chain(looser).map(|goal| self.exit_under(goal).value());
        Confidence::new(exits.fold(0.0, f64::max))
    }

    /// The same, and a looser goal may have the higher value.
    fn exit_under(&self, max_wrong: f64) -> Confidence {
        let [one, two] = self.common(max_wrong);
        let mut tally = Tally::default();
        self.both.iter().filter(|(_, o)| o.0 >= two.bar).for_each(|(_, o)| tally.add(o));
        let alone = tally.rate();
        let sure = self.falling.partition_point(|(o, _)| o.0 >= one.bar);
        let mut exit = Confidence::CERTAIN;
        for same in self.falling[..sure].chunk_by(|a, b| a.0.0 == b.0.0) {
            for (first, second) in same {
                if second.0 >= two.bar {
                    tally.remove(second);
                }
                tally.add(first);
            }
            if tally.rate() <= alone {
                exit = same[0].0.0;
            }
        }
        exit
    }
}

/// Questions answered so far, by weight.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    answered: f64,
    squares: f64,
    wrong: f64,
}

impl Tally {
    fn add(&mut self, &Outcome(_, right, weight): &Outcome) {
        self.answered += weight;
        self.squares += weight * weight;
        self.wrong += if right { 0.0 } else { weight };
    }

    fn remove(&mut self, &Outcome(_, right, weight): &Outcome) {
        self.answered -= weight;
        self.squares -= weight * weight;
        self.wrong -= if right { 0.0 } else { weight };
    }

    /// Wrong / answered; 0 of nothing.
    fn rate(&self) -> f64 {
        if self.answered > 0.0 { (self.wrong / self.answered).max(0.0) } else { 0.0 }
    }

    /// The upper bound of the rate, for as many questions as the weights are worth.
    fn bound(&self) -> f64 {
        wilson_upper(self.rate(), self.answered * self.answered / self.squares)
    }
}

/// The upper end of Wilson's interval for a share of `n` observations.
fn wilson_upper(share: f64, n: f64) -> f64 {
    let z2 = Z * Z;
    let middle = share + z2 / (2.0 * n);
    let spread = Z * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
    ((middle + spread) / (1.0 + z2 / n)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(confidence: f64, right: bool) -> Option<Outcome> {
        Some(Outcome(Confidence::new(confidence), right, 1.0))
    }

    #[test]
    fn the_search_ends_at_the_first_bar_that_fails() {
        // 100 right, then 20 wrong, then 1,000 right: the last would pass again.
        let outcomes: Vec<_> = (0..1120)
            .map(|index| outcome(0.99 - f64::from(index) * 1e-4, !(100..120).contains(&index)))
            .collect();
        let policy = Policy::for_goal(0.05, &Ranking::new(&outcomes));
        assert!((0.979..=0.981).contains(&policy.bar.value()), "{policy:?}");
        assert!(policy.expected.wrong_rate <= policy.expected.wrong_rate_bound);
        let five = Policy::for_goal(0.05, &Ranking::new(&outcomes[..5]));
        assert_eq!(five.bar, Confidence::CERTAIN, "five tell nothing");
    }

    #[test]
    fn one_question_at_the_top_does_not_end_a_smoothed_search() {
        // Forty right ones, one wrong, then 1,000 of which one in fifty is wrong.
        let outcomes: Vec<_> = (0..1041)
            .map(|index| {
                outcome(0.99 - f64::from(index) * 1e-4, index != 40 && (index < 40 || index % 50 != 0))
            })
            .collect();
        let heavy: Vec<_> = outcomes
            .iter()
            .map(|it| {
                it.map(|Outcome(bar, right, _)| {
                    Outcome(bar, right, 1.0 + 9.0 * f64::from(u8::from(bar.value() > 0.985)))
                })
            })
            .collect();
        assert!(Policy::for_goal(0.05, &Ranking::new(&heavy)).bar.value() > 0.98);
        let ranking = Ranking::smoothed(&heavy);
        let rates: Vec<f64> = ranking.bars.iter().map(|(_, expected)| expected.wrong_rate).collect();
        assert!(rates.is_sorted());
        let bars = [0.02, 0.05, 0.1, 0.3].map(|goal| Policy::for_goal(goal, &ranking).bar.value());
        assert!(bars.is_sorted_by(|strict, loose| strict >= loose), "{bars:?}");
        assert!(bars[1] < 0.9, "{bars:?}");
        // What rises everywhere is left as it is.
        let plain = Ranking::new(&outcomes[..41]);
        assert_eq!(Ranking::smoothed(&outcomes[..41]).bars, plain.bars);
    }

    #[test]
    fn answering_first_costs_no_precision() {
        // Generation 1 is right above 0.9 where it agrees with generation 2,
        // and wrong half of the time between 0.8 and 0.9, where 2 hands off.
        let (mut one, mut two) = (Vec::new(), Vec::new());
        for index in 0..200 {
            one.push(outcome(0.95, true));
            two.push(outcome(0.97, true));
            one.push(outcome(0.85, index % 2 == 0));
            two.push(outcome(0.30, index % 2 == 0));
            one.push(outcome(0.20, false));
            two.push(outcome(0.96, index % 50 != 0));
        }
        let rankings = Rankings::new(&one, Some(&two));
        let exit = rankings.exit(0.05);
        assert!((0.86..=0.95).contains(&exit.value()), "{exit:?}");
        for (strict, loose) in [(0.01, 0.05), (0.05, 0.1), (0.1, 0.3)] {
            assert!(rankings.exit(strict) >= rankings.exit(loose));
        }
    }
}
