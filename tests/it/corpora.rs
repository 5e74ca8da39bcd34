//! Are the shipped corpora what their README says?

use std::collections::{HashMap, HashSet};

use zhida::text::Normalized;

use crate::support::{labelled_corpus, repository};

const SETS: [(&str, usize, usize); 11] = [
    ("shop", 150, 400),
    ("bank", 120, 400),
    ("telecom", 100, 400),
    ("travel", 100, 400),
    ("hospital", 100, 400),
    ("insurance", 100, 400),
    ("education", 100, 400),
    ("government", 100, 400),
    ("express", 100, 400),
    ("utility", 100, 400),
    ("software", 100, 400),
];

fn background() -> Vec<String> {
    std::fs::read_to_string(repository("corpora/background.jsonl"))
        .unwrap()
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["text"].as_str().unwrap().to_owned()
        })
        .collect()
}

#[test]
fn knowledge_bases_and_query_sets_are_large_and_varied_enough() {
    for (name, entries, queries) in SETS {
        let (base, set) = labelled_corpus(name);
        assert!(base.entries().len() >= entries, "{name} has {} entries", base.entries().len());
        for entry in base.entries() {
            assert!(
                (3..=8).contains(&entry.similar.len()),
                "{name}: {} has {} phrasings",
                entry.id,
                entry.similar.len()
            );
            assert!(entry.answer.chars().count() >= 30, "{name}: the answer of {} is too short", entry.id);
        }
        assert!(set.len() >= queries, "{name} has {} queries", set.len());
        let outside = set.iter().filter(|query| !query.expect.is_inside()).count();
        assert!(outside * 10 >= set.len() * 3, "{name}: {outside} of {} outside", set.len());
        let mut tags: HashMap<&str, usize> = HashMap::new();
        set.iter().flat_map(|query| &query.tags).for_each(|tag| *tags.entry(tag).or_default() += 1);
        for tag in [
            "colloquial",
            "typo",
            "traditional",
            "pinyin",
            "short",
            "long",
            "multi",
            "near",
            "out-easy",
            "out-hard",
        ] {
            assert!(tags.get(tag).is_some_and(|&count| count >= 20), "{name}: too few {tag}: {tags:?}");
        }
    }
}

#[test]
fn no_query_stands_in_its_knowledge_base_or_in_the_background() {
    let strangers = background();
    assert!(strangers.len() >= 1_500);
    let background: HashSet<String> = strangers.iter().map(|text| Normalized::new(text).exact).collect();
    assert!(background.len() + 5 >= strangers.len(), "the background repeats itself");
    for (name, ..) in SETS {
        let (base, set) = labelled_corpus(name);
        let phrasings: HashSet<String> = base
            .entries()
            .iter()
            .flat_map(|entry| entry.phrasings().map(|text| Normalized::new(text).exact))
            .collect();
        let mut seen = HashSet::new();
        for query in set {
            let key = Normalized::new(&query.text).exact;
            if key.is_empty() {
                continue;
            }
            assert!(!phrasings.contains(&key), "{name}: {} is a phrasing of the knowledge base", query.text);
            assert!(!background.contains(&key), "{name}: {} is in the background", query.text);
            assert!(seen.insert(key), "{name}: {} is asked twice", query.text);
        }
    }
}

#[test]
fn the_set_of_frames_has_what_it_is_to_measure() {
    let (base, set) = labelled_corpus("frames");
    assert_eq!((base.entries().len(), set.len()), (72, 300));
    let mut tags: HashMap<&str, usize> = HashMap::new();
    let mut asked = HashSet::new();
    for query in &set {
        let [tag] = &query.tags[..] else { panic!("{}: {:?}", query.text, query.tags) };
        *tags.entry(tag).or_default() += 1;
        assert_eq!(query.expect.is_inside(), tag != "other-thing" && tag != "outside", "{}", query.text);
        assert!(asked.insert(Normalized::new(&query.text).exact), "{} is asked twice", query.text);
    }
    let wanted = [
        ("other-thing", 90),
        ("other-entry", 30),
        ("same-thing", 60),
        ("same-frame", 40),
        ("reworded", 50),
        ("outside", 30),
    ];
    assert_eq!(tags, HashMap::from(wanted));
}

#[test]
fn the_sets_of_details_are_of_one_shape() {
    let mut asked: HashSet<String> = HashSet::new();
    for (name, entries) in [("details", 101), ("details-unseen", 160)] {
        let (base, set) = labelled_corpus(name);
        assert_eq!((base.entries().len(), set.len()), (entries, 2 * entries));
        for query in &set {
            let same = query.tags[0] == "same";
            assert!(same || query.tags[0].starts_with("changed"), "{name}: {:?}", query.tags);
            assert_eq!(same, query.expect.is_inside(), "{name}: {}", query.text);
            assert!(
                asked.insert(Normalized::new(&query.text).exact),
                "{name}: {} is asked twice",
                query.text
            );
        }
    }
}
