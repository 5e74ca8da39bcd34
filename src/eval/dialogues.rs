//! How well are conversations understood?
//!
//! A scripted customer ([`script`]) talks with the engine ([`play`]); every
//! message is asked twice, in its conversation and alone, so that [`figures`]
//! say what the conversation is worth.

pub mod figures;
pub mod play;
pub mod script;
