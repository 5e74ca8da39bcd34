//! How does a suggestion get into the draft?
//!
//! Each kind is an edit that an author could have made, of an entry, of the words
//! or of the service document; what it needs and does not have is asked for.

use super::halves::{add, as_one, without};
use super::verdicts::{Accepted, Change};
use super::{Kind, Suggestion};
use crate::dialogue::voice;
use crate::error::{Error, Problem, Result};
use crate::eval::dataset::LabelledQuery;
use crate::kb::{Entry, EntryId};
use crate::store::{Edit, Edited, Expected, Filter, Shelf, Stored};
use crate::text::lexicon::{Item, What};
use crate::text::{AuthoredLexicon, exact_key};

pub(super) fn apply(shelf: &Shelf, suggestion: &Suggestion, change: &Change) -> Result<Accepted> {
    let text = change.text.as_ref().unwrap_or(&suggestion.text).trim().to_owned();
    let entry = change.entry.clone().or_else(|| suggestion.entry.clone());
    let kind = suggestion.kind;
    if let Some((a, b)) = suggestion.pair() {
        let (a, b) = text.split_once('|').unwrap_or((a, b));
        let both = vec![a.trim().to_owned(), b.trim().to_owned()];
        let what = match kind {
            Kind::Synonym => What::Synonyms { synonyms: both, canonical: None },
            _ => What::Contrast { contrast: both },
        };
        let item = Item { what, note: Some(format!("建议 {}", suggestion.id)) };
        let line = AuthoredLexicon::of_lines("suggestion", vec![(1, item)], Vec::new())?;
        let (_, revision) = shelf
            .change_lexicon(&Expected::Anything, |known| known.edited(&line, &AuthoredLexicon::default()))?;
        return Ok(Accepted { id: suggestion.id.clone(), kind, entry: None, revision, live: false });
    }
    if kind == Kind::Merge {
        return merge(shelf, suggestion, change);
    }
    let answer = change.answer.clone().or_else(|| suggestion.draft.clone());
    let missing = || {
        let message = "这条建议需要答案：请填写 answer（命令行用 --answer）；如果问题属于已有的条目，请填写 entry（--entry）";
        fault(suggestion, "answer", message.to_owned())
    };
    let known = |id: &str| {
        let found = shelf.entry(&EntryId(id.to_owned()))?;
        found.ok_or_else(|| Error::NoEntry { kb: shelf.name().to_owned(), entry: id.to_owned() })
    };
    let more: &[String] = if change.examples { &suggestion.examples } else { &[] };
    // Small talk that belongs to an entry after all is a phrasing of it.
    if kind == Kind::SmallTalk && entry.is_none() {
        let says: Vec<&String> = std::iter::once(&text).chain(more).collect();
        return talk(shelf, suggestion, &says, &answer.ok_or_else(missing)?, change.live);
    }
    if let (true, Some(of)) = (splits(suggestion, change), &suggestion.entry) {
        return split(shelf, suggestion, change, &known(of)?, text, answer.ok_or_else(missing)?);
    }
    let (entry, expected) = match (kind, entry) {
        (Kind::Entry, None) => {
            let mut made = Entry::of(EntryId::derived(&text), text, answer.ok_or_else(missing)?);
            add(&mut made, more);
            (made, Expected::Absent)
        }
        (Kind::Outdated, Some(id)) => {
            let stored = known(&id)?;
            let mut entry = stored.entry.clone();
            entry.answer = answer.ok_or_else(missing)?;
            changed(suggestion, stored, entry)?
        }
        (Kind::Keyword, Some(id)) => {
            let stored = known(&id)?;
            let mut entry = stored.entry.clone();
            if !entry.keywords.contains(&text) {
                entry.keywords.push(text);
            }
            changed(suggestion, stored, entry)?
        }
        (_, Some(id)) => {
            let stored = known(&id)?;
            let mut entry = stored.entry.clone();
            add(&mut entry, &[text]);
            add(&mut entry, more);
            changed(suggestion, stored, entry)?
        }
        (_, None) => return Err(missing()),
    };
    let id = entry.id.clone();
    let edited = shelf.edit(&id, Edit::Put(entry), &expected, change.live)?;
    Ok(Accepted {
        id: suggestion.id.clone(),
        kind,
        entry: Some(id.0),
        revision: edited.revision,
        live: edited.live,
    })
}

