//! Is a customer heard who asks for a person, and only then?
//!
//! `corpora/requests.jsonl` holds requests and sentences that only speak of
//! people, service and machines. The rules were written with the half `tuned`
//! in sight; what they are worth shows on the other one.

use serde::Deserialize;
use zhida::decide::{Generation, Reason};
use zhida::engine::Options;
use zhida::eval::metrics::Estimate;

use crate::support::{corpus_engine, repository};

#[derive(Deserialize)]
struct Line {
    text: String,
    request: bool,
    half: String,
}

#[test]
fn requests_for_a_person_are_heard_and_nothing_else_is() {
    let engine = corpus_engine("shop");
    let options = Options { generation: Generation::One, ..Options::default() };
    let file = std::fs::read_to_string(repository("corpora/requests.jsonl")).unwrap();
    let lines: Vec<Line> = file.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for half in ["tuned", "unseen"] {
        let (mut heard, mut missed, mut claimed) = (0, Vec::new(), Vec::new());
        for line in lines.iter().filter(|line| line.half == half) {
            let requested = engine.answer(&line.text, options).unwrap().reason == Reason::Requested;
            match (line.request, requested) {
                (true, true) => heard += 1,
                (true, false) => missed.push(line.text.as_str()),
                (false, true) => claimed.push(line.text.as_str()),
                (false, false) => {}
            }
        }
        let share = |wrong: &[&str]| Estimate::share(heard, heard + wrong.len()).expect("some are heard");
        let (precision, recall) = (share(&claimed), share(&missed));
        println!("{half}: {heard} heard, precision {precision:?}, recall {recall:?}");
        assert!(heard >= 60, "{half}: the requests are missing");
        assert!(precision.value >= 0.98, "{half}: no requests: {claimed:?}");
        assert!(recall.value >= 0.95, "{half}: not heard: {missed:?}");
    }
}
