//! In what order?
//!
//! [`Engine`] is the only place that knows the order of the stages. It is
//! synchronous and never changes: a new release or an edit is a new engine
//! ([`Live`] makes those of edits).

mod filter;
mod goals;
mod live;
mod readings;
mod reply;
mod rule_test;
mod search;
mod several;
mod stages;
mod trace;

pub use filter::{Filter, FilterFault};
pub use live::{Change, Live, replay};
pub use reply::{Answer, Explanation, HandoffReply, Kept, Reply, Suggestion};
pub use rule_test::{RuleTest, TestedClaim};
pub use stages::{STAGES, Stages};
pub use trace::{Trace, TracedCandidate, TracedClause, TracedHit, TracedReading, TracedStage};

use std::sync::Arc;
use std::time::Instant;

use crate::decide::calibrate::Calibration;
use crate::decide::evidence::{Evidence, Ranked, Yardstick};
use crate::decide::policy::{Policies, Policy, Rankings};
use crate::decide::{Confidence, Decision, Generation, Reason, handoff, share_out};
use crate::error::Result;
use crate::kb::EntryId;
use crate::release::{Edit, Release};
use crate::retrieve::Except;
use crate::retrieve::elsewhere::Elsewhere;
use crate::retrieve::exact::{Hit, Match};
use crate::text::{Query, StepTrace};
use filter::Labels;
use goals::Goals;
use readings::among;
use search::Search;

/// How a question is to be answered.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// The last generation that may run.
    pub generation: Generation,
    /// The moment at which entries must be valid.
    pub now: time::OffsetDateTime,
    /// Which entries may be found; without one, all.
    pub filter: Option<&'a Filter>,
    /// Where the time of every stage is gathered, if somebody wants to know.
    pub stages: Option<&'a Stages>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { generation: Generation::Two, now: time::OffsetDateTime::now_utc(), filter: None, stages: None }
    }
}

/// An entry with its probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// Position of the entry in the release.
    pub entry: usize,
    /// The probability that it is right.
    pub confidence: Confidence,
}

/// What came of a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What to do.
    pub decision: Decision,
    /// Why.
    pub reason: Reason,
    /// Entries, best first, at most [`Outcome::CANDIDATES`].
    pub candidates: Vec<Scored>,
    /// How many of them are worth offering to the customer.
    pub offered: usize,
    /// When several things are asked: the entries of those that would be
    /// answered alone, in the order of the message.
    pub sure: Vec<usize>,
    /// When several things are asked: how many of them lead to no entry.
    pub open: usize,
    /// The generation that decided.
    pub generation: Generation,
    /// Time from text to decision, in microseconds.
    pub micros: u64,
    /// What was asked, in the form that the matchers which score compare; empty
    /// where nothing was looked for.
    pub core: String,
}

impl Outcome {
    /// The longest list of candidates.
    pub const CANDIDATES: usize = 10;

    /// An outcome without candidates: of what nothing is looked for.
    pub fn bare(decision: Decision, reason: Reason) -> Self {
        Self {
            decision,
            reason,
            candidates: Vec::new(),
            offered: 0,
            sure: Vec::new(),
            open: 0,
            generation: Generation::One,
            micros: 0,
            core: String::new(),
        }
    }

    /// Whether several things were asked and all of them are answered, so that there is
    /// nothing to choose.
    pub fn is_all_answered(&self) -> bool {
        self.decision == Decision::Clarify && self.offered > 0 && self.sure.len() == self.offered
    }

    /// The best candidate, whatever the decision.
    pub fn best(&self) -> Option<Scored> {
        self.candidates.first().copied()
    }

    /// The confidence in the best candidate; none without candidates.
    pub fn confidence(&self) -> Confidence {
        self.best().map_or(Confidence::NONE, |best| best.confidence)
    }
}

/// A release ready to answer under a goal.
#[derive(Clone)]
pub struct Engine {
    release: Arc<Release>,
    labels: Labels,
    /// What any goal's policies are drawn from. Live edits leave it alone.
    rankings: Arc<Rankings>,
    policies: Policies,
    /// From this confidence on generation 1 answers before the encoder has run.
    exit: Confidence,
    /// The goals that single entries have.
    own: Goals,
    /// The service document that counts: the release's, or a live edit's.
    service: Arc<str>,
    /// Where candidates come from, if not from the release itself.
    elsewhere: Option<Arc<dyn Elsewhere>>,
}

/// A question as it was typed, whatever was heard in it.
#[derive(Clone, Copy)]
struct Typed<'a> {
    text: &'a str,
    core: &'a str,
}