/// An edit of an entry.
///
/// # Errors
/// When it changes nothing: then nobody is told that something was done.
fn changed(suggestion: &Suggestion, stored: Stored, entry: Entry) -> Result<(Entry, Expected)> {
    if stored.entry != entry {
        return Ok((entry, Expected::Revisions(vec![stored.revision])));
    }
    let (field, what) = match suggestion.kind {
        Kind::Outdated => ("answer", "的答案就是这样"),
        Kind::Keyword => ("text", "已经有这个关键词"),
        _ => ("text", "已经有这个问法"),
    };
    let message =
        format!("条目“{}”{what}，采纳不会改变什么；答案不对，请改条目的答案，否则请忽略这条建议", entry.id);
    Err(fault(suggestion, field, message))
}

/// Whether the draft has what a phrasing or keyword would add: an author was faster.
///
/// # Errors
/// When the draft cannot be read.
pub(crate) fn is_there(shelf: &Shelf, suggestion: &Suggestion) -> Result<bool> {
    let Some(id) = suggestion.entry.clone().map(EntryId) else { return Ok(false) };
    let key = exact_key(&suggestion.text);
    Ok(match (suggestion.kind, shelf.entry(&id)?) {
        (Kind::Similar, Some(stored)) => stored.entry.phrasings().any(|text| exact_key(text) == key),
        (Kind::Keyword, Some(stored)) => stored.entry.keywords.contains(&suggestion.text),
        _ => false,
    })
}

/// Makes an entry two, in one step: what its answer does not help goes to a new one.
fn split(
    shelf: &Shelf,
    suggestion: &Suggestion,
    change: &Change,
    of: &Stored,
    question: String,
    answer: String,
) -> Result<Accepted> {
    let goes = moved(suggestion, change);
    let mut made = Entry::of(EntryId::derived(&question), question, answer);
    made.topic.clone_from(&of.entry.topic);
    made.tags.clone_from(&of.entry.tags);
    add(&mut made, goes);
    let left = without(&of.entry, &made.phrasings().map(str::to_owned).collect::<Vec<_>>());
    if made.phrasings().any(|text| exact_key(text) == exact_key(&left.question)) {
        let message =
            format!("“{}”是原条目的标准问，拆分后仍属于原条目；请从要移走的问法里去掉它", left.question);
        return Err(fault(suggestion, "moves", message));
    }
    let id = made.id.clone();
    let mut edits = vec![(id.clone(), Edit::Put(made), Expected::Absent)];
    if left != of.entry {
        let seen = Expected::Revisions(vec![of.revision]);
        // It gives up first what the other one gets.
        edits.insert(0, (left.id.clone(), Edit::Put(left), seen));
    }
    told(suggestion, id, &shelf.edit_together(edits, change.live)?)
}

/// Whether an entry is to be made two. Who names another entry than the one that is to
/// be split says that the question is a phrasing of that one.
pub(super) fn splits(suggestion: &Suggestion, change: &Change) -> bool {
    let named = change.entry.as_ref().filter(|entry| suggestion.entry.as_ref() != Some(entry));
    suggestion.kind == Kind::Split && named.is_none()
}

/// The phrasings that go to the new entry of a split beside its question.
pub(super) fn moved<'a>(suggestion: &'a Suggestion, change: &'a Change) -> &'a [String] {
    let examples: &[String] = if change.examples { &suggestion.examples } else { &[] };
    let sorted = || suggestion.halves.as_ref().map_or(examples, |halves| &halves.goes);
    change.moves.as_deref().unwrap_or_else(sorted)
}

