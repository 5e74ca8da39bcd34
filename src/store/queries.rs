//! Which labelled questions is a publication asked?

use diesel::prelude::*;
use diesel::{ExpressionMethods, QueryDsl};

use super::database::schema::queries;
use super::{Shelf, draft};
use crate::error::Result;

impl Shelf {
    /// Attaches a query set, one JSON object an item; an empty one takes it away.
    ///
    /// # Errors
    /// When the knowledge base does not exist.
    pub fn save_queries(&self, lines: &[String]) -> Result<()> {
        self.store.database.write(|connection| {
            let kb = draft::known(connection, &self.name)?;
            diesel::delete(queries::table.filter(queries::kb.eq(kb.id))).execute(connection)?;
            for (position, line) in (1i64..).zip(lines) {
                diesel::insert_into(queries::table)
                    .values((
                        queries::kb.eq(kb.id),
                        queries::position.eq(position),
                        queries::content.eq(line),
                    ))
                    .execute(connection)?;
            }
            Ok(())
        })
    }

    /// The attached query set, one JSON object an item.
    pub fn queries(&self) -> Result<Vec<String>> {
        let found = self.store.database.read(|connection| {
            let Some(kb) = draft::find(connection, &self.name)? else { return Ok(Vec::new()) };
            Ok(queries::table
                .filter(queries::kb.eq(kb.id))
                .order(queries::position)
                .select(queries::content)
                .load::<String>(connection)?)
        })?;
        Ok(found.unwrap_or_default())
    }
}
