//! What do the ranked lists say together?

use foldhash::{HashMap, HashSet};
use serde::{Deserialize, Serialize};

use super::Generation;
use crate::encoder::Encoder;
use crate::retrieve::lexical::{Overlap, Statistics, Visible};
use crate::retrieve::semantic::{Nearness, Scan};
use crate::retrieve::wording::{Weighted, Wording};
use crate::retrieve::{Except, Phrasing};
use crate::text::{Codes, Lexicon, Naming, Query, another_account, differ, grams, left_open, other_topics};

/// Entries that each matcher contributes.
pub const CANDIDATES: usize = 20;

/// The weights of the common order, on the scale of a softmax over the
/// candidates. Fitted once to pairs of question and right entry among the
/// candidates (conditional logit), each set with the weights of the others,
/// and rounded. See corpora/README.md.
struct Weights {
    /// BM25 as a share of the best in its list.
    lexical: f32,
    /// The mean BM25 of the best three phrasings, as a share of the same.
    together: f32,
    /// The share of the question's words that the entry has anywhere.
    explained: f32,
    /// The cosine of the nearest phrasing, in standard units ([`Scale`]).
    nearest: f32,
    /// The mean cosine of all phrasings, in standard units.
    mean: f32,
}

/// Without the encoder.
const WITHOUT_ENCODER: Weights =
    Weights { lexical: 0.9, together: 5.5, explained: 6.7, nearest: 0.0, mean: 0.0 };

/// With it.
const WITH_ENCODER: Weights =
    Weights { lexical: 1.3, together: 3.3, explained: 4.8, nearest: 0.55, mean: 0.9 };

/// A lead over the second, and over the third, beyond this says no more.
const FULL_LEAD: [f32; 2] = [4.0, 6.0];

/// Where question and phrasing share less than this, a detail that differs is
/// one of many, and is not looked for.
const LEAST_ALIKE: f32 = 0.2;

/// How many candidates of a question that names a model are looked through for
/// that name.
const NAMED: usize = 8;

/// From this value of `contradicted` on, a question is taken for one about
/// another matter in the words of a stored one.
pub(super) const OTHER_MATTER: f64 = 0.5;

/// Two words so near each other, in standard units ([`Scale`]), are taken for names of one
/// thing: 寄存柜 and 储物柜, and not 米饭 and 餐具.
const ONE_THING: f32 = 1.6;

/// In a question of so many characters one detail is half of the matter.
const SHORT: usize = 10;

/// Characters beyond this say no more: what was learned on questions must not
/// be carried on to novels.
const FULL_LENGTH: usize = 30;

/// What cosines mean here: their mean and spread between background
/// strangers and the entry nearest to each. In these standard units, models
/// and knowledge bases become comparable: 0 is "as near as a stranger".
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Scale {
    /// Mean cosine of a stranger with its nearest phrasing.
    pub nearest: f32,
    /// Its standard deviation.
    pub nearest_spread: f32,
    /// Mean over strangers of the mean cosine with the nearest entry's phrasings.
    pub mean: f32,
    /// Its standard deviation.
    pub mean_spread: f32,
}

impl Scale {
    /// Measures the scale on the entries nearest to strangers; `None` without any.
    pub fn measure(of_strangers: &[Nearness]) -> Option<Self> {
        let nearest: Vec<f32> = of_strangers.iter().map(|one| one.best.score).collect();
        let mean: Vec<f32> = of_strangers.iter().map(|one| one.mean).collect();
        let (nearest, nearest_spread) = moments(&nearest)?;
        let (mean, mean_spread) = moments(&mean)?;
        Some(Self { nearest, nearest_spread, mean, mean_spread })
    }

    fn nearest_units(&self, cosine: f32) -> f32 {
        (cosine - self.nearest) / self.nearest_spread
    }

    fn mean_units(&self, cosine: f32) -> f32 {
        (cosine - self.mean) / self.mean_spread
    }
}

/// Mean and standard deviation; the latter never quite zero.
fn moments(values: &[f32]) -> Option<(f32, f32)> {
    if values.is_empty() {
        return None;
    }
    let count = values.len() as f32;
    let mean = values.iter().sum::<f32>() / count;
    let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / count;
    Some((mean, variance.sqrt().max(1e-3)))
}

/// What the matchers found for a question.
pub struct Lists<'a> {
    /// The question.
    pub query: &'a Query,
    /// Entries by BM25, best first.
    pub lexical: &'a [Overlap],
    /// How near entries are and the scale of it; `None` when the encoder did not run.
    pub semantic: Option<(&'a Scan<'a>, &'a Scale)>,
    /// What tells whether two words name one thing; looked at with `semantic` only.
    pub encoder: Option<&'a Encoder>,
}

