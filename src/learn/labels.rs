//! What does use say of right and wrong?
//!
//! A click says that the entry was the best of those that were offered, an
//! agent's choice nearly says that it is right, a customer's word on an answer is
//! worth something and silence nothing. Only what was said clearly becomes a
//! label ([`Asked::confirmed`]).

use super::asked::Asked;
use crate::kb::EntryId;
use crate::release::Labelled;

/// The questions of which use says what is right.
pub fn of(questions: &[Asked]) -> Vec<Labelled> {
    questions
        .iter()
        .filter_map(|asked| {
            let (entry, _) = asked.confirmed()?;
            Some(Labelled { text: asked.text.clone(), right: vec![EntryId(entry.to_owned())] })
        })
        .collect()
}
