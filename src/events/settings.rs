//! What is kept of customers' words, and for how long?

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::customers::Key;
use super::mask;
use super::record::Event;
use crate::disk::write_whole;
use crate::error::{Error, Result};

/// The file in the folder of the events.
const FILE: &str = "settings.toml";

/// The longest time that anything is kept, in days: a century.
const LONGEST: u32 = 36_500;

/// What is stored of a text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Text {
    /// Nothing.
    None,
    /// The text with numbers, names and addresses of people masked.
    #[default]
    Masked,
    /// The text as it came.
    Full,
}

impl Text {
    /// The word in files and flags.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Masked => "masked",
            Self::Full => "full",
        }
    }
}

/// What a data directory keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// What is stored of a text.
    pub text: Text,
    /// Whether order numbers are masked too.
    pub orders: bool,
    /// After so many days texts are erased; the events stay.
    pub text_days: u32,
    /// After so many days whole events are; without it, or with 0 in a file, they stay.
    pub event_days: Option<u32>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { text: Text::Masked, orders: false, text_days: 180, event_days: None }
    }
}

/// What is to be kept from now on; what is not said stays as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Change {
    /// What is stored of a text.
    pub text: Option<Text>,
    /// Whether order numbers are masked too.
    pub orders: Option<bool>,
    /// After so many days texts are erased.
    pub text_days: Option<u32>,
    /// After so many days whole events are; 0 to keep them.
    pub event_days: Option<u32>,
}

impl Change {
    /// Which field asks for what nobody can keep, and what it may ask for.
    pub fn fault(&self) -> Option<(&'static str, String)> {
        if self.text_days.is_some_and(|days| !(1..=LONGEST).contains(&days)) {
            return Some(("text_days", format!("`text_days` is 1 to {LONGEST}")));
        }
        let too_long = self.event_days.is_some_and(|days| days > LONGEST);
        too_long.then(|| ("event_days", format!("`event_days` is 1 to {LONGEST}, or 0 to keep events")))
    }
}

impl Settings {
    /// What is kept after a change that has no fault.
    #[must_use]
    pub fn changed(&self, change: Change) -> Self {
        let Change { text, orders, text_days, event_days } = change;
        Self {
            text: text.unwrap_or(self.text),
            orders: orders.unwrap_or(self.orders),
            text_days: text_days.unwrap_or(self.text_days),
            event_days: event_days.map_or(self.event_days, |days| (days > 0).then_some(days)),
        }
    }

    /// Each by the name of its flag and field, with a value that both take: whole events
    /// that are kept are those of 0 days.
    pub fn named(&self) -> [(&'static str, String); 4] {
        [
            ("text", self.text.name().to_owned()),
            ("mask_orders", self.orders.to_string()),
            ("text_days", self.text_days.to_string()),
            ("event_days", self.event_days.unwrap_or(0).to_string()),
        ]
    }

    /// Where they lie in the folder of the events.
    pub(super) fn path(events: &Path) -> PathBuf {
        events.join(FILE)
    }

    /// An event as it is stored. `key` gives the one that customers' names are made with;
    /// without it the customer is not kept.
    pub(super) fn kept(&self, mut event: Event, key: impl FnOnce() -> Option<Key>) -> Event {
        if self.text != Text::Full {
            event.customer = event.customer.and_then(|id| Some(key()?.name(&id)));
        }
        match self.text {
            Text::Full => {}
            Text::None => (event.text, event.normalized, event.comment) = (None, None, None),
            Text::Masked => {
                let masked =
                    |text: &Option<String>| text.as_deref().and_then(|text| mask::masked(text, self.orders));
                if let Some(text) = masked(&event.text) {
                    // What was masked would still stand in the normal form, written in another way.
                    event.normalized = Some(text.clone());
                    event.text = Some(text);
                } else if event.normalized != event.text
                    && let Some(text) = masked(&event.normalized)
                {
                    event.normalized = Some(text);
                }
                event.comment = masked(&event.comment).or(event.comment);
            }
        }
        event
    }

    /// Reads those of the events in a folder; the default ones where nothing was said.
    ///
    /// # Errors
    /// When the file cannot be read or says something unknown.
    pub fn read(events: &Path) -> Result<Self> {
        let path = Self::path(events);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(Error::io("read", &path, e)),
        };
        Self::parse(&text).map_err(|e| Error::Refused(format!("{}: {e}", path.display())))
    }

    /// Reads those of a file's text.
    ///
    /// # Errors
    /// When it says something unknown.
    pub fn parse(text: &str) -> Result<Self> {
        let read: Self = toml::from_str(text).map_err(|e| Error::Refused(e.message().to_owned()))?;
        // Older versions wrote whatever they were told, and a server that is served from
        // such a file has to start: what is out of bounds counts as the nearest within.
        Ok(Self {
            text_days: read.text_days.clamp(1, LONGEST),
            event_days: read.event_days.filter(|days| *days > 0).map(|days| days.min(LONGEST)),
            ..read
        })
    }

    /// As they stand in a file.
    pub fn text(&self) -> String {
        let mut text = format!(
            "# What is kept of customers' words: none, masked or full; written by `zhida events keep`.\n\
             # Texts are kept for text_days (1 to {LONGEST}), whole events for event_days (0, or no line: for good).\n\
             text = \"{}\"\norders = {}\ntext_days = {}\n",
            self.text.name(),
            self.orders,
            self.text_days
        );
        if let Some(days) = self.event_days {
            text.push_str(&format!("event_days = {days}\n"));
        }
        text
    }

    /// Writes them. A running server takes them in within a second.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&self, events: &Path) -> Result<()> {
        fs::create_dir_all(events).map_err(|e| Error::io("create", events, e))?;
        write_whole(&Self::path(events), self.text().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says_out_of_bounds_counts_as_the_nearest_within() {
        let read = |text: &str| Settings::parse(text).expect("read");
        let kept = read("text_days = 0\nevent_days = 0\n");
        assert_eq!((kept.text_days, kept.event_days), (1, None), "0 days of events are all of them");
        let kept = read("text_days = 99999\nevent_days = 99999\n");
        assert_eq!((kept.text_days, kept.event_days), (LONGEST, Some(LONGEST)));
    }

    #[test]
    fn settings_are_read_as_they_were_written() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(Settings::read(folder.path()).expect("none there"), Settings::default());
        let wanted = Settings { text: Text::Full, orders: true, text_days: 7, event_days: Some(30) };
        wanted.write(folder.path()).expect("written");
        assert_eq!(Settings::read(folder.path()).expect("read"), wanted);
        fs::write(folder.path().join(FILE), "txet = \"none\"\n").expect("written");
        let error = Settings::read(folder.path()).expect_err("unknown field").to_string();
        assert!(error.contains("txet"), "{error}");
    }
}
