//! Which entries does a knowledge base serve, and since when at least?

use std::collections::HashSet;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Shelf;
use crate::error::Result;
use crate::events::stats::Known;
use crate::release::base_of;

impl Shelf {
    /// The entries of the release that is served. Since when each one is there is
    /// known as far back as releases are kept without a gap in which it was not.
    ///
    /// # Errors
    /// When a release cannot be read; [`crate::error::Error::Refused`] when none is served.
    pub fn known_entries(&self) -> Result<Vec<Known>> {
        let current = self.current_number()?;
        let base = base_of(&self.fetched_folder(current)?)?;
        let mut known: Vec<Known> = base
            .entries()
            .iter()
            .map(|entry| Known {
                id: entry.id.to_string(),
                question: entry.question.clone(),
                enabled: entry.enabled,
                since: None,
            })
            .collect();
        let mut still: HashSet<String> = known.iter().map(|entry| entry.id.clone()).collect();
        for record in self.records()?.into_iter().rev().filter(|record| record.release <= current) {
            let Ok(made) = OffsetDateTime::parse(&record.at, &Rfc3339) else { continue };
            // Its own entries are those of the release that is served.
            if record.release != current {
                let base = base_of(&self.fetched_folder(record.release)?)?;
                let held: HashSet<&str> = base.entries().iter().map(|entry| entry.id.0.as_str()).collect();
                still.retain(|id| held.contains(id.as_str()));
            }
            for entry in known.iter_mut().filter(|entry| still.contains(&entry.id)) {
                entry.since = Some(made.unix_timestamp() * 1_000);
            }
        }
        // Who was never seen in a record came with a live edit or a moved folder: just now.
        for entry in known.iter_mut().filter(|entry| entry.since.is_none()) {
            entry.since = Some(OffsetDateTime::now_utc().unix_timestamp() * 1_000);
        }
        Ok(known)
    }
}
