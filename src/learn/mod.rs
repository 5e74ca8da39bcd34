//! What should be added?
//!
//! [`groups`] finds out which questions are one question in other words;
//! [`anger`] trains the detector of anger; [`adapt`] teaches the encoder a company's own words; [`reference`] gathers what
//! calibrations lean on.

pub mod adapt;
pub mod anger;
pub mod groups;
pub mod reference;
