//! How does a suggestion get into the draft?
//!
//! Each kind is an edit that an author could have made, of an entry, of the words
//! or of the service document; what it needs and does not have is asked for.

use super::verdicts::{Accepted, Change};
use super::{Kind, Suggestion};
use crate::dialogue::voice;
use crate::error::{Error, Problem, Result};
use crate::kb::{Entry, EntryId};
use crate::store::{Edit, Expected, Shelf, Stored};
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
        Error::Corpus(vec![Problem {
            file: suggestion.id.clone(),
            line: 0,
            column: 0,
            field: Some("answer".to_owned()),
            message: message.to_owned(),
        }])
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
    // Who names another entry for a split says that it is a phrasing of that one.
    let entry = entry.filter(|_| kind != Kind::Split || change.entry.is_some());
    if let (Kind::Split, None, Some(of)) = (kind, &entry, &suggestion.entry) {
        answer.as_ref().ok_or_else(missing)?;
        give_up(shelf, &known(of)?, std::iter::once(&text).chain(more))?;
    }
    let (entry, expected) = match (kind, entry) {
        (Kind::Entry | Kind::Split, None) => {
            let mut made = Entry::of(EntryId::derived(&text), text, answer.ok_or_else(missing)?);
            add(&mut made, more);
            (made, Expected::Absent)
        }
        (Kind::Outdated, Some(id)) => {
            let mut stored = known(&id)?;
            stored.entry.answer = answer.ok_or_else(missing)?;
            (stored.entry, Expected::Revisions(vec![stored.revision]))
        }
        (Kind::Keyword, Some(id)) => {
            let mut stored = known(&id)?;
            if !stored.entry.keywords.contains(&text) {
                stored.entry.keywords.push(text);
            }
            (stored.entry, Expected::Revisions(vec![stored.revision]))
        }
        (_, Some(id)) => {
            let mut stored = known(&id)?;
            add(&mut stored.entry, &[text]);
            add(&mut stored.entry, more);
            (stored.entry, Expected::Revisions(vec![stored.revision]))
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

/// Adds phrasings that an entry does not have.
fn add(entry: &mut Entry, texts: &[String]) {
    for text in texts {
        let key = exact_key(text);
        if !entry.phrasings().any(|known| exact_key(known) == key) {
            entry.similar.push(text.clone());
        }
    }
}

/// Takes phrasings away from an entry, as far as it has them; its own question stays.
fn give_up<'a>(shelf: &Shelf, stored: &Stored, texts: impl Iterator<Item = &'a String>) -> Result<()> {
    let keys: Vec<String> = texts.map(|text| exact_key(text)).collect();
    let mut entry = stored.entry.clone();
    entry.similar.retain(|known| !keys.contains(&exact_key(known)));
    if entry != stored.entry {
        let id = entry.id.clone();
        shelf.edit(&id, Edit::Put(entry), &Expected::Revisions(vec![stored.revision]), false)?;
    }
    Ok(())
}

/// Makes two entries one: the phrasings, keywords and rules of the one that goes are
/// those of the other from now on.
fn merge(shelf: &Shelf, suggestion: &Suggestion, change: &Change) -> Result<Accepted> {
    let stored = |id: &Option<String>| {
        let id = EntryId(id.clone().unwrap_or_default());
        let found = shelf.entry(&id)?;
        found.ok_or_else(|| Error::NoEntry { kb: shelf.name().to_owned(), entry: id.0.clone() })
    };
    let (kept, gone) = (stored(&suggestion.entry)?, stored(&suggestion.other)?);
    let mut entry = kept.entry.clone();
    let texts: Vec<String> = gone.entry.phrasings().map(str::to_owned).collect();
    add(&mut entry, &texts);
    for keyword in &gone.entry.keywords {
        if !entry.keywords.contains(keyword) {
            entry.keywords.push(keyword.clone());
        }
    }
    for rule in &gone.entry.rules {
        if !entry.rules.contains(rule) {
            entry.rules.push(rule.clone());
        }
    }
    if let Some(answer) = &change.answer {
        entry.answer.clone_from(answer);
    }
    let (id, its) = (entry.id.clone(), gone.entry.id.clone());
    // It goes first: what it asks belongs to nobody then.
    shelf.edit(&its, Edit::Remove, &Expected::Revisions(vec![gone.revision]), change.live)?;
    let edited =
        match shelf.edit(&id, Edit::Put(entry), &Expected::Revisions(vec![kept.revision]), change.live) {
            Ok(edited) => edited,
            Err(e) => {
                shelf.edit(&its, Edit::Put(gone.entry), &Expected::Absent, change.live)?;
                return Err(e);
            }
        };
    Ok(Accepted {
        id: suggestion.id.clone(),
        kind: Kind::Merge,
        entry: Some(id.0),
        revision: edited.revision,
        live: edited.live,
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
