//! How well are events kept?

use super::watch::Seen;

/// How well events are kept.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Health {
    /// Events that this process lost since it started.
    pub lost: u64,
    /// Why events are being lost now; `None` while they are stored.
    pub failing: Option<String>,
    /// Since when, RFC 3339.
    pub since: Option<String>,
    /// Why the disk does not promise to keep what was stored.
    pub unsynced: Option<String>,
    /// What has left its band; looked at every quarter of an hour and when nodes come or
    /// go, and only where closed days are looked after.
    pub seen: Seen,
}

impl Health {
    /// What an operator should look at, in a sentence that names no path.
    pub fn trouble(&self) -> Option<String> {
        if let Some(why) = &self.failing {
            let since = self.since.as_deref().unwrap_or("now");
            return Some(format!("events are not stored since {since} ({why}); {} are lost", self.lost));
        }
        self.unsynced.as_ref().map(|why| format!("events are stored, but a power loss may take them ({why})"))
    }
}
