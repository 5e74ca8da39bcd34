//! What do customers get, and what if the draft has lost it?
//!
//! What is served is the release with the live edits on top. An import may
//! take an entry out of the draft that customers still get; it can be switched
//! off, on again and removed all the same, and the draft stays as it is.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::{ExpressionMethods, QueryDsl};

use super::Shelf;
use super::database::schema::{entries, kbs, revisions};
use super::database::{Connection, Outcome};
use super::draft::{self, Action, Kb, Row};
use super::edit::{Edit, Edited, Expected, Stored};
use super::signature::now;
use crate::error::{Error, Result};
use crate::kb::{Entry, EntryId, KnowledgeBase};
use crate::release::base_of;

/// An entry that only customers know, at a moment.
struct Lost {
    /// As it was last served.
    entry: Entry,
    /// Whether it is served now.
    on: bool,
    /// The last revision of it; 0 when there is none.
    revision: i64,
}

impl Shelf {
    /// Everything that customers get: the release with the live edits on top;
    /// `None` when nothing was published.
    ///
    /// # Errors
    /// When the release cannot be read.
    pub fn served(&self) -> Result<Option<KnowledgeBase>> {
        let Some(head) = self.head()? else { return Ok(None) };
        let Some(number) = head.current else { return Ok(None) };
        let base = base_of(&self.fetched_folder(number)?)?;
        let news = self.live_changes(head.live_from)?;
        let (changes, changed_service) = (news.changes, news.service);
        if changes.is_empty() && changed_service.is_none() {
            return Ok(Some(base));
        }
        let mut entries: Vec<Option<Entry>> = base.entries().iter().cloned().map(Some).collect();
        let mut places: HashMap<EntryId, usize> =
            base.entries().iter().enumerate().map(|(at, entry)| (entry.id.clone(), at)).collect();
        for change in changes {
            match (places.get(&change.id), change.entry) {
                (Some(&at), entry) => entries[at] = entry,
                (None, Some(entry)) => {
                    places.insert(change.id, entries.len());
                    entries.push(Some(entry));
                }
                (None, None) => {}
            }
        }
        let entries = entries.into_iter().flatten().collect();
        let service = changed_service.unwrap_or_else(|| base.service().to_owned());
        Ok(Some(
            KnowledgeBase::of_validated(entries).with_lexicon(base.lexicon().clone()).with_service(service),
        ))
    }

    /// An entry that customers get, or got until it was switched off, although
    /// the draft has lost it.
    ///
    /// # Errors
    /// When the release that is served cannot be read.
    pub fn served_only(&self, id: &EntryId) -> Result<Option<Stored>> {
        let Some(published) = self.published(id)? else { return Ok(None) };
        let found = self.store.database.read(|connection| {
            let Some(kb) = draft::find(connection, &self.name)? else { return Ok(None) };
            let Some(lost) = lost(connection, &kb, id, published)? else { return Ok(None) };
            let of_entry = revisions::table.find((kb.id, lost.revision));
            let made: Option<(String, String)> =
                of_entry.select((revisions::at, revisions::author)).first(connection).optional()?;
            let (at, author) = made.unwrap_or_default();
            let entry = Entry { enabled: lost.on, ..lost.entry };
            Ok(Some(Stored { entry, revision: lost.revision, at, author }))
        })?;
        Ok(found.flatten())
    }

    /// The release that is served, and the entry as it stands there.
    fn published(&self, id: &EntryId) -> Result<Option<(u32, Option<Entry>)>> {
        let Some(number) = self.current()? else { return Ok(None) };
        let base = base_of(&self.fetched_folder(number)?)?;
        Ok(Some((number, base.entries().iter().find(|entry| entry.id == *id).cloned())))
    }

    /// Switches an entry off or on, or removes it, that the draft has lost.
    ///
    /// # Errors
    /// [`Error::NoEntry`] when it is not served either, and [`Error::Stale`]
    /// when it is not what was expected.
    pub(super) fn edit_served(&self, id: &EntryId, edit: &Edit, expected: &Expected) -> Result<Edited> {
        let none = || Error::NoEntry { kb: self.name.clone(), entry: id.0.clone() };
        let on = match edit {
            Edit::Enable(on) => *on,
            Edit::Remove => false,
            Edit::Put(_) => return Err(none()),
        };
        let published = self.published(id)?.ok_or_else(none)?;
        self.store.database.write(|connection| {
            let kb = draft::known(connection, &self.name)?;
            let lost = lost(connection, &kb, id, published)?.ok_or_else(none)?;
            if !expected.allows(Some(lost.revision)) {
                return Err(Error::stale(id, Some(lost.revision)).into());
            }
            let entry = Entry { enabled: on, ..lost.entry };
            let kept = (*edit != Edit::Remove).then(|| entry.clone());
            if lost.on == on {
                return Ok(Edited { action: None, revision: lost.revision, live: true, entry: kept });
            }
            let action = match edit {
                Edit::Remove => Action::Remove,
                _ if on => Action::Enable,
                _ => Action::Disable,
            };
            let row = Row {
                kb: kb.id,
                number: kb.revision + 1,
                entry: id.0.clone(),
                action: action.name().to_owned(),
                // Off, it is nowhere: no draft holds it.
                content: if on { Some(draft::written(&entry)?) } else { None },
                previous: (lost.revision > 0).then_some(lost.revision),
                at: now(),
                author: self.signature.author.clone(),
                reason: self.signature.reason.clone(),
                live: true,
            };
            diesel::insert_into(revisions::table).values(&row).execute(connection)?;
            diesel::update(kbs::table.find(kb.id))
                .set((kbs::revision.eq(row.number), kbs::live_to.eq(row.number)))
                .execute(connection)?;
            Ok(Edited { action: Some(action), revision: row.number, live: true, entry: kept })
        })
    }
}

/// What customers get of an entry that the draft does not have; `None` when it
/// has it, when they never got it from this release, or when an edit removed it
/// from what they get.
fn lost(
    connection: &mut Connection,
    kb: &Kb,
    id: &EntryId,
    (number, published): (u32, Option<Entry>),
) -> Outcome<Option<Lost>> {
    let in_draft = entries::table.find((kb.id, &id.0)).select(entries::revision);
    let in_draft: Option<i64> = in_draft.first(connection).optional()?;
    if in_draft.is_some() || kb.current != i32::try_from(number).ok() {
        return Ok(None);
    }
    let rows: Vec<(i64, String, Option<String>, bool)> = revisions::table
        .filter(revisions::kb.eq(kb.id))
        .filter(revisions::entry.eq(&id.0))
        .order(revisions::number)
        .select((revisions::number, revisions::action, revisions::content, revisions::live))
        .load(connection)?;
    let revision = rows.last().map_or(0, |(number, ..)| *number);
    let (mut entry, mut on) = (published, true);
    for (_, action, content, _) in
        rows.into_iter().filter(|(number, .., live)| *live && *number > kb.live_from)
    {
        on = content.is_some();
        if let Some(content) = content {
            entry = Some(draft::parse(&id.0, Some(&content))?);
        } else if Action::named(&action) == Action::Remove {
            entry = None;
        }
    }
    Ok(entry.map(|entry| Lost { on: on && entry.enabled, entry, revision }))
}
