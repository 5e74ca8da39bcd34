//! What has happened in this conversation, and whose turn is it?
//!
//! [`service`] is a knowledge base's way to serve, as one document: its
//! [`voice`], its [`hours`], its [`ticket_form`] and its handoff [`rules`], which
//! [`ruling`] puts around the engine. Nothing here knows a database or HTTP.

mod condition;
mod document;
mod facts;
pub mod hours;
mod rule_test;
pub mod rules;
pub mod ruling;
pub mod service;
pub mod ticket_form;
pub mod voice;

pub use facts::{Facts, Standing};
pub use rule_test::TestOutcome;
pub use service::Service;
