//! What could the person who took a conversation answer?
//!
//! The engine's answers to what the customer said last, ready to send. What the
//! person then sends shows what the proposals were worth: taken as they are,
//! changed, or passed over.

use super::Desk;
use crate::decide::Generation;
use crate::dialogue::conversation::{Line, Role};
use crate::dialogue::handoff::Handoff;
use crate::engine::{Engine, Options};
use crate::error::Result;
use crate::kb::{Entry, shown};
use crate::store::Proposal;
use crate::text::exact_key;

/// Answers that are proposed at a time.
const PROPOSED: usize = 5;

/// Lines that are looked back for the customer's words.
const LOOKED_AT: i64 = 200;

/// From this share of common characters on a reply is a proposal that was changed.
const ALIKE: f64 = 0.5;

impl Desk {
    /// Answers to what the customer said last, the likeliest first; noted as proposed.
    ///
    /// # Errors
    /// As [`Engine::answer`] but for words that are no question, which get none.
    pub fn proposals(&self, handoff: &Handoff, engine: &Engine) -> Result<Vec<Proposal>> {
        let lines = self.talk().last_lines(handoff.key, LOOKED_AT)?;
        let Some(line) = last_question(&lines) else { return Ok(Vec::new()) };
        let options = Options { generation: Generation::Two, ..Options::default() };
        let mut outcome = engine.answer(&line.text, options)?;
        if outcome.candidates.is_empty() && handoff.question != line.text {
            outcome = engine.answer(&handoff.question, options)?;
        }
        let entries = engine.release().entries();
        let mut proposed: Vec<Proposal> = outcome
            .candidates
            .iter()
            .take(PROPOSED)
            .map(|scored| {
                let entry = &entries[scored.entry];
                Proposal {
                    handoff: handoff.id.clone(),
                    seq: line.seq,
                    entry: entry.id.to_string(),
                    confidence: scored.confidence.value(),
                    text: words(entry, handoff.channel.as_deref()),
                    kb: handoff.kb.clone(),
                    question: line.text.clone(),
                    verdict: "proposed".to_owned(),
                    sent: None,
                    agent: None,
                    at: self.now(),
                }
            })
            .collect();
        // Who asked for a person said before what about; that came along.
        if proposed.is_empty() {
            proposed = handoff
                .candidates
                .iter()
                .take(PROPOSED)
                .filter_map(|candidate| {
                    let entry =
                        entries.iter().find(|entry| entry.id.0 == candidate.entry && entry.enabled)?;
                    Some(Proposal {
                        handoff: handoff.id.clone(),
                        seq: line.seq,
                        entry: candidate.entry.clone(),
                        confidence: candidate.confidence,
                        text: words(entry, handoff.channel.as_deref()),
                        kb: handoff.kb.clone(),
                        question: line.text.clone(),
                        verdict: "proposed".to_owned(),
                        sent: None,
                        agent: None,
                        at: self.now(),
                    })
                })
                .collect();
        }
        self.talk().propose(&proposed)?;
        Ok(proposed)
    }

    /// Notes what a reply makes of what was proposed before it; `chosen` is the
    /// entry that the person says they sent.
    pub fn judge(
        &self,
        handoff: &str,
        sent: &str,
        chosen: Option<&str>,
        agent: &str,
    ) -> Result<Vec<Proposal>> {
        let mut undecided = self.talk().undecided(handoff)?;
        judge(&mut undecided, sent, chosen, agent, self.now());
        self.talk().decide(&undecided)?;
        Ok(undecided)
    }
}

/// What a person may send of an entry: words are all that they can, so what stands beside
/// them follows as lines.
fn words(entry: &Entry, channel: Option<&str>) -> String {
    let mut all = vec![entry.answer_for(channel).to_owned()];
    all.extend(shown::lines(&entry.images, &entry.links));
    all.join("\n")
}

/// The last words of the customer.
fn last_question(lines: &[Line]) -> Option<&Line> {
    lines.iter().rev().find(|line| line.role == Role::Customer && !line.text.trim().is_empty())
}

/// Decides what a reply makes of proposals: of all of them one is taken or edited
/// at most, the others were passed over.
fn judge(undecided: &mut [Proposal], sent: &str, chosen: Option<&str>, agent: &str, now: i64) {
    let key = exact_key(sent);
    let same = |proposal: &Proposal| exact_key(&proposal.text) == key;
    let nearest = undecided
        .iter()
        .enumerate()
        .map(|(at, proposal)| {
            let likeness = match chosen {
                Some(entry) if proposal.entry == entry => 2.0,
                _ => likeness(&proposal.text, sent),
            };
            (at, if same(proposal) { 3.0 } else { likeness })
        })
        .max_by(|one, other| one.1.total_cmp(&other.1));
    let nearest = nearest.filter(|(_, likeness)| *likeness >= ALIKE).map(|(at, _)| at);
    for (at, proposal) in undecided.iter_mut().enumerate() {
        let verdict = match nearest {
            Some(best) if best == at && same(proposal) => "taken",
            Some(best) if best == at => "edited",
            _ => "ignored",
        };
        proposal.verdict = verdict.to_owned();
        proposal.sent = (verdict != "taken").then(|| sent.to_owned());
        proposal.agent = Some(agent.to_owned());
        proposal.at = now;
    }
}

/// The share of pairs of neighbouring characters that two texts have in common, 0..=1 (Dice).
fn likeness(one: &str, other: &str) -> f64 {
    let pairs = |text: &str| -> Vec<(char, char)> {
        let characters: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
        let mut pairs: Vec<_> = characters.windows(2).map(|pair| (pair[0], pair[1])).collect();
        pairs.sort_unstable();
        pairs
    };
    let (one, mut other) = (pairs(one), pairs(other));
    let all = one.len() + other.len();
    if all == 0 {
        return 0.0;
    }
    let mut common = 0;
    for pair in &one {
        if let Ok(at) = other.binary_search(pair) {
            other.remove(at);
            common += 1;
        }
    }
    2.0 * f64::from(common) / all as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposal(entry: &str, text: &str) -> Proposal {
        Proposal {
            handoff: "h".to_owned(),
            seq: 1,
            entry: entry.to_owned(),
            confidence: 0.5,
            text: text.to_owned(),
            kb: "demo".to_owned(),
            question: "退款呢".to_owned(),
            verdict: "proposed".to_owned(),
            sent: None,
            agent: None,
            at: 0,
        }
    }

    fn verdicts(sent: &str, chosen: Option<&str>) -> [String; 2] {
        let mut proposed = [
            proposal("refund", "原路退回，1 到 3 个工作日到账。"),
            proposal("invoice", "在“我的发票”里申请。"),
        ];
        judge(&mut proposed, sent, chosen, "小王", 5);
        proposed.map(|one| one.verdict)
    }

    #[test]
    fn what_is_sent_says_what_was_proposed_well() {
        assert_eq!(verdicts("原路退回，1到3个工作日到账", None), ["taken", "ignored"]);
        assert_eq!(verdicts("您好，原路退回，一般 1 到 3 个工作日到账。", None), ["edited", "ignored"]);
        assert_eq!(verdicts("您稍等，我查一下", None), ["ignored", "ignored"]);
        assert_eq!(verdicts("发票已经发到您邮箱", Some("invoice")), ["ignored", "edited"]);
    }
}
