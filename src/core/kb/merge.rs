//! What becomes of a knowledge base when a file is imported into it?

use serde::{Deserialize, Serialize};

/// What a file means for the entries that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The file is everything: what is not in it is removed.
    #[default]
    Replace,
    /// The file's entries are added or take the place of those with their
    /// ids; all others stay.
    Update,
    /// Only entries with new ids are taken from the file; all others stay as they are.
    Add,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Replace, Self::Update, Self::Add];

    /// The name in flags and requests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Update => "update",
            Self::Add => "add",
        }
    }
}

/// An import that takes away this share of the entries …
pub const MUCH: f64 = 0.2;

/// … and at least so many has to be confirmed.
pub const SEVERAL: usize = 5;

/// Whether so many of the entries are more than anybody removes by the way.
pub fn removes_much(entries: usize, removed: usize) -> bool {
    removed >= SEVERAL && removed as f64 >= MUCH * entries as f64
}

impl std::str::FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|mode| mode.name() == text)
            .ok_or_else(|| "a mode is replace, update or add".to_owned())
    }
}
