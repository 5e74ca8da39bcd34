//! What should be added?

pub mod reference;
