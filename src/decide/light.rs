//! Which reading is better: the message's own, or that in the light of the turn before?

use super::{Confidence, Decision};

/// What came of one reading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// What would be done.
    pub decision: Decision,
    /// The probability that the best candidate is right.
    pub confidence: Confidence,
}

/// Whether the reading in the light of what was said before is better than the
/// message's own. What would be answered alone is never taken away, and what
/// leads nowhere is no reading; between two that would both be asked back the
/// surer one counts, unless the message lacks what it is about (`lacking`): then
/// its own reading is a guess.
pub fn is_better(in_light: Reading, alone: Reading, lacking: bool) -> bool {
    match (in_light.decision, alone.decision) {
        (_, Decision::Answer) | (Decision::Handoff, _) => false,
        (Decision::Answer, _) | (_, Decision::Handoff) => true,
        (Decision::Clarify, Decision::Clarify) => lacking || in_light.confidence > alone.confidence,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_never_taken_away() {
        let all = [Decision::Answer, Decision::Clarify, Decision::Handoff];
        let reading = |decision, confidence| Reading { decision, confidence: Confidence::new(confidence) };
        for decision in all {
            assert!(!is_better(reading(decision, 1.0), reading(Decision::Answer, 0.5), true), "{decision:?}");
            assert!(
                !is_better(reading(Decision::Handoff, 1.0), reading(decision, 0.0), true),
                "{decision:?}"
            );
        }
        assert!(is_better(reading(Decision::Answer, 0.9), reading(Decision::Clarify, 0.95), false));
        assert!(is_better(reading(Decision::Clarify, 0.3), reading(Decision::Handoff, 0.4), false));
        assert!(is_better(reading(Decision::Clarify, 0.6), reading(Decision::Clarify, 0.5), false));
        assert!(!is_better(reading(Decision::Clarify, 0.5), reading(Decision::Clarify, 0.5), false));
        assert!(is_better(reading(Decision::Clarify, 0.3), reading(Decision::Clarify, 0.5), true));
    }
}
