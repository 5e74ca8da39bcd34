//! May the draft be served?
//!
//! Publishing checks the draft, makes the release, has it asked its own
//! questions and the labelled ones, compares the latter with what is served
//! now, and only then serves it. Errors and regressions stop it, unless
//! somebody forces it and says why; then both are recorded with the release.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use serde_json::json;

use crate::decide::Generation;
use crate::dialogue::Service;
use crate::encoder::Encoder;
use crate::engine::{Engine, Options};
use crate::error::{Error, Result};
use crate::eval::compare::{Change, Deed, Flip, changes};
use crate::eval::dataset::LabelledQuery;
use crate::eval::run::predict;
use crate::kb::check::{Finding, Severity, check, check_ahead, sort};
use crate::kb::diff::{Diff, TextChange};
use crate::kb::{Entry, EntryId, KnowledgeBase};
use crate::release::checkup::{checkup, checkup_of};
use crate::release::{
    Build, Calibrations, Labelled, Past, Progress, Release, Teachers, base_of, look_alikes,
};
use crate::store::{Approval, Decided, Models, Publication, Published, Shelf};
use crate::text::exact_key;
use crate::text::lexicon::LexiconChanges;

/// When more phrasings than these belong to entries that differ from what is
/// served, a publication does not ask them: at this number it takes as long as
/// the publication itself. `kb check` asks any number.
const ASKED: usize = 2_000;

/// How to publish.
pub struct Request<'a> {
    /// The release that is published once more; `None`: the draft is published.
    pub release: Option<u32>,
    /// Where the release that is served gets its model from.
    pub models: &'a Models,
    /// The model of the new release; `None` for a lexical-only one.
    pub encoder: Option<Arc<Encoder>>,
    /// The goal of knowledge bases that have none of their own.
    pub default_goal: f64,
    /// Publish in spite of errors and regressions.
    pub forced: bool,
    /// Hears how far it is.
    pub progress: Progress<'a>,
}

/// What was found on the way.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// What customers would suffer from for certain.
    pub errors: Vec<Finding>,
    /// What authors should look at in the entries that differ from what is
    /// served, and every pair of entries that is not answered because nothing
    /// tells them apart; it is published all the same.
    pub warnings: Vec<Finding>,
    /// How many phrasings of these entries were asked; `None` when they are
    /// too many for a publication.
    pub asked: Option<usize>,
    /// What customers get from now on against what they got before; `None` at
    /// the first publication, and when that can no longer be read.
    pub changes: Option<Changes>,
    /// What the labelled questions say; `None` without any, or with nothing to compare with.
    pub comparison: Option<Comparison>,
}

/// How many entries a publication changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// Entries that customers did not get before.
    pub added: usize,
    /// Entries that say something else.
    pub changed: usize,
    /// Entries that customers get no more.
    pub removed: usize,
    /// Entries that stay as they are.
    pub unchanged: usize,
}

impl Changes {
    fn of(diff: &Diff) -> Self {
        let Diff { added, removed, changed, unchanged } = diff;
        Self { added: added.len(), changed: changed.len(), removed: removed.len(), unchanged: *unchanged }
    }
}

/// The labelled questions, asked of two releases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// What was served, such as `12+3`.
    pub from: String,
    /// What it is compared with.
    pub to: String,
    /// How many questions were asked.
    pub queries: usize,
    /// Whether any generation got worse beyond chance.
    pub regressed: bool,
    /// What changed, per generation.
    pub generations: BTreeMap<u8, Change>,
    /// Every question whose outcome is another one.
    pub flips: Vec<Flip>,
}

/// What came of it.
#[derive(Debug)]
pub enum Outcome {
    /// It is served.
    Published(Published, Report),
    /// It is not, for these reasons; nothing has changed.
    Refused(Report),
}

impl Report {
    /// Takes what is worth telling of a publication.
    fn take(&mut self, findings: Vec<Finding>) {
        for finding in findings {
            match finding.severity {
                Severity::Error => self.errors.push(finding),
                Severity::Warning => self.warnings.push(finding),
                Severity::Info => {}
            }
        }
        sort(&mut self.errors);
        sort(&mut self.warnings);
    }

    fn is_clean(&self) -> bool {
        self.errors.is_empty() && !self.comparison.as_ref().is_some_and(|comparison| comparison.regressed)
    }
}

