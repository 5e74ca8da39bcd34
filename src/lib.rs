//! zhida (智答): an FAQ answer engine for Chinese customer service.
pub mod cli;
pub mod decide;
pub mod encoder;
pub mod engine;
pub mod error;
pub mod eval;
pub mod kb;
pub mod learn;
pub mod release;
pub mod retrieve;
pub mod server;
pub mod store;
pub mod text;
