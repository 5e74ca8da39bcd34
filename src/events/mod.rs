//! What happened?
//!
//! Every decision is an [`Event`], and so is what became of it: feedback, what
//! an agent did, the end of a conversation. A data directory keeps them in
//! files, one folder a day (+08:00):
//!
//! ```text
//! data/events/settings.toml            what is kept of customers' words, and for how long
//! data/events/customers.key            what the names are made with under which customers are kept
//! data/events/forgotten.json           where several nodes must forget somebody: what of that is done here
//! data/events/node                     under which name the folder's questions are counted
//! data/events/2026-11-27/UUID.seg      events as they came; one file per process, checksummed lines
//! data/events/2026-11-27/events.parquet    a closed day; what DuckDB and Pandas read
//! ```
//!
//! [`Log::append`] writes, [`Log::read`] reads both kinds of file as one, each
//! event once. What a customer typed passes [`mask`] before anything is
//! stored, whoever appends. A tenant is a data directory: nothing here knows of
//! another one's. Where several nodes answer for it, each has such a folder, and who
//! reads one of them reads all ([`Others`]).

pub mod compact;
mod customers;
mod day;
pub mod drift;
mod folder;
mod forget;
pub mod habits;
mod health;
mod log;
pub mod mask;
mod meter;
mod others;
mod parquet;
mod record;
mod rewrite;
mod segment;
mod settings;
pub mod stats;
mod tally;
mod usage;
mod wanted;
mod watch;

pub use customers::Key as CustomersKey;
pub use day::{Day, Days};
pub(crate) use folder::events_of;
pub use forget::Whose;
pub use health::Health;
pub use log::Log;
pub use meter::Metered;
pub use others::{Others, Summed, Sums, Theirs, Told};
pub use parquet::{Column, columns};
pub use record::{Candidate, Doing, Event, Feedback, Kind};
pub use settings::{Change, Settings, Text};
pub use tally::{Cell, Count, Tally, check_channel};
pub use usage::{Row, Usage, tallied};
pub use wanted::{Read, Wanted};
pub use watch::Seen;