impl Engine {
    /// An engine over a release that keeps `max_wrong` among its answers.
    pub fn new(release: Arc<Release>, max_wrong: f64) -> Self {
        let rankings = Arc::new(release.calibrations().rankings());
        let (policies, exit) = (rankings.policies(max_wrong), rankings.exit(max_wrong));
        let labels = Labels::of(release.entries());
        let own = Goals::of(release.entries(), &rankings);
        let service = Arc::clone(release.service());
        Self { release, labels, rankings, policies, exit, own, service, elsewhere: None }
    }

    /// The same with candidates from another engine that knows what is published in this
    /// release. While it is lost, questions are answered by generation 1 alone, for which
    /// the release is enough.
    #[must_use]
    pub fn with_candidates(self, elsewhere: Arc<dyn Elsewhere>) -> Self {
        Self { elsewhere: Some(elsewhere), ..self }
    }

    /// The same release under another goal.
    #[must_use]
    pub fn with_goal(&self, max_wrong: f64) -> Self {
        let (policies, exit) = (self.rankings.policies(max_wrong), self.rankings.exit(max_wrong));
        Self { policies, exit, ..self.clone() }
    }

    /// The same with another service document than the release's.
    #[must_use]
    pub fn with_service(&self, text: &str) -> Self {
        Self { service: text.into(), ..self.clone() }
    }

    /// The service document that counts, as its authors wrote it; blank when
    /// they have none. What it says is known further up.
    pub fn service(&self) -> &Arc<str> {
        &self.service
    }

    /// Applies an edit to an engine that nobody reads yet.
    ///
    /// # Errors
    /// When the edit cannot be made; then the engine is of no use any more.
    fn apply(&mut self, edit: &Edit) -> Result<()> {
        let release = Arc::make_mut(&mut self.release);
        let mut before = None;
        if let Some(at) = release.position(edit.id()) {
            let entry = &release.entries()[at];
            self.labels.remove(at, entry);
            before = entry.max_wrong;
        }
        release.apply(edit)?;
        if let Some(at) = release.position(edit.id()) {
            let entry = &release.entries()[at];
            self.labels.add(at, entry);
            if let Some(goal) = entry.max_wrong {
                self.own.add(goal, &self.rankings);
            }
        }
        // Last, so that a goal that the entry keeps is not drawn anew.
        if let Some(goal) = before {
            self.own.remove(goal);
        }
        Ok(())
    }

    /// What is published.
    pub fn release(&self) -> &Release {
        &self.release
    }

    /// The goal of a generation and the bar that keeps it, for entries that
    /// have neither a goal of their own nor a look-alike.
    pub fn policy(&self, generation: Generation) -> &Policy {
        self.policies.of(generation)
    }

    /// Where the entry with an id stands in the release, if it may be given
    /// now: published, in its time and let through by the filter.
    pub fn available(&self, id: &EntryId, options: Options<'_>) -> Option<usize> {
        let entries = self.release.entries();
        let at = self.release.position(id)?;
        let one = entries.get(at).filter(|entry| entry.enabled && entry.valid_at(options.now))?;
        options.filter.is_none_or(|filter| filter.accepts(one)).then_some(at)
    }

    /// Answers a question.
    ///
    /// # Errors
    /// [`crate::error::Error::Question`] when the text is blank or too long; anything else
    /// is a defect of the release or of zhida.
    pub fn answer(&self, text: &str, options: Options<'_>) -> Result<Outcome> {
        self.run(text, options, None)
    }

    /// Answers a question like [`Self::answer`], runs every stage all the
    /// same, and says what each one saw.
    pub fn explain(&self, text: &str, options: Options<'_>) -> Result<(Outcome, Trace)> {
        let mut trace = Trace { steps: self.release.analyzer().trace(text), ..Trace::default() };
        let outcome = self.run(text, options, Some(&mut trace))?;
        trace.rule = format!("{} ({})", outcome.reason.name(), outcome.decision.name());
        Ok((outcome, trace))
    }

    /// The life of a message: it is read as one question, and then by its
    /// clauses, if it has several.
    fn run(&self, text: &str, options: Options<'_>, mut trace: Option<&mut Trace>) -> Result<Outcome> {
        let clock = Clock::start();
        let whole = self.question(text, options, trace.as_deref_mut())?;
        let mut outcome = self.several(text, whole, options, trace)?;
        outcome.micros = clock.micros();
        Ok(outcome)
    }

