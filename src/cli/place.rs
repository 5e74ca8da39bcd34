//! Whose keys, people or audit are meant?

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use crate::access::{DEFAULT_TENANT, Limits, Role, moment};
use crate::cli::ground;
use crate::error::{Error, Result};
use crate::store::{Access, Store};

/// For so long a database server is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A tenant of a data directory.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    /// The data directory.
    #[arg(long, value_name = "DIR", default_value = "./data", env = "ZHIDA_DATA")]
    data: PathBuf,
    /// The tenant that is meant.
    #[arg(long, value_name = "NAME", default_value = DEFAULT_TENANT)]
    pub(super) tenant: String,
}

impl Place {
    pub(super) fn access(&self) -> Access {
        ground::store(&self.data).access()
    }

    /// The same, of a tenant that there is where anything was ever recorded: what is told
    /// of another one would be true of nothing.
    pub(super) fn known(&self) -> Result<Access> {
        ground::must_be_there(&ground::store(&self.data))?;
        let access = self.access();
        self.must_have_tenant(&access)?;
        Ok(access)
    }

    fn must_have_tenant(&self, access: &Access) -> Result<()> {
        if self.tenant == DEFAULT_TENANT || access.table().has_tenant(&self.tenant) {
            return Ok(());
        }
        Err(Error::Absent { what: "tenant", name: self.tenant.clone() })
    }

    /// Waits until the server of the records is there: the first key is made where everything
    /// starts at once, in any order.
    ///
    /// # Errors
    /// When it is not there after a minute, or waiting will not help.
    pub(super) fn await_server(&self) -> Result<()> {
        let (store, began) = (ground::store(&self.data), Instant::now());
        while let Some(away) = store.reach_server()? {
            if began.elapsed() >= PATIENCE {
                return Err(away);
            }
            thread::sleep(Duration::from_secs(1));
        }
        Ok(())
    }

    /// The same, where anything was ever recorded of who comes in and what was changed.
    pub(super) fn audited(&self) -> Result<Access> {
        let access = self.access();
        if !access.is_there() {
            return Err(ground::nothing_in(&self.data));
        }
        self.must_have_tenant(&access)?;
        Ok(access)
    }

    /// The data directory of the tenant.
    pub(super) fn store(&self) -> Result<Store> {
        let store = ground::store(&self.data);
        if self.tenant == DEFAULT_TENANT { Ok(store) } else { store.tenant(&self.tenant) }
    }
}

/// The limits that somebody sets or takes away; `None` where they are only asked for.
pub(super) fn wanted(limits: Limits, unlimited: bool) -> Option<Limits> {
    (unlimited || limits != Limits::default()).then_some(limits)
}

/// A limit in words.
pub(super) fn limit(number: Option<u64>) -> String {
    number.map_or_else(|| either!("no limit", "不限"), |number| number.to_string())
}

/// What is limited, in words.
pub(super) fn limited(limits: &Limits) -> String {
    let all = [
        (limits.per_second.map(|n| n.get().into()), either!("requests a second", "每秒请求数")),
        (limits.per_month, either!("questions a month", "每月问题数")),
        (limits.entries, either!("entries", "条目数")),
        (limits.storage, either!("bytes", "存储字节数")),
    ];
    let set = all.into_iter().filter(|(number, _): &(Option<u64>, String)| number.is_some());
    let told: Vec<String> = set.map(|(number, what)| format!("{what} {}", limit(number))).collect();
    if told.is_empty() { limit(None) } else { told.join(&either!("; ", "；")) }
}

/// Parses a role.
pub(super) fn role(text: &str) -> std::result::Result<Role, String> {
    Role::named(text).ok_or_else(|| "a role is ask, agent, author or admin".to_owned())
}

/// Parses a day or a moment.
pub(super) fn date(text: &str) -> std::result::Result<i64, String> {
    moment::read(text).ok_or_else(|| "a date is a day such as 2027-12-31, or RFC 3339".to_owned())
}

/// Parses a span of time, in milliseconds.
pub(super) fn span(text: &str) -> std::result::Result<i64, String> {
    moment::span(text).ok_or_else(|| "a span is a number with a unit: 90s, 30m, 24h, 7d".to_owned())
}
