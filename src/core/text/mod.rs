//! What did the user really type?
//!
//! [`Analyzer::query`] turns a message into a [`Query`]: its exact key, its
//! core, and the terms that the lexical index holds. The same analyzer is used
//! for indexing and for asking, so both sides always agree.

pub mod anatomy;
mod clauses;
mod codes;
mod details;
mod habits;
pub mod lexicon;
mod normalize;
mod number;
mod owners;
mod protect;
mod recent;
mod segment;
mod signs;
mod slots;
mod sound;
mod standard;
mod states;
mod topics;
mod wrapping;

pub use clauses::{Clause, clauses, has_question_word, says_something};
pub use codes::{Codes, Naming, spelling};
pub use details::{differ, left_open};
pub use lexicon::{AuthoredLexicon, Lexicon};
pub use normalize::is_han;
pub use normalize::{Normalized, Normalizer, Step, StepTrace, encoder_text, exact_key, said, written};
pub use number::Writings;
pub use owners::another_account;
pub use segment::{Analyzer, Query, Term, Token, grams};
pub use slots::{alike, exchanged};
pub use sound::{Heard, Sounds, Usage, letters};
pub use topics::other_topics;

/// The longest question that is looked at, in characters. Longer ones are
/// refused: a chat message is never that long, and cutting one silently would
/// answer a question that nobody asked.
pub const MAX_CHARS: usize = 2_000;
