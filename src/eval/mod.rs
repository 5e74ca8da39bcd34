//! How good is it?

pub mod bench;
pub mod clusters;
pub mod compare;
pub mod dataset;
pub mod detectors;
pub mod dialogues;
pub mod evidence;
pub(crate) mod lines;
pub mod measure;
pub mod metrics;
pub mod published;
pub mod report;
pub mod run;
pub mod thresholds;
pub mod tune;