    /// The life of a question, in each of the ways in which it may be meant.
    fn question(&self, text: &str, options: Options<'_>, mut trace: Option<&mut Trace>) -> Result<Outcome> {
        let clock = Clock::start();
        let (query, others) = self.release.queries(text)?;
        if let Some(trace) = trace.as_deref_mut() {
            if query.raw != text {
                trace.steps.push(StepTrace::heard(query.raw.clone()));
            }
            trace.steps.extend(others.iter().map(|other| StepTrace::heard_too(other.raw.clone())));
        }
        let core = self.core(text, &query);
        let typed = Typed { text, core: &core };
        let mut outcome = self.read(typed, &query, options, trace, clock)?;
        if !others.is_empty() && outcome.reason.is_scored() {
            let others = others.iter().map(|other| self.read(typed, other, options, None, clock));
            outcome = among(outcome, others.collect::<Result<_>>()?);
        }
        outcome.core = core;
        Ok(outcome)
    }

    /// A question as it was typed: what was heard in it is likely, and no more.
    fn core(&self, text: &str, query: &Query) -> String {
        if query.raw == text { query.text.core.clone() } else { self.release.analyzer().normalize(text).core }
    }

    /// The life of one reading of a question. Stages after the one that decided run only under a trace,
    /// and cannot change the decision.
    fn read(
        &self,
        typed: Typed<'_>,
        query: &Query,
        options: Options<'_>,
        mut trace: Option<&mut Trace>,
        mut mark: Clock,
    ) -> Result<Outcome> {
        let clock = mark;
        let took = mark.stage("text", options);
        if let Some(trace) = trace.as_deref_mut() {
            trace.exact_key.clone_from(&query.text.exact);
            trace.core.clone_from(&query.text.core);
            trace.tokens.clone_from(&query.tokens);
            trace.stages.push(took);
        }
        let decided = |decision, reason, candidates: Vec<Scored>, offered, generation| Outcome {
            candidates,
            offered,
            generation,
            micros: clock.micros(),
            ..Outcome::bare(decision, reason)
        };

        let hidden = self.labels.hidden(self.release.entries(), options.filter, options.now);
        let except = hidden.as_deref().map_or(Except::Nothing, Except::Entries);
        let mut outcome = None;
        let hit = self.hit(typed, query, hidden.as_deref());
        let stored = hit.is_some_and(|hit| hit.how == Match::Question);
        if !stored && !query.has_text() {
            outcome = Some(decided(Decision::Handoff, Reason::NoText, Vec::new(), 0, Generation::One));
        }
        let took = mark.stage("exact", options);
        if let Some(trace) = trace.as_deref_mut() {
            // What is switched off is a place that a live edit left free.
            let may = |at: usize| !hidden.as_ref().is_some_and(|hidden| hidden[at]);
            let entries = self.release.entries().iter().enumerate();
            trace.eligible = entries.filter(|(at, entry)| entry.enabled && may(*at)).count();
            trace.exact = hit.map(|hit| TracedHit::new(&self.release, hit));
            trace.stages.push(took);
        }
        // A stored question is its author's word and goes before the request
        // for a person; keywords and rules, which match more than was
        // foreseen, do not.
        let settle = |hit: Hit| {
            let (reason, confidence) = settled(hit);
            let best = Scored { entry: hit.entry, confidence };
            decided(Decision::Answer, reason, vec![best], 1, Generation::One)
        };
        outcome = outcome
            .or_else(|| hit.filter(|hit| hit.how == Match::Question).map(settle))
            .or_else(|| {
                self.requested(typed.text, query)
                    .map(|reason| decided(Decision::Handoff, reason, Vec::new(), 0, Generation::One))
            })
            .or_else(|| hit.map(settle))
            .or_else(|| {
                handoff::nothing_asked(&query.text.core, self.release.pleasantries())
                    .then(|| decided(Decision::Handoff, Reason::NoQuestion, Vec::new(), 0, Generation::One))
            });
        if let (Some(outcome), None) = (&outcome, &trace) {
            return Ok(outcome.clone());
        }

        let yardstick = Yardstick::new(self.release.known(), query, Except::Nothing);
        let asked = Search { query, yardstick, except };
        let lexical = self.lexical(&asked);
        let took = mark.stage("lexical", options);
        if let Some(trace) = trace.as_deref_mut() {
            let found = lexical.found.iter();
            trace.lexical = found.map(|found| TracedCandidate::new(&self.release, &found.best)).collect();
            trace.stages.push(took);
        }
        let calibrations = self.release.calibrations();
        let one = self.decide(&lexical.ranked, lexical.evidence, &calibrations.one, Generation::One);
        if let Some(trace) = trace.as_deref_mut() {
            let policy = self.policy_for(lexical.ranked.first().map(|best| best.entry), Generation::One);
            trace.generation1.fill(&self.release, &one, lexical.evidence, policy);
            trace.exit = self.exit.value();
        }
        let there = calibrations.two.as_ref().filter(|_| !lexical.lost);
        let two = there.filter(|_| options.generation == Generation::Two);
        // Generation 1 alone, or sure enough that the encoder need not run.
        let sure = one.decision == Decision::Answer
            && one.candidates.first().is_some_and(|best| best.confidence >= self.exit);
        let by = |verdict: Verdict, generation| {
            let Verdict { decision, reason, candidates, offered } = verdict;
            decided(decision, reason, candidates, offered, generation)
        };
        if outcome.is_none() && (two.is_none() || sure) {
            outcome = Some(by(one.clone(), Generation::One));
        }
        if let (Some(outcome), None) = (&outcome, &trace) {
            return Ok(outcome.clone());
        }

        if let Some(semantics) = there
            && let Some(verdict) =
                self.semantic(&asked, &lexical.found, semantics, options, trace, &mut mark)?
            && outcome.is_none()
        {
            outcome = Some(by(verdict, Generation::Two));
        }
        // Where generation 2 could not be had, the first one has the say.
        Ok(outcome.unwrap_or_else(|| by(one, Generation::One)))
    }

