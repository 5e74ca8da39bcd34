//! What should be added?
//!
//! [`asked`] puts the questions of the last days together, [`groups`] finds out
//! which of them are one question in other words, [`suggest`] says what an author
//! should do about them and what that would change; [`look`] does all of it for a
//! knowledge base. [`simulate`] proves the loop on labelled questions.
//! [`bursts`] tells of what is asked more than before, [`labels`] of what use says
//! is right. [`hearing`] trains the detectors of anger and of requests for a person,
//! [`light`] what follow-ups lean on; [`adapt`] teaches the encoder a company's own words; [`mod@reference`] gathers what calibrations lean on.

pub mod adapt;
pub mod asked;
pub mod bursts;
pub mod groups;
pub mod hearing;
pub mod labels;
pub mod light;
pub mod look;
pub mod reference;
pub mod simulate;
pub mod suggest;