/// What a release knows of words.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// Its words.
    pub lexicon: &'a Lexicon,
    /// How rare each character is.
    pub statistics: &'a Statistics,
    /// The phrasings of the release.
    pub phrasings: &'a [Phrasing],
    /// What each entry says.
    pub wording: &'a Wording,
}

/// What evidence is measured against: how much each of a question's characters
/// and pairs counts here.
pub struct Yardstick<'a> {
    known: Known<'a>,
    except: Except<'a>,
    visible: Visible<'a>,
    grams: Vec<String>,
    /// What each of them counts.
    weights: Vec<f32>,
    weighted: Weighted,
    codes: Codes<'a>,
}

impl<'a> Yardstick<'a> {
    /// For one question; what the search could not find does not count as
    /// known either.
    pub fn new(known: Known<'a>, query: &'a Query, except: Except<'a>) -> Self {
        let hidden = known.phrasings.iter().enumerate();
        let hidden = hidden.filter(|(index, phrasing)| except.hides(*index, phrasing.entry));
        let visible = match except {
            Except::Nothing => known.statistics.without(std::iter::empty()),
            _ => known.statistics.without(hidden.map(|(_, phrasing)| phrasing)),
        };
        let grams = grams(&query.text.core);
        let weights: Vec<f32> = grams.iter().map(|gram| visible.idf(gram)).collect();
        let weighted = Weighted::new(&grams, weights.iter().copied());
        let codes = Codes::of(&query.text.core);
        Self { known, except, visible, grams, weights, weighted, codes }
    }

    fn explained(&self, entry: usize) -> f32 {
        self.known.wording.share(&self.weighted, entry, self.except)
    }

    fn core(&self, phrasing: usize) -> &'a str {
        &self.known.phrasings[phrasing].normalized.core
    }

    /// The phrasings that were found for an entry, one or two.
    fn best(&self, found: &Ranked) -> Vec<&'a str> {
        // Mostly both are one.
        let meant = found.meant.filter(|_| found.meant != found.worded);
        found.worded.into_iter().chain(meant).map(|phrasing| self.core(phrasing)).collect()
    }

    fn every(&self, found: &Ranked) -> impl Iterator<Item = &'a str> + Clone {
        self.known.wording.phrasings_of(found.entry, self.except).map(|phrasing| self.core(phrasing))
    }

    /// Whether the question and what was found for it name one model.
    fn naming(&self, found: &Ranked) -> Naming {
        self.codes.naming(&self.best(found), self.every(found))
    }

    /// Whether the phrasings that were found for an entry differ from the
    /// question in a detail, and no other phrasing of it agrees.
    fn differs(&self, query: &Query, found: &Ranked) -> bool {
        differ(self.known.lexicon, query, &self.best(found), self.every(found))
    }

    /// Whether the question says of another thing what an entry says.
    fn is_of_another_thing(&self, lists: &Lists<'_>, found: &Ranked) -> bool {
        let Some(things) =
            other_topics(self.known.lexicon, lists.query, &self.best(found), self.every(found))
        else {
            return false;
        };
        // Words that mean nearly the same are two names of one thing.
        let nearness = |(asked, stored): &(String, String)| {
            let ((_, scale), encoder) = lists.semantic.zip(lists.encoder)?;
            let cosine = encoder.embed(asked).ok()?.cosine(&encoder.embed(stored).ok()?);
            Some(scale.nearest_units(cosine))
        };
        things.iter().all(|pair| nearness(pair).is_none_or(|units| units < ONE_THING))
    }

    /// Whether the question leaves open which of two candidates is meant.
    fn is_open(&self, query: &Query, ranked: &[Ranked]) -> bool {
        let Some((found, others)) = ranked.split_first() else { return false };
        let others = others.iter().flat_map(|other| self.every(other));
        left_open(self.known.lexicon, &query.text.core, &self.best(found), others)
    }

    /// How much a question that is so much `alike` contradicts what was found first.
    fn contradicted(&self, query: &Query, ranked: &[Ranked], alike: f32) -> f32 {
        let found = &ranked[0];
        let naming = self.naming(found);
        if naming == Naming::Other || another_account(&query.text.core, self.every(found)) {
            // Another model, another's account: another matter, whatever else is the same.
            return 1.0;
        }
        if self.is_open(query, ranked) {
            return alike.max(OTHER_MATTER as f32);
        }
        let differs = || naming == Naming::Unlike || self.differs(query, found);
        if alike < LEAST_ALIKE || !differs() {
            return 0.0;
        }
        // In a short question the detail itself is much of what differs.
        let short = query.text.core.chars().count() <= SHORT;
        if short { alike.max(OTHER_MATTER as f32) } else { alike }
    }

    /// Puts entries about the model that the question names before those about
    /// another one, among the first of a list that is in order.
    fn put_named_first(&self, ranked: &mut [Ranked]) {
        if self.codes.is_empty() {
            return;
        }
        let count = NAMED.min(ranked.len());
        let first = &mut ranked[..count];
        let naming: Vec<Naming> = first.iter().map(|item| self.naming(item)).collect();
        if naming.contains(&Naming::Same) {
            for (item, _) in first.iter_mut().zip(naming).filter(|(_, naming)| *naming == Naming::Other) {
                item.score -= FULL_LEAD[0];
            }
            in_order(ranked);
        }
    }
}

