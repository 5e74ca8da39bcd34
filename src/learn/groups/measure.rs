//! How well are labelled questions grouped?
//!
//! Half of the entries teach what means the same, the questions of the other
//! half are grouped: what is measured was not learned from. A question that is
//! outside the knowledge base belongs with no other.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{LEAST, SAME, Teacher, Way, link, placed, vectors};
use crate::encoder::Encoder;
use crate::error::Result;
use crate::eval::clusters::Grouping;
use crate::eval::dataset::LabelledQuery;
use crate::kb::KnowledgeBase;

/// The thresholds at which the best one is looked for, beside the one that is served.
const TRIED: [f32; 9] = [0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

/// What one way came to.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// The way.
    pub way: Way,
    /// At the threshold that is served.
    pub served: Grouping,
    /// The threshold with the best F1 on these labels, which nobody knows beforehand.
    pub best_at: f32,
    /// What it gives.
    pub best: Grouping,
    /// Time for linking at the served threshold.
    pub seconds: f64,
}

/// The groups of labelled questions.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Phrasings that taught.
    pub teachers: usize,
    /// The nearness at which two questions are as likely as not the same.
    pub even: f64,
    /// Near pairs.
    pub edges: usize,
    /// Time for reading all texts with the encoder.
    pub reading_seconds: f64,
    /// Time for learning what means the same and finding the near pairs.
    pub seconds: f64,
    /// Each way.
    pub ways: Vec<Line>,
}

/// Whether an entry teaches.
fn teaches(id: &str) -> bool {
    Sha256::digest(id.as_bytes())[0] & 1 == 0
}

/// A question that is grouped, with its label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Labelled {
    /// The question.
    pub text: String,
    /// What belongs together has one label.
    pub label: String,
}

/// The questions that are grouped: those of the entries that do not teach, and
/// of those outside every other one.
pub fn questions(base: &KnowledgeBase, queries: &[LabelledQuery]) -> Vec<Labelled> {
    let mut all: Vec<Labelled> = Vec::new();
    for entry in base.enabled().filter(|entry| !teaches(&entry.id.0)) {
        let own = entry.phrasings().map(|text| Labelled { text: text.to_owned(), label: entry.id.0.clone() });
        all.extend(own);
    }
    for (at, query) in queries.iter().enumerate() {
        match query.expect.ids().first() {
            Some(id) if !teaches(&id.0) => {
                all.push(Labelled { text: query.text.clone(), label: id.0.clone() });
            }
            None if at % 2 == 0 => all.push(Labelled { text: query.text.clone(), label: format!("?{at}") }),
            _ => {}
        }
    }
    all
}

/// Groups the labelled questions of some knowledge bases together, each of which
/// teaches with half of its entries.
///
/// # Errors
/// When the encoder fails, which is a defect.
pub fn measure(
    sets: &[(KnowledgeBase, Vec<LabelledQuery>)],
    encoder: Option<&Arc<Encoder>>,
) -> Result<Report> {
    let encoder = encoder.map(AsRef::as_ref);
    let (mut teaching, mut entries, mut asked) = (Vec::new(), Vec::new(), Vec::new());
    let mut count = 0;
    for (number, (base, queries)) in sets.iter().enumerate() {
        for entry in base.enabled().filter(|entry| teaches(&entry.id.0)) {
            teaching.extend(entry.phrasings().map(str::to_owned));
            entries.resize(teaching.len(), count);
            count += 1;
        }
        asked.extend(questions(base, queries).into_iter().map(|one| (one.text, (number, one.label))));
    }
    let Some((first, _)) = sets.first() else {
        return Ok(Report {
            teachers: 0,
            even: 0.0,
            edges: 0,
            reading_seconds: 0.0,
            seconds: 0.0,
            ways: Vec::new(),
        });
    };
    let analyzer = first.analyzer();
    let start = Instant::now();
    let taught = vectors(encoder, &teaching)?;
    let mut reading_seconds = start.elapsed().as_secs_f64();
    let teacher = Teacher::of_phrasings(placed(&analyzer, &teaching, taught), entries, &analyzer, encoder)?;
    let (texts, labels): (Vec<String>, Vec<(usize, String)>) = asked.into_iter().unzip();
    let mut numbers: HashMap<&(usize, String), u32> = HashMap::new();
    let labels: Vec<u32> = labels
        .iter()
        .map(|label| {
            let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
            *numbers.entry(label).or_insert(next)
        })
        .collect();
    let start = Instant::now();
    let asked = vectors(encoder, &texts)?;
    reading_seconds += start.elapsed().as_secs_f64();
    let start = Instant::now();
    let questions = placed(&analyzer, &texts, asked);
    let edges = teacher.edges(&questions)?;
    let seconds = start.elapsed().as_secs_f64();
    let even = teacher.likeness(&questions)?.score(0.5);
    let ones = vec![1; questions.len()];
    let ways = Way::ALL
        .into_iter()
        .map(|way| {
            let start = Instant::now();
            let served = Grouping::of(&link(way, &ones, &edges, SAME), &labels);
            let seconds = start.elapsed().as_secs_f64();
            let tried = TRIED.iter().filter(|&&least| least >= LEAST);
            let (best_at, best) = tried
                .map(|&least| (least, Grouping::of(&link(way, &ones, &edges, least), &labels)))
                .max_by(|a, b| a.1.f1.total_cmp(&b.1.f1))
                .unwrap_or((SAME, served));
            Line { way, served, best_at, best, seconds }
        })
        .collect();
    Ok(Report { teachers: teaching.len(), even, edges: edges.len(), reading_seconds, seconds, ways })
}
