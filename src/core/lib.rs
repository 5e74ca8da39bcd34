//! What does one answer need?
//!
//! Text, knowledge bases, the encoder, retrieval, the decision, releases and the order of
//! the stages; nothing here knows of customers, conversations, databases or HTTP. The crate
//! `zhida` has the service around it, shows these modules as its own, and its documentation
//! begins with the life of a question.
//!
//! A crate of its own, because it is the part that calculates: tests have it optimised, and
//! it is not built again whenever the service changes.

pub mod decide;
pub mod disk;
pub mod encoder;
pub mod engine;
pub mod error;
pub mod estimate;
pub mod kb;
pub mod release;
pub mod retrieve;
pub mod text;
