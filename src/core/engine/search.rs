//! What do the matchers that score find, here or elsewhere?
//!
//! Which phrasings are looked at another engine may say ([`Elsewhere`]); everything that
//! is said of them comes from the release.
//!
//! [`Elsewhere`]: crate::retrieve::elsewhere::Elsewhere

use super::{Clock, Engine, Options, Outcome, Trace, TracedCandidate, Verdict};
use crate::decide::Generation;
use crate::decide::evidence::{CANDIDATES, Evidence, Lists, Ranked, Yardstick, rank};
use crate::encoder::Embedding;
use crate::error::Result;
use crate::release::Semantics;
use crate::retrieve::Except;
use crate::retrieve::elsewhere::Asked;
use crate::retrieve::lexical::Overlap;
use crate::text::Query;

/// A question on its way through the matchers.
pub(super) struct Search<'a> {
    pub(super) query: &'a Query,
    pub(super) yardstick: Yardstick<'a>,
    /// What must not be found now.
    pub(super) except: Except<'a>,
}

/// Generation 1's part of an answer, which generation 2 goes on from.
pub(super) struct Lexical {
    pub(super) found: Vec<Overlap>,
    pub(super) ranked: Vec<Ranked>,
    pub(super) evidence: Option<Evidence>,
    /// Whether the engine that candidates come from did not answer.
    pub(super) lost: bool,
}

impl Engine {
    pub(super) fn lexical(&self, asked: &Search<'_>) -> Lexical {
        let Search { query, yardstick, except } = asked;
        let lexical = self.release.lexical();
        let by = self.elsewhere.as_deref().map(|by| lexical.search_by(by, query, CANDIDATES, *except));
        let lost = matches!(by, Some(Asked::Lost));
        let found = match by {
            Some(Asked::Told(found)) => found,
            Some(Asked::Not | Asked::Lost) | None => lexical.search(query, CANDIDATES, *except),
        };
        let lists = Lists { query, lexical: &found, semantic: None, encoder: None };
        let ranked = rank(&lists, yardstick);
        let evidence = Evidence::gather(&lists, &ranked, yardstick);
        Lexical { found, ranked, evidence, lost }
    }

    /// `None` where there is no encoder, and where the engine that candidates come from
    /// does not answer: comparing with all of so many is more than this machine was
    /// chosen for.
    pub(super) fn semantic(
        &self,
        asked: &Search<'_>,
        lexical: &[Overlap],
        semantics: &Semantics,
        options: Options<'_>,
        trace: Option<&mut Trace>,
        mark: &mut Clock,
    ) -> Result<Option<Verdict>> {
        let Search { query, yardstick, except } = asked;
        let release = &self.release;
        let (Some(encoder), Some(semantic)) = (release.encoder(), release.semantic()) else {
            return Ok(None);
        };
        let vector: Embedding = encoder.embed(&query.raw)?;
        let encoded = mark.stage("encoder", options);
        let scan = match self.elsewhere.as_deref().map(|by| semantic.scan_by(by, &vector, *except)) {
            Some(Asked::Told(scan)) => scan,
            Some(Asked::Lost) => return Ok(None),
            Some(Asked::Not) | None => semantic.scan(&vector, *except),
        };
        let semantic = Some((&scan, &semantics.scale));
        let lists = Lists { query, lexical, semantic, encoder: Some(encoder) };
        let ranked = rank(&lists, yardstick);
        let evidence = Evidence::gather(&lists, &ranked, yardstick);
        let verdict = self.decide(&ranked, evidence, &semantics.calibration, Generation::Two);
        let scanned = mark.stage("semantic", options);
        if let Some(trace) = trace {
            let top = scan.top(Outcome::CANDIDATES);
            trace.semantic = top.iter().map(|c| TracedCandidate::new(release, c)).collect();
            trace.scale = Some(semantics.scale);
            trace.stages.push(encoded);
            trace.stages.push(scanned);
            let policy = self.policy_for(ranked.first().map(|best| best.entry), Generation::Two);
            trace.generation2.fill(release, &verdict, evidence, policy);
        }
        Ok(Some(verdict))
    }
}
