//! How good is it?

pub mod compare;
pub mod dataset;
pub mod metrics;
pub mod report;
pub mod run;
