//! One binary for all integration tests: it links the libraries once.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a failing unwrap is a failing test")]

mod adapt;
mod checkup;
mod corpora;
mod eval;
mod http;
mod kb;
mod laws;
mod lexicon;
mod model;
mod scripts;
mod sheets;
mod support;
mod tidy;
mod views;