/// Publishes a draft, or what a release holds once more.
///
/// # Errors
/// As [`Shelf::publish`]; what authors must mend is no error here but
/// [`Outcome::Refused`].
pub fn publish(shelf: &Shelf, request: Request<'_>) -> Result<Outcome> {
    let Request { release, models, encoder, default_goal, forced, progress } = request;
    let mut report = Report::default();
    let look = |report: &mut Report, content: &KnowledgeBase| -> Vec<Finding> {
        report.take(check(content, time::OffsetDateTime::now_utc()));
        let (faults, hints) =
            served_faultily(content).into_iter().partition(|found| found.severity == Severity::Error);
        report.take(faults);
        hints
    };
    let (content, looked_at) = shelf.content(release)?;
    let hints = RefCell::new(look(&mut report, &content));
    if !report.errors.is_empty() && !forced {
        return Ok(Outcome::Refused(report));
    }
    drop(content);
    let (queries, max_wrong) = (queries(shelf)?, shelf.goal_or(default_goal)?);
    let report = RefCell::new(&mut report);
    let review = |base: &KnowledgeBase, revision: i64, folder: &Path| {
        let mut report = report.borrow_mut();
        // Somebody has changed it since it was looked at.
        if revision != looked_at {
            **report = Report::default();
            hints.replace(look(&mut report, base));
        }
        // What can no longer be read cannot be compared with.
        report.changes = shelf.served().ok().flatten().map(|served| {
            let enabled: Vec<Entry> = base.enabled().cloned().collect();
            Changes::of(&Diff::between(served.entries(), &enabled))
        });
        let news = news(shelf, base)?;
        let of_news = || base.enabled().zip(&news).filter(|(_, new)| **new).map(|(entry, _)| entry);
        let count = of_news().map(|entry| 1 + entry.similar.len()).sum();
        report.asked = (count <= ASKED).then_some(count);
        // Opening a large release takes its time.
        if !queries.is_empty() || (1..=ASKED).contains(&count) {
            let release = Release::open(folder, encoder.clone())?;
            if report.asked.is_some() {
                report.take(checkup_of(&release, &news, progress)?);
            }
            if !queries.is_empty()
                && let Some(served) = served(shelf, models)?
            {
                report.comparison = Some(compare(served, release, &queries, max_wrong, progress)?);
            }
        }
        let ids: HashSet<&EntryId> = of_news().map(|entry| &entry.id).collect();
        report.warnings.retain(|finding| finding.entries.iter().any(|id| ids.contains(id)));
        // These cost answers for as long as they are there.
        report.warnings.extend(look_alikes(base.enabled(), &Calibrations::read(folder)?, max_wrong));
        report.warnings.extend(hints.borrow().iter().cloned());
        if report.is_clean() {
            return Ok(Approval::default());
        }
        if !forced {
            return Err(Error::Refused("the release is not fit to be served".to_owned()));
        }
        Ok(Approval {
            forced: true,
            findings: Some(json!({"errors": report.errors, "comparison": report.comparison})),
        })
    };
    let labelled = taught(shelf, &queries)?;
    let outcome = shelf.publish_as(Publication {
        release,
        encoder: encoder.clone(),
        labelled: &labelled,
        progress,
        review: &review,
    });
    let report = std::mem::take(&mut **report.borrow_mut());
    match outcome {
        Ok(published) => Ok(Outcome::Published(published, report)),
        Err(Error::Refused(_)) if !forced && !report.is_clean() => Ok(Outcome::Refused(report)),
        Err(e) => Err(e),
    }
}

/// What is wrong with how a knowledge base serves: faults of its service
/// document, tests of its rules that fail, rules about entries that are not there.
fn served_faultily(base: &KnowledgeBase) -> Vec<Finding> {
    // The shipped document is tested where it is made.
    if base.service().is_empty() {
        return Vec::new();
    }
    let finding = |severity, code, entries: Vec<EntryId>, message: String, fix: &str| Finding {
        severity,
        code,
        entries,
        texts: Vec::new(),
        score: None,
        message,
        fix: fix.to_owned(),
    };
    let service = match Service::of(base.service()) {
        Ok(service) => service,
        Err(problems) => {
            let told = |problem: &crate::error::Problem| {
                let fix = "请修改服务文件（zhida rules show 看，zhida rules set 改）";
                finding(Severity::Error, "service_fault", Vec::new(), problem.to_string(), fix)
            };
            return problems.iter().map(told).collect();
        }
    };
    let failed = service.rules.test().into_iter().filter(|test| !test.passed);
    let mut findings: Vec<Finding> = failed
        .map(|test| {
            let fix = "请修改规则或它的测试；zhida rules test 会列出每个测试";
            finding(Severity::Error, "rule_test", Vec::new(), test.told(), fix)
        })
        .collect();
    for (field, message) in service.voice.faults_among(base.entries()) {
        let (message, fix) = (format!("voice.{field}：{message}"), "请核对条目编号，或者从常见问题里删除");
        findings.push(finding(Severity::Warning, "service_entry", Vec::new(), message, fix));
    }
    let enabled: HashSet<&str> = base.enabled().map(|entry| entry.id.0.as_str()).collect();
    for rule in service.rules.all().iter().filter(|rule| rule.enabled) {
        for id in rule.entries().iter().filter(|id| !enabled.contains(id.as_str())) {
            let message = format!("规则“{}”里的条目“{id}”不存在或已停用，这个条件不会成立", rule.id);
            let (entries, fix) = (vec![EntryId(id.clone())], "请核对条目编号，或者把它从规则里删除");
            findings.push(finding(Severity::Warning, "service_entry", entries, message, fix));
        }
    }
    findings
}

