//! How do labelled pairs become a benchmark?
//!
//! The recipe, deterministic for a seed:
//!
//! 1. Sentences that are equal after [`crate::text::exact_key`] are one.
//! 2. Pairs with the higher label join their sentences; what hangs together is
//!    a *cluster*: one meaning, asked in several ways. A cluster in which a
//!    pair is labelled as different contradicts itself and is left out.
//! 3. A digest of seed and sentence puts the clusters and their sentences in
//!    order. `outside` of the clusters with two sentences or more are strangers:
//!    each gives one question that the knowledge base does not know (tag
//!    `near`: the same trade).
//! 4. Of every other cluster, one sentence in three (at least one, at most
//!    three) becomes a question (tag `in`), the first other one the standard
//!    question, up to [`SIMILAR`] more its similar questions.
//! 5. Sentences that no pair joins to another become entries of one phrasing,
//!    up to as many as there are clusters: neighbours that a question may be
//!    mistaken for.
//!
//! What two people would call the same is not always labelled, so some
//! "wrong" answers on such a benchmark are right: compare systems by it, and
//! do not read its precision as absolute.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::dataset::{Expect, LabelledQuery};
use super::published::{Pair, Standard};
use crate::error::{Error, Result};
use crate::kb::{Entry, EntryId};
use crate::text::exact_key;

/// Similar questions that an entry gets at most.
pub const SIMILAR: usize = 8;

/// Questions that a cluster gives at most.
const ASKED: usize = 3;

/// What became of the pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Made {
    /// Distinct sentences.
    pub sentences: usize,
    /// Clusters of two sentences or more.
    pub clusters: usize,
    /// Clusters left out because they contradict themselves.
    pub contradictory: usize,
    /// Entries.
    pub entries: usize,
    /// Their phrasings.
    pub phrasings: usize,
    /// Questions inside.
    pub inside: usize,
    /// Questions outside.
    pub outside: usize,
}

/// A knowledge base, questions to it, and how they came about.
pub struct Bench {
    /// The entries.
    pub entries: Vec<Entry>,
    /// The questions.
    pub queries: Vec<LabelledQuery>,
    /// The numbers.
    pub made: Made,
}

/// Follows the recipe. `outside` is a share of the clusters, `name` begins the
/// entries' ids.
///
/// # Errors
/// [`Error::Refused`] when the pairs have fewer than two labels or form no cluster.
pub fn from_pairs(pairs: &[Pair], name: &str, outside: f64, seed: u64) -> Result<Bench> {
    let low = pairs.iter().map(|pair| pair.label).fold(f64::INFINITY, f64::min);
    let high = pairs.iter().map(|pair| pair.label).fold(f64::NEG_INFINITY, f64::max);
    if low >= high {
        return Err(Error::Refused(
            "every pair has the same label; a benchmark needs pairs that are alike and pairs that are not"
                .to_owned(),
        ));
    }
    let alike = |label: f64| label > f64::midpoint(low, high);
    let mut graph = Graph::default();
    for pair in pairs {
        let (Some(a), Some(b)) = (graph.node(&pair.first), graph.node(&pair.second)) else { continue };
        if alike(pair.label) {
            graph.join(a, b);
        }
    }
    let mut contradictory = std::collections::BTreeSet::new();
    for pair in pairs.iter().filter(|pair| !alike(pair.label)) {
        if let (Some(a), Some(b)) = (graph.node(&pair.first), graph.node(&pair.second))
            && a != b
            && graph.root(a) == graph.root(b)
        {
            contradictory.insert(graph.root(a));
        }
    }

    let mut made =
        Made { sentences: graph.sentences.len(), contradictory: contradictory.len(), ..Made::default() };
    let mut clusters: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for node in 0..graph.sentences.len() {
        clusters.entry(graph.root(node)).or_default().push(node);
    }
    let order = |node: usize| Sha256::digest(format!("{seed}\n{}", graph.sentences[node].key));
    let mut sorted: Vec<Vec<usize>> = clusters
        .into_iter()
        .filter(|(root, _)| !contradictory.contains(root))
        .map(|(_, mut nodes)| {
            nodes.sort_by_cached_key(|&node| order(node));
            nodes
        })
        .collect();
    sorted.sort_by_cached_key(|nodes| order(nodes[0]));
    let (several, alone): (Vec<_>, Vec<_>) = sorted.into_iter().partition(|nodes| nodes.len() > 1);
    made.clusters = several.len();
    if several.is_empty() {
        return Err(Error::Refused(
            "no pair is labelled as alike without a contradiction; nothing can become an entry".to_owned(),
        ));
    }

    let strangers = (several.len() as f64 * outside).round() as usize;
    let text = |node: usize| graph.sentences[node].text.clone();
    let (mut entries, mut queries) = (Vec::new(), Vec::new());
    for nodes in &several[..strangers] {
        queries.push(query(text(nodes[0]), Expect::Outside, "near"));
    }
    let kept = &several[strangers..];
    for nodes in kept.iter().chain(alone.iter().take(kept.len())) {
        let id = EntryId(format!("{name}-{:05}", entries.len()));
        let asked = if nodes.len() > 1 { (nodes.len() / 3).clamp(1, ASKED) } else { 0 };
        for &node in &nodes[..asked] {
            queries.push(query(text(node), Expect::One(id.clone()), "in"));
        }
        let similar = nodes[asked + 1..].iter().take(SIMILAR).map(|&node| text(node)).collect();
        entries.push(entry(id, text(nodes[asked]), similar, None)?);
    }
    Ok(finish(entries, queries, made))
}

