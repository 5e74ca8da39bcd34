//! What should be added?

pub mod adapt;
pub mod reference;