/// Which enabled entries differ from what is served; all of them when nothing
/// is, or when words have changed.
fn news(shelf: &Shelf, base: &KnowledgeBase) -> Result<Vec<bool>> {
    // A release that no longer opens cannot be compared with.
    let served = shelf.current()?.and_then(|number| base_of(&shelf.fetched_folder(number).ok()?).ok());
    let Some(served) = served.filter(|served| served.lexicon() == base.lexicon()) else {
        return Ok(vec![true; base.enabled().count()]);
    };
    let known: HashMap<&EntryId, &Entry> = served.entries().iter().map(|entry| (&entry.id, entry)).collect();
    Ok(base.enabled().map(|entry| known.get(&entry.id) != Some(&entry)).collect())
}

/// What is served now; `None` when there is nothing, or nothing that opens.
fn served(shelf: &Shelf, models: &Models) -> Result<Option<Release>> {
    if shelf.current()?.is_none() {
        return Ok(None);
    }
    match models.open_served(shelf) {
        Ok(release) => Ok(Some(release)),
        // A release that no longer opens must not keep the next one from
        // taking its place.
        Err(Error::Release { .. } | Error::Model { .. } | Error::Io { .. }) => Ok(None),
        Err(e) => Err(e),
    }
}

/// The labelled questions that are attached to a knowledge base.
///
/// # Errors
/// When a record is none, which only another version of zhida writes.
pub fn queries(shelf: &Shelf) -> Result<Vec<LabelledQuery>> {
    let read = |line: &String| serde_json::from_str(line).map_err(|e| Error::internal("queries", e));
    shelf.queries()?.iter().map(read).collect()
}

/// The questions that teach the calibration of a publication, those that are attached given.
fn taught(shelf: &Shelf, queries: &[LabelledQuery]) -> Result<Vec<Labelled>> {
    let mut labelled: Vec<Labelled> = queries
        .iter()
        .map(|query| Labelled::by_hand(query.text.clone(), query.expect.ids().to_vec()))
        .collect();
    // What was learned from questions; a label that is attached goes before it.
    let attached: HashSet<String> = queries.iter().map(|query| exact_key(&query.text)).collect();
    let decided = shelf.decided_suggestions()?;
    let decided = decided.iter().filter_map(Decided::learned);
    labelled.extend(decided.filter(|one| !attached.contains(&exact_key(&one.text))));
    Ok(labelled)
}

/// How many of some questions are attached to a knowledge base: what it publishes has learned
/// from them, so it answers them better than new ones.
///
/// # Errors
/// When the records cannot be read.
pub fn attached(shelf: &Shelf, asked: &[LabelledQuery]) -> Result<usize> {
    let known: HashSet<String> = queries(shelf)?.iter().map(|query| exact_key(&query.text)).collect();
    Ok(asked.iter().filter(|query| known.contains(&exact_key(&query.text))).count())
}

/// Asks two releases the same questions, in every generation that both have.
///
/// # Errors
/// When a release is defective.
pub fn compare(
    before: Release,
    after: Release,
    queries: &[LabelledQuery],
    max_wrong: f64,
    progress: Progress<'_>,
) -> Result<Comparison> {
    let both = before.encoder().is_some() && after.encoder().is_some();
    let (before, after) = (Engine::new(Arc::new(before), max_wrong), Engine::new(Arc::new(after), max_wrong));
    let mut comparison = Comparison {
        from: before.release().label(),
        to: after.release().label(),
        queries: queries.len(),
        regressed: false,
        generations: BTreeMap::new(),
        flips: Vec::new(),
    };
    let generations: &[Generation] =
        if both { &[Generation::One, Generation::Two] } else { &[Generation::One] };
    for &generation in generations {
        let options = Options { generation, ..Options::default() };
        let heard = |done: usize| progress("queries", done, queries.len());
        let old: Vec<Deed> = predict(&before, queries, options, &heard)?.iter().map(Deed::of).collect();
        let new = predict(&after, queries, options, &heard)?;
        let (change, flips) = changes(generation.number(), &old, &new);
        comparison.regressed |= change.regressed;
        comparison.generations.insert(generation.number(), change);
        comparison.flips.extend(flips);
    }
    Ok(comparison)
}

