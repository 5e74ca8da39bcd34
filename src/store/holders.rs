//! Which entry has a phrasing or a keyword already?

use diesel::QueryDsl;
use diesel::prelude::*;
use serde::Serialize;

use super::database::schema::claims;
use super::edit::stored;
use super::{Shelf, draft};
use crate::error::Result;
use crate::kb::EntryId;
use crate::text::exact_key;

/// An entry that has a phrasing or a keyword already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Holder {
    /// The phrasing or keyword as it was asked for.
    pub text: String,
    /// `question` or `keyword`.
    pub kind: &'static str,
    /// The entry's id.
    #[schema(value_type = String)]
    pub entry: EntryId,
    /// Its standard question.
    pub question: String,
}

impl Shelf {
    /// Which other entries have one of these phrasings or keywords already.
    pub fn holders(
        &self,
        except: Option<&EntryId>,
        questions: &[String],
        keywords: &[String],
    ) -> Result<Vec<Holder>> {
        let wanted = questions.iter().map(|text| ("question", text));
        let wanted: Vec<_> = wanted.chain(keywords.iter().map(|text| ("keyword", text))).collect();
        let found = self.store.database.read(|connection| {
            let Some(kb) = draft::find(connection, &self.name)? else { return Ok(Vec::new()) };
            let mut holders = Vec::new();
            for (kind, text) in &wanted {
                let key = exact_key(text);
                let owner: Option<String> = claims::table
                    .find((kb.id, kind, &key))
                    .select(claims::entry)
                    .first(connection)
                    .optional()?;
                let Some(owner) = owner.map(EntryId).filter(|owner| Some(owner) != except) else { continue };
                let Some((held, _)) = stored(connection, kb.id, &owner)? else { continue };
                holders.push(Holder {
                    text: (*text).clone(),
                    kind,
                    entry: owner,
                    question: held.entry.question,
                });
            }
            Ok(holders)
        })?;
        Ok(found.unwrap_or_default())
    }
}
