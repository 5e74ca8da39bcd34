//! Which of several readings of one message was meant?
//!
//! A recogniser of speech gives several, the likeliest by its own reckoning first. Each is
//! read as if it had been typed, in the light of the conversation; the one that the engine
//! is surest of is the message. Where two are as good, the recogniser's order counts.

use super::Desk;
use crate::decide::{Decision, Reason};
use crate::dialogue::{Context, Message, Service, take_turn};
use crate::engine::{Engine, Options};
use crate::error::{Error, Result};

/// The place of the reading that is meant, from 0 on.
///
/// # Errors
/// When the conversation cannot be read; a reading that is no message is passed over.
pub(super) fn best(
    desk: &Desk,
    engine: &Engine,
    service: &Service,
    session: &str,
    texts: &[&str],
) -> Result<usize> {
    let known = desk.talk().find(&engine.release().manifest().kb, session)?;
    let context = known
        .and_then(|known| known.context)
        .and_then(|text| serde_json::from_str::<Context>(&text).ok())
        .unwrap_or_default()
        .at(desk.now(), desk.settings().expires);
    let mut best = (0, (0_u8, -1.0_f64));
    for (place, text) in texts.iter().enumerate() {
        let message =
            Message { text, choice: None, options: Options::default(), voice: &service.voice, habits: None };
        let outcome = match take_turn(engine, &context, &message, false) {
            Ok(turn) => turn.outcome,
            Err(Error::Question(_)) => continue,
            Err(e) => return Err(e),
        };
        let sure = outcome.best().map_or(0.0, |best| best.confidence.value());
        let asks = matches!(outcome.reason, Reason::Requested | Reason::Sensitive);
        let rank = match outcome.decision {
            Decision::Answer => (3, sure),
            // Whoever asks for a person is heard; a second reading that sounds like it is not
            // enough where another one is answered.
            Decision::Handoff if asks && place == 0 => (3, 1.0),
            Decision::Clarify => (2, sure),
            Decision::Handoff if asks => (1, 1.0),
            Decision::Handoff => (0, sure),
        };
        if rank.0 > best.1.0 || (rank.0 == best.1.0 && rank.1.total_cmp(&best.1.1).is_gt()) {
            best = (place, rank);
        }
    }
    Ok(best.0)
}
