//! zhida (智答): an FAQ answer engine for Chinese customer service.
//!
//! A knowledge base is a list of questions that a company can answer. zhida
//! finds the one that a customer means, says how likely it is right, and
//! answers, asks back or hands the question to a person so that an operator's
//! goal ("at most 5 % wrong among the answered") is kept.
//!
//! # The life of a question
//!
//! 1. `POST /v1/answer` arrives at [`server`]; what is too large, not JSON or
//!    blank becomes a problem document.
//! 2. Admission: a permit, after no longer a wait than a chat bears, or 429 at
//!    once. Then a blocking thread; from here on everything is synchronous.
//! 3. [`engine::Engine::answer`] has [`text`] make a [`text::Query`]: the
//!    lossless normal form, the lossy one, the words.
//! 4. [`retrieve::exact`]: a stored question settles the matter, with or
//!    without politeness around it; [`decide::handoff`]: whoever asks for a
//!    person, in any clause, gets one, without a search.
//! 5. [`retrieve::exact`] again: a bare keyword or a rule of an entry settles it.
//! 6. [`retrieve::lexical`]: BM25 over words, characters and pairs;
//!    [`retrieve::wording`]: what else an entry says. When generation 1's
//!    calibrated confidence is so high that answering first costs no precision
//!    ([`decide::policy::Rankings::exit`]), it answers, and the encoder does not
//!    run.
//! 7. Generation 2, the fallback: [`encoder`] turns the question into a vector,
//!    [`retrieve::semantic`] compares it with every phrasing, or, where these are
//!    100,000 and more, with those that links between near ones lead to. In steps 6 and 7
//!    an engine beside zhida may say which phrasings are looked at ([`candidates`]).
//! 8. [`decide::evidence`] puts all lists into one order and gathers what
//!    speaks for the first; raw scores end here.
//!    [`decide::calibrate`] turns that into a [`decide::Confidence`].
//! 9. [`decide::policy`] → answer, clarify (2 to 5 questions to choose from)
//!    or handoff.
//! 10. When the message has several clauses that ask ([`text::clauses`]), each
//!     takes the same way; where they point to different entries the customer
//!     is asked back with all of them.
//! 11. [`events`]: what was decided is stored, masked, before the reply goes out.
//! 12. One log line: decision, reason, confidence, generation, release, time;
//!     never the text.
//!
//! `zhida ask`, `zhida eval` and the page enter at step 3 through the same
//! [`engine::Engine`]: what is evaluated is what is served.
//!
//! # Where things are
//!
//! What an answer needs is the crate `zhida_core` (`src/core`), the rest of `src` the service
//! around it. Modules stand in levels and use only lower ones (`tests/it/tidy.rs` checks
//! it): [`error`], [`disk`], [`estimate`] and [`text`]; [`kb`] and [`encoder`]; [`retrieve`];
//! [`decide`]; [`release`]; [`engine`], [`candidates`], [`access`] and [`events`]; [`dialogue`] and [`depot`]; [`store`],
//! [`eval`] and [`channels`]; [`learn`], [`publish`] and [`desk`]; [`server`]; [`cli`]. What is
//! refused is written in English and said in Chinese by `explained`.

pub mod access;
pub mod candidates;
pub mod channels;
pub mod cli;
pub mod depot;
pub mod desk;
pub mod dialogue;
pub mod eval;
pub mod events;
mod explained;
pub mod learn;
pub mod publish;
pub mod server;
pub mod store;
pub mod trust;

#[doc(inline)]
pub use zhida_core::{decide, disk, encoder, engine, error, estimate, kb, release, retrieve, text};
