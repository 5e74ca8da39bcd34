//! What does a message mean in the light of the turn before?
//!
//! The entries that it may mean are those that it finds alone, those that it finds
//! together with the question before, and the entry that was answered; what speaks
//! for each is gathered here, and [`crate::decide::light`] weighs it.

use std::collections::{BTreeMap, HashSet};

use super::followup::{Fragment, Kind};
use super::turn::{Read, Reader};
use super::{Answered, Context, Reading};
use crate::decide::light::{Evidence, Field, gives_way, is_better};
use crate::decide::{Confidence, Decision};
use crate::engine::{Outcome, Scored};
use crate::error::Result;
use crate::kb::EntryId;
use crate::retrieve::Except;
use crate::text::{Normalized, grams};

/// The entries that a message may mean in the light of the turn before.
#[derive(Debug, Clone, PartialEq)]
pub struct Light {
    /// Their ids.
    pub entries: Vec<EntryId>,
    /// What speaks for each of them, in the same order, and for none.
    pub field: Field,
}

/// Characters and pairs of a text with what each counts.
struct Grams(BTreeMap<String, f64>);

impl Grams {
    fn total(&self) -> f64 {
        self.0.values().sum()
    }

    /// The share that stands somewhere, by weight; 0 when there is nothing.
    fn share(&self, stands: impl Fn(&str) -> bool) -> f64 {
        let held: f64 = self.0.iter().filter(|(gram, _)| stands(gram)).map(|(_, weight)| weight).sum();
        let total = self.total();
        if total > 0.0 { held / total } else { 0.0 }
    }
}

/// How sure the readings are of an entry.
#[derive(Default, Clone, Copy)]
struct Found {
    alone: f64,
    light: f64,
    first_alone: bool,
    first_light: bool,
    /// Which of the completed questions found it surest.
    text: usize,
}

/// What a message is compared with.
struct Turned<'a> {
    fragment: &'a Fragment,
    /// The entry that was answered before.
    answered: Option<usize>,
    lacking: bool,
    asked: Grams,
    matter: Grams,
    /// Both, and the whole question before.
    said: HashSet<String>,
}

/// The message in the light of the turn before, in certain words.
struct Lit<'a> {
    turned: Turned<'a>,
    light: Light,
    found: BTreeMap<usize, Found>,
    reads: Vec<Read>,
}

impl Lit<'_> {
    /// How sure the surest entry is.
    fn surest(&self) -> f64 {
        self.light.field.confidences().iter().map(|it| it.value()).fold(0.0, f64::max)
    }
}

/// What a message goes on from: the entry that was answered, if one was, and the core of
/// the question.
struct Gone<'a> {
    answered: Option<(&'a Answered, usize)>,
    before: String,
}