/// A knowledge base of standard questions with labelled questions of
/// `similar` as their similar ones, and `asked` as the questions to it. What
/// expects an id that is no standard question is an error of the files.
///
/// # Errors
/// [`Error::Refused`] naming the first id that is not there.
pub fn from_qa_match(
    standards: &[Standard],
    similar: &[LabelledQuery],
    asked: Vec<LabelledQuery>,
) -> Result<Bench> {
    let known: HashMap<&str, usize> =
        standards.iter().enumerate().map(|(index, standard)| (standard.id.as_str(), index)).collect();
    let mut phrasings: Vec<Vec<String>> = vec![Vec::new(); standards.len()];
    let mut taken: std::collections::HashSet<String> =
        standards.iter().map(|standard| exact_key(&standard.question)).collect();
    for line in similar {
        // Only a question with one answer says the same as it.
        if let Expect::One(id) = &line.expect {
            let index = *known.get(id.0.as_str()).ok_or_else(|| unknown(id))?;
            if taken.insert(exact_key(&line.text)) {
                phrasings[index].push(line.text.clone());
            }
        }
    }
    for query in &asked {
        if let Some(id) = query.expect.ids().iter().find(|id| !known.contains_key(id.0.as_str())) {
            return Err(unknown(id));
        }
    }
    let entries = standards
        .iter()
        .zip(phrasings)
        .map(|(standard, similar)| {
            entry(
                EntryId(standard.id.clone()),
                standard.question.clone(),
                similar,
                Some(standard.domain.clone()),
            )
        })
        .collect::<Result<Vec<_>>>()?;
    let made = Made { clusters: standards.len(), ..Made::default() };
    Ok(finish(entries, asked, made))
}

fn unknown(id: &EntryId) -> Error {
    Error::Refused(format!("a question expects the standard question {id}, which --std does not have"))
}

fn finish(entries: Vec<Entry>, queries: Vec<LabelledQuery>, mut made: Made) -> Bench {
    made.entries = entries.len();
    made.phrasings = entries.iter().map(|entry| 1 + entry.similar.len()).sum();
    made.inside = queries.iter().filter(|query| query.expect.is_inside()).count();
    made.outside = queries.len() - made.inside;
    Bench { entries, queries, made }
}

fn query(text: String, expect: Expect, tag: &str) -> LabelledQuery {
    LabelledQuery { text, expect, tags: vec![tag.to_owned()] }
}

