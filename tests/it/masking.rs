//! How well is found what tells who somebody is?
//!
//! On `corpora/masking.jsonl`: sentences of customers with the pieces that must
//! be masked, two fifths of them with none. A piece is found when all of it is
//! masked; what is masked is right when it touches a piece of its kind.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use zhida::estimate::Estimate;
use zhida::events::mask::{Sort, mask, spans};

use crate::support::repository;

#[derive(Deserialize)]
struct Sentence {
    text: String,
    masked: Vec<Piece>,
}

#[derive(Deserialize)]
struct Piece {
    kind: String,
    text: String,
}

#[derive(Default)]
struct Count {
    labelled: usize,
    found: usize,
    masked: usize,
    right: usize,
}

fn sentences() -> Vec<Sentence> {
    let text = std::fs::read_to_string(repository("corpora/masking.jsonl")).expect("shipped");
    text.lines().map(|line| serde_json::from_str(line).expect("a sentence")).collect()
}

/// Where the pieces stand, in characters.
fn places(sentence: &Sentence) -> Vec<(&str, Range<usize>)> {
    let mut from = 0;
    let place = |piece: &'_ Piece| {
        let at = from + sentence.text[from..].find(&piece.text).expect("pieces stand in order");
        from = at + piece.text.len();
        let first = sentence.text[..at].chars().count();
        first..first + piece.text.chars().count()
    };
    let places: Vec<Range<usize>> = sentence.masked.iter().map(place).collect();
    sentence.masked.iter().map(|piece| piece.kind.as_str()).zip(places).collect()
}

#[test]
fn what_tells_who_somebody_is_is_masked_and_nothing_else() {
    let sentences = sentences();
    let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
    let mut clean = (0, 0);
    for sentence in &sentences {
        let (found, labelled) = (spans(&sentence.text, false), places(sentence));
        for (kind, place) in &labelled {
            let count = counts.entry(kind).or_default();
            count.labelled += 1;
            let hidden = |at: usize| found.iter().any(|span| span.at.contains(&at));
            count.found += usize::from(place.clone().all(hidden));
        }
        for span in &found {
            let count = counts.entry(span.sort.name()).or_default();
            count.masked += 1;
            let meets = |place: &Range<usize>| place.start < span.at.end && span.at.start < place.end;
            let right = labelled.iter().any(|(kind, place)| *kind == span.sort.name() && meets(place));
            count.right += usize::from(right);
        }
        if labelled.is_empty() {
            clean.1 += 1;
            clean.0 += usize::from(found.is_empty());
        }
    }
    assert!(sentences.len() >= 400 && clean.1 * 3 >= sentences.len(), "the set is too small");
    println!("{} sentences, {} of {} with nothing to mask are left alone", sentences.len(), clean.0, clean.1);
    for (kind, count) in &counts {
        let recall = Estimate::share(count.found, count.labelled).expect("labelled");
        let precision = Estimate::share(count.right, count.masked).expect("masked");
        println!(
            "{kind:10} recall {:.3} [{:.3}, {:.3}] of {}, precision {:.3} [{:.3}, {:.3}] of {}",
            recall.value,
            recall.low,
            recall.high,
            recall.n,
            precision.value,
            precision.low,
            precision.high,
            precision.n
        );
        // Names that nothing announces are not found, and may not be.
        let least = if *kind == Sort::Name.name() { 0.85 } else { 0.97 };
        assert!(recall.value >= least, "{kind}: recall {}", recall.value);
        assert!(precision.value >= 0.97, "{kind}: precision {}", precision.value);
    }
    assert!(clean.0 * 100 >= clean.1 * 98, "{} of {} are left alone", clean.0, clean.1);
}

#[test]
fn masking_twice_is_masking_once() {
    for sentence in sentences() {
        let once = mask(&sentence.text, true);
        assert_eq!(mask(&once, true), once);
    }
}
