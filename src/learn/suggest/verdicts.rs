//! What becomes of a suggestion?
//!
//! It is taken up, perhaps changed, or left; what was decided is remembered with
//! its words, so that the same thing does not come back in other ones. What is
//! taken up goes into the draft like any edit, under the author's name and with
//! a reason that names the suggestion, so the history says where it came from.

use serde::{Deserialize, Serialize};

use super::taking::{apply, moved, splits};
use super::{Kind, Suggestion};
use crate::error::{Error, Result};
use crate::store::{Decided, Shelf, Signature};

/// What an author decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = SuggestionVerdict)]
pub enum Verdict {
    /// It is in the draft.
    Accepted,
    /// Not now: it comes back when twice as many ask.
    Ignored,
    /// It never comes back.
    Never,
}

impl Verdict {
    /// The word in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Ignored => "ignored",
            Self::Never => "never",
        }
    }

    fn named(name: &str) -> Self {
        match name {
            "accepted" => Self::Accepted,
            "ignored" => Self::Ignored,
            _ => Self::Never,
        }
    }
}

/// A suggestion that was decided.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Settled {
    /// Its name.
    pub id: String,
    /// What it was.
    pub kind: Kind,
    /// The entry that it was about.
    pub entry: Option<String>,
    /// Its text.
    pub text: String,
    /// What was decided.
    pub verdict: Verdict,
    /// How often it had been asked then.
    pub count: u64,
}

/// Everything that was decided for a knowledge base.
///
/// # Errors
/// When the records cannot be read.
pub fn settled(shelf: &Shelf) -> Result<Vec<Settled>> {
    let rows = shelf.decided_suggestions()?;
    let kind = |name: &str| serde_json::from_value(name.into()).ok();
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            Some(Settled {
                kind: kind(&row.kind)?,
                id: row.id,
                entry: row.entry,
                text: row.text,
                verdict: Verdict::named(&row.verdict),
                count: u64::try_from(row.count).unwrap_or_default(),
            })
        })
        .collect())
}

/// Writes down what is open now, in the place of what was; `settled` is what was decided
/// when that was looked for.
///
/// # Errors
/// When the records cannot be written.
pub fn propose(shelf: &Shelf, suggestions: &[Suggestion], settled: &[Settled]) -> Result<()> {
    let bodies = suggestions
        .iter()
        .map(|one| {
            let body = serde_json::to_string(one).map_err(|e| Error::internal("suggestions", e))?;
            Ok((one.id.clone(), body))
        })
        .collect::<Result<Vec<_>>>()?;
    let known = settled.iter().map(|one| (one.id.as_str(), one.verdict.name())).collect();
    shelf.propose_suggestions(&bodies, &known)
}

/// What is open, in the order in which it was found.
///
/// # Errors
/// When the records cannot be read.
pub fn open(shelf: &Shelf) -> Result<Vec<Suggestion>> {
    let read = |body: String| serde_json::from_str(&body).map_err(|e| Error::internal("suggestions", e));
    shelf.open_suggestions()?.into_iter().map(read).collect()
}

/// What an author changes about a suggestion while taking it up.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = SuggestionAcceptance)]
pub struct Change {
    /// The entry that is meant instead; for a suggested new entry: it is a phrasing of this
    /// one; for a merger: which of the two stays.
    pub entry: Option<String>,
    /// Another text.
    pub text: Option<String>,
    /// The answer of the new entry, the better one of an outdated entry or of two that are
    /// one, or the reply to small talk; without it, the draft from what agents wrote.
    pub answer: Option<String>,
    /// Take the examples as phrasings too; a split takes what its halves say.
    pub examples: bool,
    /// Of a split: what goes to the new entry beside its question, in the place of what
    /// the suggestion says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moves: Option<Vec<String>>,
    /// Customers get it at once, without a publication; words wait for one all the same.
    pub live: bool,
}

/// What taking up a suggestion did.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Accepted {
    /// The suggestion.
    pub id: String,
    /// What it was.
    pub kind: Kind,
    /// The entry that was changed or made; `null` for words.
    pub entry: Option<String>,
    /// The revision that holds it.
    pub revision: i64,
    /// Whether customers have it already.
    pub live: bool,
}

