//! How far is it?

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Work that takes less than this shows no bar.
const PATIENCE: Duration = Duration::from_secs(1);

/// A bar on stderr for the stage at work; where stderr is no terminal, silent or
/// a line for each stage.
pub(crate) struct Bars {
    started: Instant,
    current: Mutex<Option<(&'static str, ProgressBar)>>,
    lines: bool,
}

impl Bars {
    /// No bar yet.
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), current: Mutex::new(None), lines: false }
    }

    /// The same; what shows no bar prints a line when a stage begins.
    pub(crate) fn or_lines() -> Self {
        let mut bars = Self::new();
        bars.lines = !std::io::stderr().is_terminal();
        bars
    }

    /// Shows that `done` of `total` steps of a stage are done.
    pub(crate) fn show(&self, stage: &'static str, done: usize, total: usize) {
        if !self.lines && self.started.elapsed() < PATIENCE {
            return;
        }
        // A poisoned lock means that another thread panicked while drawing;
        // the work itself must not stop for that.
        let Ok(mut current) = self.current.lock() else { return };
        if current.as_ref().is_none_or(|(name, _)| *name != stage) {
            if let Some((_, bar)) = current.take() {
                bar.finish_and_clear();
            }
            let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{msg:>12} {wide_bar} {pos}/{len} {eta}") {
                bar.set_style(style);
            }
            bar.set_message(stage);
            if self.lines {
                eprintln!("zhida:   {stage} ({total} steps)");
            }
            *current = Some((stage, bar));
        }
        if let Some((_, bar)) = current.as_ref() {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        if let Ok(Some((_, bar))) = self.current.get_mut().map(Option::take) {
            bar.finish_and_clear();
        }
    }
}