/// One side of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// What is being worked on.
    Draft,
    /// What customers get: the release that is served, with the live edits on top.
    Served,
    /// What was published under this number.
    Release(u32),
}

impl Side {
    /// What it holds. A draft, and what is served, know what is switched off: so does a
    /// release that is compared with one of them.
    fn content(self, shelf: &Shelf, other: Self) -> Result<KnowledgeBase> {
        match self {
            Self::Draft => Ok(shelf.content(None)?.0),
            Self::Release(number) if matches!(other, Self::Release(_)) => Ok(shelf.content(Some(number))?.0),
            Self::Release(number) => shelf.authored(number),
            Self::Served => shelf.live(),
        }
    }

    /// The release that it is, or is made of; `None` for the draft.
    fn release(self, shelf: &Shelf) -> Result<Option<u32>> {
        match self {
            Self::Draft => Ok(None),
            Self::Served => shelf.current(),
            Self::Release(number) => Ok(Some(number)),
        }
    }

    /// What answers questions there.
    fn open(self, shelf: &Shelf, models: &Models) -> Result<Option<Release>> {
        match self {
            Self::Draft => Ok(None),
            Self::Served => models.open_served(shelf).map(Some),
            Self::Release(number) => models.open(shelf, number).map(Some),
        }
    }
}

impl FromStr for Side {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "draft" => Ok(Self::Draft),
            "served" => Ok(Self::Served),
            number => number
                .parse()
                .map(Self::Release)
                .map_err(|_| "a release is a number, `served` or `draft`".to_owned()),
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Draft => f.write_str("draft"),
            Self::Served => f.write_str("served"),
            Self::Release(number) => write!(f, "{number}"),
        }
    }
}

/// What differs between two states of a knowledge base.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// The earlier state.
    pub from: String,
    /// The later one.
    pub to: String,
    /// Its entries.
    #[serde(flatten)]
    pub entries: Diff,
    /// The words that its authors add.
    pub lexicon: LexiconChanges,
    /// Its service document; `None` when it is the same.
    pub service: Option<TextChange>,
    /// Why its entries were changed, where the authors said so, newest first.
    pub reasons: Vec<Because>,
    /// What the attached questions say of two releases; `None` without any,
    /// or when a side is the draft, which has no index.
    pub queries: Option<Comparison>,
}

/// Why an entry was changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Because {
    /// The entry.
    pub entry: EntryId,
    /// The revision.
    pub revision: i64,
    /// Who changed it.
    pub author: String,
    /// Why.
    pub reason: String,
}

/// Differing entries whose reasons are told at most.
const TOLD: usize = 200;

/// The revisions of an entry that are looked at for reasons.
const REVISIONS: usize = 20;

/// Why entries differ between two sides, from their revisions in between.
fn reasons(shelf: &Shelf, (before, after): (Option<u32>, Option<u32>), diff: &Diff) -> Result<Vec<Because>> {
    let records = shelf.records()?;
    let last = |release: Option<u32>| match release {
        Some(number) => {
            records.iter().find(|record| record.release == number).map_or(0, |record| record.revision)
        }
        None => i64::MAX,
    };
    let (from, to) = (last(before).min(last(after)), last(before).max(last(after)));
    let ids = diff.added.iter().map(|one| &one.id).chain(diff.changed.iter().map(|one| &one.id));
    let mut found = Vec::new();
    for id in ids.chain(diff.removed.iter().map(|one| &one.id)).take(TOLD) {
        let revisions = shelf.history(Some(id), None, REVISIONS)?;
        let between = revisions.into_iter().filter(|one| one.number > from && one.number <= to);
        found.extend(between.filter_map(|one| {
            let reason = one.reason?;
            Some(Because { entry: id.clone(), revision: one.number, author: one.author, reason })
        }));
    }
    found.sort_by_key(|one| std::cmp::Reverse(one.revision));
    Ok(found)
}