impl Reader<'_> {
    /// The message in the light of the turn before, where that is better.
    pub(super) fn in_light(&self, normal: &Normalized, alone: Read) -> Result<Read> {
        let release = self.engine.release();
        let analyzer = release.analyzer();
        let Context { answered, asked, asked_back, .. } = self.context;
        let (of, before) = match (answered, asked) {
            (Some(answered), _) => {
                let Some(at) = self.available(&answered.entry) else { return Ok(alone) };
                (Some((answered, at)), release.entries()[at].question.as_str())
            }
            (None, Some(asked)) if *asked_back => (None, asked.as_str()),
            _ => return Ok(alone),
        };
        let Some(fragment) = Fragment::of(&normal.core, &normal.written) else { return Ok(alone) };
        let gone = Gone { answered: of, before: analyzer.normalize(before).core };
        let lacking = fragment.is_lacking(analyzer, &gone.before);
        if alone.outcome.decision == Decision::Answer && !lacking {
            return Ok(alone);
        }
        let mut lit = self.lit(&fragment, &gone, lacking, &alone)?;
        // 要钱吗 means what 收费吗 means, whichever of them the entries have.
        let plain = fragment.plainly();
        if let Some(plain) = &plain {
            let other = self.lit(plain, &gone, lacking, &alone)?;
            if other.surest() > lit.surest() {
                lit = other;
            }
        }
        let Lit { turned, light, found, reads } = lit;
        Ok(Read { light: Some(light.clone()), ..self.better(&turned, &light, &found, alone, reads) })
    }

    /// What is found for a fragment, beside what the message finds alone.
    fn lit<'a>(
        &self,
        fragment: &'a Fragment,
        gone: &Gone<'_>,
        lacking: bool,
        alone: &Read,
    ) -> Result<Lit<'a>> {
        let release = self.engine.release();
        let analyzer = release.analyzer();
        let Gone { answered: of, before } = gone;
        let mut texts = fragment.completed(analyzer, before);
        // What the customer said may have what the entry's question has not.
        if let (Kind::Topic, Some((answered, _))) = (fragment.kind(), of)
            && let Some(question) = fragment.exchanged(analyzer, &analyzer.normalize(&answered.text).core)
            && fragment.exchanged(analyzer, before).is_none()
        {
            texts = vec![question];
        }
        let mut reads: Vec<Read> = Vec::new();
        for text in texts {
            let of = of.map(|(answered, _)| answered.entry.clone());
            let read = self.asked(&text, Reading::InLight { of, text: text.clone() })?;
            if read.outcome.reason.is_scored() || read.outcome.decision == Decision::Answer {
                reads.push(read);
            }
        }
        let turned = self.turned(fragment, of.map(|(_, at)| at), before, lacking);
        let found = found(alone, &reads, turned.answered);
        let field = Field {
            entries: found.iter().map(|(&at, found)| self.evidence(&turned, at, found)).collect(),
            none: none(&turned),
        };
        let light =
            Light { entries: found.keys().map(|&at| release.entries()[at].id.clone()).collect(), field };
        Ok(Lit { turned, light, found, reads })
    }

    /// The better one of the message's own reading and that in the light.
    fn better(
        &self,
        turned: &Turned<'_>,
        light: &Light,
        found: &BTreeMap<usize, Found>,
        alone: Read,
        mut reads: Vec<Read>,
    ) -> Read {
        let confidences = light.field.confidences();
        let mut candidates: Vec<Scored> = found
            .keys()
            .zip(&confidences)
            .map(|(&entry, &confidence)| Scored { entry, confidence })
            .collect();
        candidates.sort_by(|a, b| b.confidence.value().total_cmp(&a.confidence.value()));
        let Some(best) = candidates.first().copied() else { return alone };
        let sure: Vec<Confidence> = candidates.iter().map(|it| it.confidence).collect();
        let listed = Confidence::new(sure.iter().map(|it| it.value()).sum());
        let policy = self.engine.policy(self.message.options.generation).in_light();
        let (decision, reason, offered) = policy.decide(&sure, listed);
        let own = alone.outcome.best().map(|best| best.entry);
        let better = if alone.outcome.decision == Decision::Answer {
            let kept = candidates.iter().find(|it| Some(it.entry) == own).map(|it| it.confidence);
            own != Some(best.entry)
                && gives_way(decision, kept.unwrap_or(Confidence::new(0.0)), turned.lacking)
        } else {
            is_better(decision, alone.outcome.decision, turned.lacking)
        };
        if !better {
            return alone;
        }
        candidates.truncate(Outcome::CANDIDATES);
        let micros = alone.outcome.micros + reads.iter().map(|read| read.outcome.micros).sum::<u64>();
        let generation =
            reads.iter().map(|read| read.outcome.generation).fold(alone.outcome.generation, |most, other| {
                if other.number() > most.number() { other } else { most }
            });
        let at = found.get(&best.entry).map_or(0, |found| found.text);
        let told = if at < reads.len() { Some(reads.swap_remove(at)) } else { None };
        let of = turned.answered.map(|at| self.engine.release().entries()[at].id.clone());
        let asked = self.message.text.trim().to_owned();
        let (reading, trace, question) = match told {
            Some(read) => (read.reading, read.trace, read.question),
            None => (Reading::InLight { of, text: asked.clone() }, alone.trace, Some(asked)),
        };
        let offered = offered.min(candidates.len());
        let outcome = Outcome { candidates, offered, generation, micros, ..Outcome::bare(decision, reason) };
        Read { reading, outcome, trace, question, light: None }
    }

    fn turned<'a>(
        &self,
        fragment: &'a Fragment,
        answered: Option<usize>,
        before: &str,
        lacking: bool,
    ) -> Turned<'a> {
        let known = self.engine.release().known();
        let visible = known.statistics.without(std::iter::empty());
        let weighed = |text: &str| {
            let weighed = grams(text).into_iter().map(|gram| {
                let weight = f64::from(visible.idf(&gram));
                (gram, weight)
            });
            Grams(weighed.collect())
        };
        let asked = weighed(fragment.core());
        let matter = weighed(&super::followup::matter(self.engine.release().analyzer(), before));
        let said = asked.0.keys().chain(matter.0.keys()).cloned().chain(grams(before)).collect();
        Turned { fragment, answered, lacking, asked, matter, said }
    }

    /// What speaks for an entry.
    fn evidence(&self, turned: &Turned<'_>, at: usize, found: &Found) -> Evidence {
        let release = self.engine.release();
        let (known, entries) = (release.known(), release.entries());
        let entry = &entries[at];
        let visible = known.statistics.without(std::iter::empty());
        let (mut asked, mut whole, mut unsaid) = (0.0_f64, 0.0_f64, 1.0_f64);
        let mut all: HashSet<String> = HashSet::new();
        let sum = turned.asked.total() + turned.matter.total();
        for place in known.wording.phrasings_of(at, Except::Nothing) {
            let own: HashSet<String> = grams(&known.phrasings[place].normalized.core).into_iter().collect();
            let of_asked = turned.asked.share(|gram| own.contains(gram));
            let of_matter = turned.matter.share(|gram| own.contains(gram));
            let both = (of_asked * turned.asked.total() + of_matter * turned.matter.total()) / sum.max(1e-9);
            asked = asked.max(of_asked);
            if both > whole {
                whole = both;
                let weigh = |gram: &String| f64::from(visible.idf(gram));
                let total: f64 = own.iter().map(weigh).sum();
                let new: f64 = own.iter().filter(|gram| !turned.said.contains(*gram)).map(weigh).sum();
                unsaid = new / total.max(1e-9);
            }
            all.extend(own);
        }
        let texts: Vec<&str> = entry.phrasings().collect();
        let analyzer = release.analyzer();
        let spoken = turned.fragment.is_spoken_of(analyzer, &texts, entry.answer_for(None), turned.lacking);
        let question: Vec<String> = turned.asked.0.keys().cloned().collect();
        let weighted =
            crate::retrieve::wording::Weighted::new(&question, question.iter().map(|gram| visible.idf(gram)));
        let topic = turned.answered.is_some_and(|before| {
            before == at || entry.topic.is_some() && entries[before].topic == entry.topic
        });
        let answered = turned.answered == Some(at);
        let flag = |holds: bool| f64::from(u8::from(holds));
        let kind = turned.fragment.kind();
        Evidence([
            asked,
            f64::from(known.wording.share(&weighted, at, Except::Nothing)),
            whole,
            turned.matter.share(|gram| all.contains(gram)),
            unsaid,
            found.alone,
            found.light,
            flag(found.first_alone),
            flag(found.first_light),
            flag(topic),
            flag(answered && kind == Kind::Ask),
            flag(answered && kind == Kind::Topic),
            flag(answered && kind == Kind::Both),
            flag(spoken),
            flag(answered && spoken),
            if topic { asked } else { 0.0 },
        ])
    }
}

/// What speaks for none of the entries.
fn none(turned: &Turned<'_>) -> [f64; 4] {
    let kind = turned.fragment.kind();
    let flag = |holds: bool| f64::from(u8::from(holds));
    [1.0, flag(kind == Kind::Ask), flag(kind == Kind::Both), flag(kind == Kind::Topic && turned.lacking)]
}

/// Every entry that may be meant, by its place.
fn found(alone: &Read, reads: &[Read], answered: Option<usize>) -> BTreeMap<usize, Found> {
    let mut found: BTreeMap<usize, Found> = BTreeMap::new();
    for (rank, it) in alone.outcome.candidates.iter().enumerate() {
        let one = found.entry(it.entry).or_default();
        (one.alone, one.first_alone) = (it.confidence.value(), rank == 0);
    }
    for (text, read) in reads.iter().enumerate() {
        for (rank, it) in read.outcome.candidates.iter().enumerate() {
            let one = found.entry(it.entry).or_default();
            if it.confidence.value() > one.light {
                (one.light, one.text) = (it.confidence.value(), text);
            }
            one.first_light |= rank == 0;
        }
    }
    if let Some(answered) = answered {
        found.entry(answered).or_default();
    }
    found
}
