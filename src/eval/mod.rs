//! How good is it?

pub mod dataset;
pub mod run;
