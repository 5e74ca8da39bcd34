//! What does the robot say of itself?

use serde::{Deserialize, Serialize};

/// The `[voice]` of a service document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Voice {}
