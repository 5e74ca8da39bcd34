//! Who puts rows where they belong, and finds an engine well again?
//!
//! Two threads, so that millions of rows that are on their way do not keep the other one
//! from looking. Neither is on the way of a question.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::held::Progress;
use super::{Candidates, Fault, Held, Parts};
use crate::error::{Error, Result};

/// How often either looks whether there is something to do.
const TICK: Duration = Duration::from_millis(250);

/// Rows that are put at a time: some megabytes, and less than any engine takes in one call.
const BATCH: usize = 1_000;

/// Rows that are made at a time.
const MADE: usize = 16 * BATCH;

/// How long the first search in a release may take.
const FIRST: Duration = Duration::from_secs(10);

/// About as many as a question asks for.
const USUAL: usize = 50;

/// After so long rows that could not be put are tried again.
const AGAIN: Duration = Duration::from_secs(30);

/// How often rows that should be there are counted.
const COUNT: Duration = Duration::from_secs(600);

/// So long after a release is there, those of others are removed: no other node should
/// serve them any more, and nobody wants to go back to them in a hurry.
const SWEEP: Duration = Duration::from_secs(3_600);

impl Candidates {
    /// Looks after rows and engine as long as anybody holds this.
    pub(super) fn watch(&self) -> Result<()> {
        type Task = fn(&Candidates);
        let tasks: [(&str, Task); 2] = [("candidates", Self::keep), ("candidates-look", Self::look)];
        for (name, task) in tasks {
            let held = Arc::downgrade(&self.0);
            let round = move || {
                while let Some(parts) = Weak::upgrade(&held) {
                    task(&Self(parts));
                    std::thread::sleep(TICK);
                }
            };
            let started = std::thread::Builder::new().name(name.to_owned()).spawn(round);
            started.map_err(|e| Error::internal("candidates", e))?;
        }
        Ok(())
    }

    /// Puts the rows that are not there, counts those that should be, and removes those
    /// that nobody needs. Takes as long as the engine does.
    pub fn keep(&self) {
        for held in self.0.open() {
            if !self.0.breaker.admits() {
                return;
            }
            self.0.tend(&held);
        }
        self.0.sweep_gone();
    }

    /// Finds out whether an engine that is not asked is well again.
    pub fn look(&self) {
        if !self.0.breaker.is_due(Instant::now()) {
            return;
        }
        match self.0.is_well() {
            Ok(()) => {
                if self.0.breaker.is_well(Instant::now()) {
                    tracing::info!("the engine for candidates answers again");
                }
            }
            Err(fault) => drop(self.0.breaker.failed(&fault, Instant::now())),
        }
    }
}

impl Parts {
    /// A search, or anything else, was not answered.
    pub(super) fn failed(&self, fault: &Fault) {
        if self.breaker.failed(fault, Instant::now()) {
            tracing::error!(
                error = %fault,
                "the engine for candidates is lost; until it answers again large knowledge bases are answered by words alone"
            );
        }
    }

    /// As a question would find it.
    fn is_well(&self) -> std::result::Result<(), Fault> {
        let patience = self.manner.patience;
        self.index.is_there(patience)?;
        for held in self.open().iter().filter(|held| held.is_ready()) {
            let (name, sample) = (held.name(), held.sample());
            self.index.prepare(name.width)?;
            self.index.worded(name, &sample.words, USUAL, patience)?;
            if let Some(meaning) = &sample.meaning {
                self.index.meant(name, meaning, USUAL, patience)?;
            }
        }
        Ok(())
    }

    fn tend(&self, held: &Held) {
        let name = held.name();
        let (refused, counted, there, swept) = {
            let progress = held.progress();
            let at = progress.refused.as_ref().map(|(at, _)| *at);
            (at, progress.counted, progress.there, progress.swept)
        };
        let Some(there) = there else {
            if refused.is_none_or(|at| at.elapsed() >= AGAIN) {
                self.bring(held);
            }
            return;
        };
        if !held.is_ready() {
            if there.elapsed() >= self.index.settles() {
                self.begin(held);
            }
            return;
        }
        if counted.is_none_or(|at| at.elapsed() >= COUNT) {
            match self.index.count(name) {
                Ok(count) if count == held.len() => held.progress().counted = Some(Instant::now()),
                Ok(count) => {
                    let rows = held.len();
                    tracing::warn!(
                        base = name.base,
                        count,
                        rows,
                        "candidates are missing; they are put again"
                    );
                    held.set_ready(false);
                    *held.progress() = Progress::default();
                }
                Err(fault) => self.failed(&fault),
            }
        }
        if !swept && there.elapsed() >= SWEEP {
            match self.sweep(&name.base) {
                Ok(()) => held.progress().swept = true,
                Err(fault) => self.failed(&fault),
            }
        }
    }

    /// Asks for a release from now on, when its rows can be found. The first search may
    /// take long.
    fn begin(&self, held: &Held) {
        let name = held.name();
        match self.index.worded(name, &held.sample().words, 1, FIRST) {
            Ok(places) if places.is_empty() => {
                let mut progress = held.progress();
                progress.there = None;
                progress.refused = Some((Instant::now(), "a search finds none of its rows".to_owned()));
            }
            Ok(_) => {
                held.set_ready(true);
                tracing::info!(
                    base = name.base,
                    release = name.release,
                    rows = held.len(),
                    "candidates are there"
                );
            }
            Err(fault) => self.failed(&fault),
        }
    }

    /// Puts the rows of a release unless they are there.
    fn bring(&self, held: &Held) {
        let now = Instant::now();
        match self.put(held) {
            Ok(()) => {
                let mut progress = held.progress();
                (progress.there, progress.counted) = (Some(Instant::now()), Some(now));
                progress.refused = None;
            }
            Err(Fault::Refused(why)) => {
                let mut progress = held.progress();
                if progress.refused.as_ref().is_none_or(|(_, known)| *known != why) {
                    tracing::error!(
                        base = held.name().base,
                        error = why,
                        "candidates cannot be put; questions are answered from the release itself"
                    );
                }
                progress.refused = Some((now, why));
            }
            Err(fault) => {
                // Nothing that a customer waits for was slow; still it is not well.
                self.failed(&fault);
            }
        }
    }

    fn put(&self, held: &Held) -> std::result::Result<(), Fault> {
        let name = held.name();
        self.index.prepare(name.width)?;
        if self.index.count(name)? != held.len() {
            for from in (0..held.len()).step_by(MADE) {
                let mut rows = held.rows(from..held.len().min(from + MADE));
                while !rows.is_empty() {
                    let later = rows.split_off(rows.len().min(BATCH));
                    self.index.put(name, rows)?;
                    rows = later;
                }
            }
            self.index.complete(name)?;
            let count = self.index.count(name)?;
            if count != held.len() {
                return Err(Fault::Refused(format!("of {} rows {count} are there", held.len())));
            }
        }
        Ok(())
    }

    /// Removes rows of a knowledge base that no open release needs.
    fn sweep(&self, base: &str) -> std::result::Result<(), Fault> {
        let open = self.open();
        let needed = open.iter().map(|held| held.name()).filter(|name| name.base == base);
        let but: Vec<String> = needed.map(|name| name.release.clone()).collect();
        self.index.sweep(base, &but)?;
        tracing::info!(base, but = but.join(","), "candidates of other releases are removed");
        Ok(())
    }

    /// Removes what knowledge bases have left that are gone.
    fn sweep_gone(&self) {
        let gone = std::mem::take(&mut *self.gone());
        for base in gone {
            if let Err(fault) = self.sweep(&base) {
                self.failed(&fault);
                self.gone().push(base);
            }
        }
    }
}
