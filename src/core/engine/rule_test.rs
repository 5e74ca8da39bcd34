//! Which rules does a sentence meet?
//!
//! The test box of authors: everything that questions, keywords and rules have
//! to say to a text, what is silenced and by which word, in the order in which
//! they win, and what the engine then does.

use serde::Serialize;

use super::{Engine, Options, Typed};
use crate::decide::{Decision, Reason};
use crate::error::Result;
use crate::kb::Rule;
use crate::retrieve::exact::Match;

/// What rules do to a text.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct RuleTest {
    /// As it was typed.
    pub text: String,
    /// What questions, keywords and rules compare.
    pub exact: String,
    /// All claims, in the order in which they win.
    pub claims: Vec<TestedClaim>,
    /// Why the text goes to a person before keywords and rules are looked at,
    /// if it does; only a stored question goes before that.
    #[schema(value_type = Option<Reason>)]
    pub handoff_first: Option<&'static str>,
    /// What is to be done.
    #[schema(value_type = Decision)]
    pub decision: &'static str,
    /// Why.
    #[schema(value_type = Reason)]
    pub reason: &'static str,
    /// The best candidate, whatever the decision.
    pub entry: Option<String>,
    /// The probability that it is right.
    pub confidence: f64,
    /// The generation that decided.
    pub generation: u8,
}

/// What an entry has to say to a text.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct TestedClaim {
    /// The entry's id.
    pub entry: String,
    /// Its standard question.
    pub question: String,
    /// Why.
    pub how: Match,
    /// The rule, when it is one.
    pub rule: Option<Rule>,
    /// Its number among the rules of the entry, from 1.
    pub number: Option<usize>,
    /// The word of `without` that silences it, if one does.
    pub silenced_by: Option<String>,
    /// Whether the entry may be given now: in its time, and let through by the filter.
    pub eligible: bool,
    /// Whether it is the claim that decided.
    pub wins: bool,
}

impl Engine {
    /// Asks a text of all rules and then of the engine.
    ///
    /// # Errors
    /// Like [`Engine::answer`].
    pub fn rule_test(&self, text: &str, options: Options<'_>) -> Result<RuleTest> {
        let outcome = self.answer(text, options)?;
        let (query, _) = self.release().queries(text)?;
        let entries = self.release().entries();
        let hidden = self.labels.hidden(entries, options.filter, options.now);
        let claims = self.release().exact().claims(&query.text).into_iter().map(|claim| {
            let entry = &entries[claim.entry];
            let rule = claim.rule.and_then(|number| entry.rules.get(number));
            let silenced_by = claim.silenced_by.zip(rule).and_then(|(word, rule)| rule.without().get(word));
            TestedClaim {
                entry: entry.id.to_string(),
                question: entry.question.clone(),
                how: claim.how,
                rule: rule.cloned(),
                number: claim.rule.map(|number| number + 1),
                silenced_by: silenced_by.cloned(),
                eligible: !hidden.as_ref().is_some_and(|hidden| hidden[claim.entry]),
                wins: false,
            }
        });
        let mut claims: Vec<TestedClaim> = claims.collect();
        // A stored question that differs in what says nothing claims it too.
        let core = self.core(text, &query);
        if let Some(hit) = self.hit(Typed { text, core: &core }, &query, hidden.as_deref())
            && hit.how == Match::Question
            && !claims.iter().any(|claim| claim.how == Match::Question && claim.eligible)
        {
            let entry = &entries[hit.entry];
            let claim = TestedClaim {
                entry: entry.id.to_string(),
                question: entry.question.clone(),
                how: hit.how,
                rule: None,
                number: None,
                silenced_by: None,
                eligible: true,
                wins: false,
            };
            claims.insert(0, claim);
        }
        let settled = matches!(outcome.reason, Reason::ExactQuestion | Reason::Keyword | Reason::Rule);
        if settled
            && let Some(first) = claims.iter_mut().find(|claim| claim.eligible && claim.silenced_by.is_none())
        {
            first.wins = true;
        }
        Ok(RuleTest {
            text: text.to_owned(),
            handoff_first: self.requested(text, &query).map(Reason::name),
            exact: query.text.exact,
            claims,
            decision: outcome.decision.name(),
            reason: outcome.reason.name(),
            entry: outcome.best().map(|best| entries[best.entry].id.to_string()),
            confidence: outcome.confidence().value(),
            generation: outcome.generation.number(),
        })
    }
}