/// One entry in the common order of all matchers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// Position of the entry in the release.
    pub entry: usize,
    /// Position of its phrasing that BM25 found, if it did.
    pub worded: Option<usize>,
    /// Position of its phrasing that the encoder found nearest, if it ran.
    pub meant: Option<usize>,
    /// BM25, 0 when the entry is not in that list.
    pub lexical: f32,
    /// The mean BM25 of its best three phrasings.
    pub together: f32,
    /// How much of the question's characters and pairs (by idf) the entry has
    /// in any phrasing or answer.
    pub explained: f32,
    /// Cosine of the nearest phrasing, in standard units.
    pub nearest: f32,
    /// Mean cosine of the phrasings, in standard units.
    pub mean: f32,
    /// What the order is by: the exponent of a softmax over the list.
    pub score: f32,
}

/// The common order of the candidates.
pub fn rank(lists: &Lists<'_>, yardstick: &Yardstick<'_>) -> Vec<Ranked> {
    let best_lexical = lists.lexical.first().map_or(0.0, |overlap| overlap.best.score);
    let share = |score: f32| if best_lexical > 0.0 { score / best_lexical } else { 0.0 };
    let mut ranked: HashMap<usize, Ranked> = HashMap::default();
    let unseen = |entry| Ranked {
        entry,
        worded: None,
        meant: None,
        lexical: 0.0,
        together: 0.0,
        explained: yardstick.explained(entry),
        nearest: 0.0,
        mean: 0.0,
        score: 0.0,
    };
    for Overlap { best, together } in lists.lexical.iter().take(CANDIDATES) {
        let item = ranked.entry(best.entry).or_insert_with(|| unseen(best.entry));
        item.worded = Some(best.phrasing);
        item.lexical = best.score;
        item.together = *together;
    }
    if let Some((scan, scale)) = lists.semantic {
        for candidate in scan.top(CANDIDATES) {
            ranked.entry(candidate.entry).or_insert_with(|| unseen(candidate.entry));
        }
        for item in ranked.values_mut() {
            let Some(nearness) = scan.entry(item.entry) else { continue };
            item.meant = Some(nearness.best.phrasing);
            item.nearest = scale.nearest_units(nearness.best.score);
            item.mean = scale.mean_units(nearness.mean);
        }
    }
    let weights = if lists.semantic.is_some() { WITH_ENCODER } else { WITHOUT_ENCODER };
    let mut ranked: Vec<Ranked> = ranked
        .into_values()
        .map(|item| Ranked {
            score: weights.lexical * share(item.lexical)
                + weights.together * share(item.together)
                + weights.explained * item.explained
                + weights.nearest * item.nearest
                + weights.mean * item.mean,
            ..item
        })
        .collect();
    in_order(&mut ranked);
    yardstick.put_named_first(&mut ranked);
    ranked
}

/// Best first; equal scores in the order of the release.
fn in_order(ranked: &mut [Ranked]) {
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.entry.cmp(&b.entry)));
}

/// The names of the numbers in [`Evidence`], in the order of
/// [`Evidence::features`]. Every one but `length`, `unknown` and `contradicted`
/// speaks for the best candidate when it is high.
pub const FEATURES: [&str; 12] = [
    "relative",
    "covered",
    "covers",
    "explained",
    "contradicted",
    "lead",
    "lead_over_third",
    "length",
    "unknown",
    "nearest",
    "mean",
    "agreement",
];

/// The number of [`FEATURES`] that a generation has.
pub fn feature_count(generation: Generation) -> usize {
    match generation {
        Generation::One => 9,
        Generation::Two => FEATURES.len(),
    }
}