    /// The entry that claims a message outright: by a question, or by one that
    /// differs in what says nothing, or by a keyword or a rule.
    fn hit(&self, typed: Typed<'_>, query: &Query, hidden: Option<&[bool]>) -> Option<Hit> {
        let may = |entry: usize| !hidden.is_some_and(|hidden| hidden[entry]);
        let exact = self.release.exact();
        let hit = exact.find(&query.text, may);
        if hit.is_some_and(|hit| hit.how == Match::Question) {
            return hit;
        }
        exact.find_core(typed.core, self.release.analyzer().lexicon().normalizer(), may).or(hit)
    }

    /// Why a person gets the message, if the whole or one of its clauses says so.
    fn requested(&self, text: &str, query: &Query) -> Option<Reason> {
        handoff::heard(text, &query.text.core, |clause| self.release.analyzer().normalize(clause).core)
    }

    /// The policy that decides on a best candidate: under its own goal or the
    /// common one, and of its own where it has a look-alike.
    fn policy_for(&self, entry: Option<usize>, generation: Generation) -> &Policy {
        let Some(entry) = entry else { return self.policies.of(generation) };
        let entry = &self.release.entries()[entry];
        let own = entry.max_wrong.and_then(|goal| self.own.policies(goal));
        own.unwrap_or(&self.policies).of_entry(generation, &entry.id)
    }

    fn decide(
        &self,
        ranked: &[Ranked],
        evidence: Option<Evidence>,
        calibration: &Calibration,
        generation: Generation,
    ) -> Verdict {
        let (mut first, mut listed) = (Confidence::NONE, Confidence::NONE);
        if let Some(evidence) = evidence {
            let features = evidence.features(generation);
            first = calibration.confidence(&features);
            listed = Confidence::new(calibration.listed.probability(&features).max(first.value()));
        }
        let ranked = &ranked[..ranked.len().min(Outcome::CANDIDATES)];
        let scores: Vec<f32> = ranked.iter().map(|item| item.score).collect();
        let confidences = share_out(first, listed, &scores);
        let policy = self.policy_for(ranked.first().map(|first| first.entry), generation);
        let (decision, reason, offered) = policy.decide(&confidences, listed);
        let candidates = ranked
            .iter()
            .zip(confidences)
            .map(|(item, confidence)| Scored { entry: item.entry, confidence })
            .collect();
        Verdict { decision, reason, candidates, offered }
    }
}

/// What one generation would decide.
#[derive(Debug, Clone, PartialEq)]
struct Verdict {
    decision: Decision,
    reason: Reason,
    candidates: Vec<Scored>,
    offered: usize,
}

fn settled(hit: Hit) -> (Reason, Confidence) {
    match hit.how {
        Match::Question => (Reason::ExactQuestion, Confidence::CERTAIN),
        Match::Keyword => (Reason::Keyword, Confidence::BY_RULE),
        Match::Rule => (Reason::Rule, Confidence::BY_RULE),
    }
}

/// Times one stage after the other.
#[derive(Clone, Copy)]
struct Clock {
    start: Instant,
    last: Instant,
}

impl Clock {
    fn start() -> Self {
        let now = Instant::now();
        Self { start: now, last: now }
    }

    /// Since the start.
    fn micros(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn stage(&mut self, name: &'static str, options: Options<'_>) -> TracedStage {
        let now = Instant::now();
        let micros = u64::try_from((now - self.last).as_micros()).unwrap_or(u64::MAX);
        self.last = now;
        if let Some(stages) = options.stages {
            stages.add(name, micros);
        }
        TracedStage { stage: name, micros }
    }
}