/// The open suggestion of a name.
///
/// # Errors
/// [`Error::Absent`] when there is none.
pub fn find(shelf: &Shelf, id: &str) -> Result<Suggestion> {
    let found = open(shelf)?.into_iter().find(|one| one.id == id);
    found.ok_or_else(|| Error::Absent { what: "open suggestion", name: id.to_owned() })
}

/// Takes up a suggestion.
///
/// # Errors
/// When there is no such open suggestion, an answer is missing, or the draft
/// refuses the edit; then nothing is changed.
pub fn accept(shelf: &Shelf, id: &str, author: &Signature, change: &Change) -> Result<Accepted> {
    let suggestion = find(shelf, id)?;
    let mut reason = format!("采纳建议 {id}（{}）：{}", suggestion.kind.chinese(), suggestion.why);
    if let Some(own) = &author.reason {
        reason = format!("{own}；{reason}");
    }
    let reason = reason.chars().take(Signature::REASON_CHARS).collect();
    let signed = shelf.clone().signed(Signature { author: author.author.clone(), reason: Some(reason) });
    let outcome = apply(&signed, &suggestion, change)?;
    let decided = Decided {
        id: suggestion.id.clone(),
        kind: suggestion.kind.name().to_owned(),
        entry: outcome.entry.clone(),
        // Remembered as it was suggested: that is what would come back.
        text: suggestion.text.clone(),
        count: i64::try_from(suggestion.count).unwrap_or(i64::MAX),
        verdict: Verdict::Accepted.name().to_owned(),
        revision: Some(outcome.revision),
    };
    signed.decide_suggestion(&decided)?;
    // The examples that came along are known as decided too.
    let along: &[String] = match (splits(&suggestion, change), change.examples) {
        (true, _) => moved(&suggestion, change),
        (false, true) => &suggestion.examples,
        (false, false) => &[],
    };
    if let Some(entry) = &outcome.entry {
        for text in along {
            let id = Suggestion::id_of(Kind::Similar, Some(entry), text);
            let kind = Kind::Similar.name().to_owned();
            signed.decide_suggestion(&Decided { id, kind, text: text.clone(), ..decided.clone() })?;
        }
    }
    Ok(outcome)
}

/// Leaves a suggestion, for now or for ever.
///
/// # Errors
/// When there is no such open suggestion.
pub fn ignore(shelf: &Shelf, id: &str, author: &Signature, never: bool) -> Result<()> {
    let suggestion = find(shelf, id)?;
    let verdict = if never { Verdict::Never } else { Verdict::Ignored };
    shelf.clone().signed(author.clone()).decide_suggestion(&Decided {
        id: suggestion.id,
        kind: suggestion.kind.name().to_owned(),
        entry: suggestion.entry,
        text: suggestion.text,
        count: i64::try_from(suggestion.count).unwrap_or(i64::MAX),
        verdict: verdict.name().to_owned(),
        revision: None,
    })
}

/// The name under which [`auto`] signs.
const AUTO: &str = "auto";

/// Takes up what is safest without an author: a phrasing that was joined with one
/// entry at least so often by customers' clicks or agents, with no other and
/// without a complaint, and that harms nothing. Every one of them stands in the
/// history under the name `auto`. Nothing calls this but an operator who asks for it.
///
/// # Errors
/// When the draft refuses an edit; what was taken up before stays.
pub fn auto(shelf: &Shelf, least: u64) -> Result<Vec<Accepted>> {
    let safe = |one: &Suggestion| {
        one.kind == Kind::Similar
            && one.confirmed >= least
            && one.against == 0
            && one.harm == 0
            && one.trial.tried
    };
    let author = Signature {
        author: AUTO.to_owned(),
        reason: Some(format!("自动采纳：客户或坐席至少 {least} 次选了同一条目，没有相反的选择")),
    };
    let wanted: Vec<Suggestion> = open(shelf)?.into_iter().filter(safe).collect();
    wanted.iter().map(|one| accept(shelf, &one.id, &author, &Change::default())).collect()
}
