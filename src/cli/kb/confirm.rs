//! Is that meant?

use std::io::{BufRead, IsTerminal, Write};

use crate::error::{Error, Result};

/// Asks on a terminal whether to go on; without one, nobody said yes.
///
/// # Errors
/// When the question cannot be asked.
pub(crate) fn asked(question: &str) -> Result<bool> {
    let input = std::io::stdin();
    let mut told = std::io::stderr();
    if !(input.is_terminal() && told.is_terminal()) {
        return Ok(false);
    }
    let failed = |e| Error::io("ask on", "the terminal", e);
    write!(told, "{question} {} ", either!("Go on? [y/N]", "继续吗？[y/N]")).map_err(failed)?;
    told.flush().map_err(failed)?;
    let mut answer = String::new();
    input.lock().read_line(&mut answer).map_err(failed)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes" | "是" | "好"))
}
