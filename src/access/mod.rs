//! Who may do what, and how much of it?
//!
//! Nothing here knows where keys are kept or how a request arrives: `store` has
//! the rows, `server` has the doors, and both speak in these types.

pub mod chain;
mod identity;
pub mod key;
mod limits;
pub mod moment;
mod rights;
mod throttle;

pub use identity::{DEFAULT_TENANT, Identity, Scope};
pub use key::{Digest, Key};
pub use limits::{Left, Limits, Rates};
pub use rights::{Right, Role};
pub use throttle::Throttle;