/// Compares two states of a knowledge base; questions are asked under its
/// goal, or the default one.
///
/// # Errors
/// [`Error::Unknown`] when there is no such release, and when one does not open.
pub fn difference(
    shelf: &Shelf,
    models: &Models,
    (before, after): (Side, Side),
    default_goal: f64,
) -> Result<Difference> {
    let (old, new) = (before.content(shelf, after)?, after.content(shelf, before)?);
    let asked = queries(shelf)?;
    let releases = (before.release(shelf)?, after.release(shelf)?);
    let compared = match releases {
        (Some(_), Some(_)) if !asked.is_empty() => {
            let opened = before.open(shelf, models)?.zip(after.open(shelf, models)?);
            let goal = shelf.goal_or(default_goal)?;
            opened.map(|(before, after)| compare(before, after, &asked, goal, &|_, _, _| ())).transpose()?
        }
        _ => None,
    };
    // Live edits are later than the release that they are made on.
    let until = |side: Side, release: Option<u32>| if side == Side::Served { None } else { release };
    let releases = (until(before, releases.0), until(after, releases.1));
    let entries = Diff::between(old.entries(), new.entries());
    Ok(Difference {
        from: before.to_string(),
        to: after.to_string(),
        reasons: reasons(shelf, releases, &entries)?,
        entries,
        lexicon: old.lexicon().changes(new.lexicon()),
        service: TextChange::of(old.service(), new.service()),
        queries: compared,
    })
}

/// What is thrown through work that was told to stop. Work deep inside reports
/// its progress and nothing else, so the report is where it is stopped;
/// unwinding removes what was half made.
struct Cancelled;

/// Does work that [`stop_if`] may stop; `None` when it did.
///
/// # Errors
/// Those of the work.
pub fn stoppable<T>(work: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
        Ok(result) => result.map(Some),
        Err(thrown) if thrown.is::<Cancelled>() => Ok(None),
        Err(panicked) => std::panic::resume_unwind(panicked),
    }
}

/// Stops the work around it when somebody has asked for it. Called from a
/// [`Progress`], inside [`stoppable`].
pub fn stop_if(asked: &AtomicBool) {
    if asked.load(Ordering::Relaxed) {
        // No message: nothing is wrong.
        std::panic::resume_unwind(Box::new(Cancelled));
    }
}

/// The release that publishing some entries would make, in a temporary folder.
///
/// # Errors
/// When the release for it cannot be made.
pub fn index(
    shelf: &Shelf,
    base: &KnowledgeBase,
    encoder: Option<Arc<Encoder>>,
    progress: Progress<'_>,
) -> Result<Release> {
    let previous = shelf.folder_served();
    let labelled = taught(shelf, &queries(shelf)?)?;
    let calibrate_by = Teachers { labelled: &labelled, ..Teachers::default() };
    let previous = previous.as_deref().map(Past::In);
    Build { encoder, previous, calibrate_by, progress, ..Build::of(shelf.name(), base) }.temporary()
}

/// The engine that publishing a draft would make, under its goal or the default one.
///
/// # Errors
/// When nothing of it is enabled, or the release for it cannot be made.
pub fn engine_of_draft(
    shelf: &Shelf,
    encoder: Option<Arc<Encoder>>,
    default_goal: f64,
    progress: Progress<'_>,
) -> Result<Engine> {
    let base = shelf.draft()?;
    base.require_enabled(shelf.name(), "test")?;
    let release = index(shelf, &base, encoder, progress)?;
    Ok(Engine::new(Arc::new(release), shelf.goal_or(default_goal)?))
}

/// Asks a draft everything that `kb check` asks: what its entries show, those
/// that expire within so many days among it, and what it finds when it is
/// asked its own questions, under its goal or the default one.
///
/// # Errors
/// When the release for it cannot be made.
pub fn examine(
    shelf: &Shelf,
    encoder: Option<Arc<Encoder>>,
    default_goal: f64,
    expiry_days: u16,
    progress: Progress<'_>,
) -> Result<Vec<Finding>> {
    let base = shelf.draft()?;
    let mut findings = check_ahead(&base, time::OffsetDateTime::now_utc(), expiry_days);
    findings.extend(served_faultily(&base));
    if base.enabled().next().is_some() {
        let release = index(shelf, &base, encoder, progress)?;
        let max_wrong = shelf.goal_or(default_goal)?;
        let pairs = look_alikes(release.entries().iter(), release.calibrations(), max_wrong);
        let told = |finding: &Finding| {
            let of_both = |pair: &Finding| finding.entries.iter().all(|id| pair.entries.contains(id));
            finding.code == "alike" && pairs.iter().any(of_both)
        };
        findings.extend(checkup(&release, progress)?.into_iter().filter(|finding| !told(finding)));
        findings.extend(pairs);
    }
    sort(&mut findings);
    Ok(findings)
}
