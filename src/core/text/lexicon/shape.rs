//! What does a line of a lexicon look like to programs that are made from the
//! API's description?
//!
//! Its kinds are told apart by their fields. Generators of clients do not read
//! that as the several shapes that it is, so it is described as one whose fields
//! need not be there.

use std::borrow::Cow;

use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::authored::Item;

/// One line of a lexicon. It has exactly one of `word`, `synonyms`, `stop`,
/// `protected`, `contrast` and `background`.
#[derive(utoipa::ToSchema)]
#[schema(example = json!({"synonyms": ["退货", "退掉"], "note": "老顾客这么叫"}))]
#[expect(dead_code, reason = "describes lines; none is made of it")]
struct Line {
    /// A word that is kept whole.
    #[schema(nullable = false)]
    word: Option<String>,
    /// How often the dictionary takes the word to occur; 0: it is no word.
    #[schema(nullable = false)]
    frequency: Option<usize>,
    /// The word's part of speech, for people.
    #[schema(nullable = false)]
    tag: Option<String>,
    /// Words that mean the same.
    #[schema(nullable = false)]
    synonyms: Option<Vec<String>>,
    /// The word that stands for all `synonyms`; without it, the first.
    #[schema(nullable = false)]
    canonical: Option<String>,
    /// A word that says nothing about the matter.
    #[schema(nullable = false)]
    stop: Option<String>,
    /// A term that stays as it is.
    #[schema(nullable = false)]
    protected: Option<String>,
    /// Words that stand for different things.
    #[schema(nullable = false)]
    contrast: Option<Vec<String>>,
    /// A question that the knowledge base does not answer.
    #[schema(nullable = false)]
    background: Option<String>,
    /// Why, for authors.
    #[schema(nullable = false)]
    note: Option<String>,
}

impl PartialSchema for Item {
    fn schema() -> RefOr<Schema> {
        Line::schema()
    }
}

impl ToSchema for Item {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("LexiconLine")
    }
}