/// An entry needs an answer; pairs have none, so it names its entry.
fn entry(id: EntryId, question: String, similar: Vec<String>, topic: Option<String>) -> Result<Entry> {
    let answer = format!("［{id}］{question}");
    let value = serde_json::json!({
        "id": id, "question": question, "similar": similar, "answer": answer, "topic": topic,
    });
    serde_json::from_value(value).map_err(|e| Error::internal("bench", e))
}

/// Sentences and which of them say the same.
#[derive(Default)]
struct Graph {
    sentences: Vec<Sentence>,
    known: HashMap<String, usize>,
    parent: Vec<usize>,
}

struct Sentence {
    key: String,
    text: String,
}

impl Graph {
    /// The sentence's number; `None` when it holds nothing to compare.
    fn node(&mut self, text: &str) -> Option<usize> {
        let key = exact_key(text);
        if key.is_empty() {
            return None;
        }
        Some(*self.known.entry(key.clone()).or_insert_with(|| {
            self.sentences.push(Sentence { key, text: text.trim().to_owned() });
            self.parent.push(self.parent.len());
            self.parent.len() - 1
        }))
    }

    fn root(&self, mut node: usize) -> usize {
        while self.parent[node] != node {
            node = self.parent[node];
        }
        node
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        // The smaller number wins, so that the order of joining does not matter.
        self.parent[a.max(b)] = a.min(b);
        // Short ways to the root.
        for mut node in [a, b] {
            let root = self.root(node);
            while self.parent[node] != root {
                node = std::mem::replace(&mut self.parent[node], root);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(first: &str, second: &str, label: f64) -> Pair {
        Pair { first: first.to_owned(), second: second.to_owned(), label }
    }

    /// 40 clusters of 4 sentences, 40 sentences alone.
    fn pairs() -> Vec<Pair> {
        let mut pairs = Vec::new();
        for cluster in 0..40 {
            let say = |way: usize| format!("事情{cluster}的说法{way}");
            for way in 1..4 {
                pairs.push(pair(&say(0), &say(way), 1.0));
            }
            pairs.push(pair(&say(0), &format!("别的{cluster}"), 0.0));
        }
        pairs
    }

    #[test]
    fn the_recipe_is_followed_and_deterministic() {
        let bench = from_pairs(&pairs(), "x", 0.25, 1).unwrap();
        assert_eq!(
            bench.made,
            Made {
                sentences: 200,
                clusters: 40,
                contradictory: 0,
                entries: 60,
                phrasings: 120,
                inside: 30,
                outside: 10
            }
        );
        let mut shuffled = pairs();
        shuffled.reverse();
        let again = from_pairs(&shuffled, "x", 0.25, 1).unwrap();
        assert_eq!((again.entries, again.queries), (bench.entries.clone(), bench.queries.clone()));
        let other = from_pairs(&pairs(), "x", 0.25, 2).unwrap();
        assert_ne!(other.entries, bench.entries, "another seed, another benchmark");
        // No question stands in the knowledge base, and each belongs where it says.
        for query in &bench.queries {
            let stored = |entry: &Entry| entry.phrasings().any(|phrasing| phrasing == query.text);
            assert!(!bench.entries.iter().any(stored), "{}", query.text);
            if let Expect::One(id) = &query.expect {
                let entry = bench.entries.iter().find(|entry| entry.id == *id).unwrap();
                let cluster = |text: &str| text.split('的').next().unwrap().to_owned();
                assert_eq!(cluster(&entry.question), cluster(&query.text));
            }
        }
    }

    #[test]
    fn contradictions_and_one_sided_labels_are_told() {
        let mut twisted = pairs();
        twisted.push(pair("事情0的说法1", "事情0的说法2", 0.0));
        assert_eq!(from_pairs(&twisted, "x", 0.0, 1).unwrap().made.contradictory, 1);
        assert!(from_pairs(&[pair("a", "b", 1.0)], "x", 0.0, 1).is_err());
        assert!(from_pairs(&[pair("a", "b", 1.0), pair("a", "b", 0.0)], "x", 0.0, 1).is_err());
    }
}