/// Makes two entries one, in one step: the phrasings, keywords and rules of the one
/// that goes are those of the other from now on, and so is what pointed to it.
fn merge(shelf: &Shelf, suggestion: &Suggestion, change: &Change) -> Result<Accepted> {
    let (Some(kept), Some(gone)) = (&suggestion.entry, &suggestion.other) else {
        return Err(Error::internal("suggestions", "a merger names two entries"));
    };
    // The author may keep the other one.
    let (kept, gone) = match &change.entry {
        Some(entry) if entry == gone => (gone, kept),
        Some(entry) if entry != kept => {
            let message = format!("合并后保留的条目只能是“{kept}”或“{gone}”，不能是“{entry}”");
            return Err(fault(suggestion, "entry", message));
        }
        _ => (kept, gone),
    };
    let stored = |id: &String| {
        let found = shelf.entry(&EntryId(id.clone()))?;
        found.ok_or_else(|| Error::NoEntry { kb: shelf.name().to_owned(), entry: id.clone() })
    };
    let (kept, gone) = (stored(kept)?, stored(gone)?);
    let mut entry = as_one(&kept.entry, &gone.entry);
    if let Some(answer) = &change.answer {
        entry.answer.clone_from(answer);
    }
    let (id, its) = (entry.id.clone(), gone.entry.id.clone());
    let mut edits = Vec::new();
    let filter = Filter { text: Some(its.0.clone()), limit: usize::MAX, ..Filter::default() };
    let points = |one: &Entry| one.id != id && one.id != its && one.related.contains(&its);
    for mut other in shelf.entries_where(&filter, points, |_| ())?.items {
        other.entry.related.retain(|related| *related != id);
        other
            .entry
            .related
            .iter_mut()
            .filter(|related| **related == its)
            .for_each(|related| *related = id.clone());
        let seen = Expected::Revisions(vec![other.revision]);
        edits.push((other.entry.id.clone(), Edit::Put(other.entry), seen));
    }
    // It goes before the other one comes: what it asks belongs to nobody then.
    edits.push((its.clone(), Edit::Remove, Expected::Revisions(vec![gone.revision])));
    edits.push((id.clone(), Edit::Put(entry), Expected::Revisions(vec![kept.revision])));
    let edited = shelf.edit_together(edits, change.live)?;
    point_labels(shelf, &its, &id)?;
    told(suggestion, id, &edited)
}

/// Labelled questions that expected the entry that went expect the one that stayed.
fn point_labels(shelf: &Shelf, from: &EntryId, to: &EntryId) -> Result<()> {
    let mut lines = shelf.queries()?;
    let mut changed = false;
    for line in &mut lines {
        let mut query: LabelledQuery =
            serde_json::from_str(line).map_err(|e| Error::internal("queries", e))?;
        if query.expect.replace(from, to) {
            *line = serde_json::to_string(&query).map_err(|e| Error::internal("queries", e))?;
            changed = true;
        }
    }
    if changed { shelf.save_queries(&lines) } else { Ok(()) }
}

fn fault(suggestion: &Suggestion, field: &str, message: String) -> Error {
    let (file, field) = (suggestion.id.clone(), Some(field.to_owned()));
    Error::Corpus(vec![Problem { file, line: 0, column: 0, field, message }])
}

/// What several edits came to; the last one is what the suggestion was about.
fn told(suggestion: &Suggestion, entry: EntryId, edited: &[Edited]) -> Result<Accepted> {
    let last = edited.last().ok_or_else(|| Error::internal("suggestions", "nothing was edited"))?;
    Ok(Accepted {
        id: suggestion.id.clone(),
        kind: suggestion.kind,
        entry: Some(entry.0),
        revision: last.revision,
        live: last.live,
    })
}

/// Adds a phrase of small talk to the knowledge base's service document.
fn talk(
    shelf: &Shelf,
    suggestion: &Suggestion,
    says: &[&String],
    reply: &str,
    live: bool,
) -> Result<Accepted> {
    let before = shelf.service()?;
    let text = voice::with_phrase(&before.text, says, reply)?;
    let edited = shelf.put_service(&Expected::Revisions(vec![before.revision]), &text, live)?;
    Ok(Accepted {
        id: suggestion.id.clone(),
        kind: Kind::SmallTalk,
        entry: None,
        revision: edited.revision,
        live: edited.live,
    })
}