/// What speaks for the best candidate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Evidence {
    /// Its BM25 as a share of what a phrasing with all the question's terms would get.
    pub relative: f32,
    /// How much of the question's characters and pairs (by idf) its phrasing has.
    pub covered: f32,
    /// How much of its phrasing's characters and pairs (by idf) the question has.
    pub covers: f32,
    /// How much of the question's characters and pairs (by idf) the entry has
    /// in any phrasing or answer.
    pub explained: f32,
    /// Where a detail of the question (a number, a side of a contrast, the
    /// order of two things) is another one in its phrasing: how alike both are
    /// else, the lower of `covered` and `covers`. 0 where no detail differs, and
    /// where they share next to nothing; 1 where they name two models. At least 0.5
    /// where the question leaves open which side of a contrast of the knowledge base is meant,
    /// and where it says of another thing what the phrasing says.
    pub contradicted: f32,
    /// The same but for another thing that the question begins with.
    #[serde(skip)]
    pub by_details: f32,
    /// Its score's distance to the next entry in the common order.
    pub lead: f32,
    /// The same to the one after that: two that are near each other and far
    /// from all others are another case than three.
    pub lead_over_third: f32,
    /// ln(1 + characters) of the question, up to 30 of them.
    pub length: f32,
    /// How much of the question's characters (by idf) no phrasing at all has.
    pub unknown: f32,
    /// The cosine of its nearest phrasing, in standard units.
    pub nearest: f32,
    /// The mean cosine of its phrasings, in standard units.
    pub mean: f32,
    /// 1 when BM25 has the same entry first.
    pub agreement: f32,
}

impl Evidence {
    /// Gathers the evidence for the first of `ranked`; `None` when it is empty.
    pub fn gather(lists: &Lists<'_>, ranked: &[Ranked], yardstick: &Yardstick<'_>) -> Option<Self> {
        let first = ranked.first()?;
        let core = &lists.query.text.core;
        let Yardstick { known, visible, grams: question, weights, .. } = yardstick;
        let total: f32 = weights.iter().sum();
        let asked = set(question);
        let (mut covered, mut covers) = (0f32, 0f32);
        // The phrasing that shares words and the one that means the same may
        // be two; either one speaks for the entry.
        for phrasing in first.worded.into_iter().chain(first.meant) {
            let phrasing = grams(&known.phrasings[phrasing].normalized.core);
            covered = covered.max(share(question, weights.iter().copied(), &set(&phrasing)));
            covers = covers.max(share(&phrasing, phrasing.iter().map(|gram| visible.idf(gram)), &asked));
        }
        let alike = covered.min(covers);
        let by_details = yardstick.contradicted(lists.query, ranked, alike);
        let of_another_thing =
            f64::from(by_details) < OTHER_MATTER && yardstick.is_of_another_thing(lists, first);
        let unknown = question.iter().zip(weights).filter(|(gram, _)| !visible.knows(gram));
        let unknown: f32 = unknown.map(|(_, weight)| weight).sum();
        let best_lexical = lists.lexical.first().map(|overlap| overlap.best);
        let lead = |place: usize| {
            let full = FULL_LEAD[place - 1];
            ranked.get(place).map_or(full, |other| (first.score - other.score).min(full))
        };
        Some(Self {
            // A term that occurs once in a phrasing of average length scores its idf.
            relative: if total > 0.0 { first.lexical / total } else { 0.0 },
            covered,
            covers,
            explained: first.explained,
            contradicted: if of_another_thing { alike.max(OTHER_MATTER as f32) } else { by_details },
            by_details,
            lead: lead(1),
            lead_over_third: lead(2),
            length: (1.0 + core.chars().count().min(FULL_LENGTH) as f32).ln(),
            unknown: if total > 0.0 { unknown / total } else { 1.0 },
            nearest: first.nearest,
            mean: first.mean,
            agreement: f32::from(best_lexical.is_some_and(|best| best.entry == first.entry)),
        })
    }

    /// What speaks for it to a customer who leaves out the thing that the question begins with.
    #[must_use]
    pub fn by_details(self) -> Self {
        Self { contradicted: self.by_details, ..self }
    }

    /// The numbers that a generation's calibration reads, in the order of [`FEATURES`].
    pub fn features(&self, generation: Generation) -> Vec<f64> {
        let all = [
            self.relative,
            self.covered,
            self.covers,
            self.explained,
            self.contradicted,
            self.lead,
            self.lead_over_third,
            self.length,
            self.unknown,
            self.nearest,
            self.mean,
            self.agreement,
        ];
        all[..feature_count(generation)].iter().map(|&value| f64::from(value)).collect()
    }
}

/// How much of `part`, by weight, also stands in `whole`.
pub fn weighted_share(part: &[String], whole: &[String], weight: impl Fn(&String) -> f32) -> f32 {
    share(part, part.iter().map(weight), &set(whole))
}

fn set(grams: &[String]) -> HashSet<&str> {
    grams.iter().map(String::as_str).collect()
}

/// The same with the weights of `part`, one after the other.
fn share(part: &[String], weights: impl Iterator<Item = f32>, whole: &HashSet<&str>) -> f32 {
    let (mut all, mut common) = (0f32, 0f32);
    for (gram, weight) in part.iter().zip(weights) {
        all += weight;
        if whole.contains(gram.as_str()) {
            common += weight;
        }
    }
    if all > 0.0 { common / all } else { 0.0 }
}
