//! Who may do what?
//!
//! Nothing here knows where keys are kept or how a request arrives: `store` has
//! the rows, `server` has the doors, and both speak in these types.

mod identity;
mod rights;

pub use identity::{DEFAULT_TENANT, Identity, Scope};
pub use rights::{Right, Role};
