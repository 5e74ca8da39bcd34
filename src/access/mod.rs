//! Who may do what, and how much of it?
//!
//! Nothing here knows where keys are kept or how a request arrives: `store` has
//! the rows, `server` has the doors, and both speak in these types.

pub mod chain;
mod common;
mod identity;
pub mod key;
mod limits;
mod lockout;
pub mod moment;
pub mod password;
mod refusals;
mod rights;
mod throttle;
mod token;
pub mod visitor;

pub use identity::{DEFAULT_TENANT, Identity, Scope};
pub use key::{Digest, Key};
pub(crate) use limits::given;
pub use limits::{Left, Limits, LimitsChange, Rates};
pub use lockout::{FORGOTTEN, Whose};
pub use password::Password;
pub use refusals::{Refusal, Refusals, Refused};
pub use rights::{Right, Role};
pub use throttle::{Throttle, network};
pub use token::{Opens, Token};
