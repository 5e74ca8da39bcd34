//! What should be added?
//!
//! [`groups`] finds out which questions are one question in other words;
//! [`adapt`] teaches the encoder a company's own words; [`reference`] gathers what
//! calibrations lean on.

pub mod adapt;
pub mod groups;
pub mod reference;
