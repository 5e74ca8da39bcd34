//! One binary for all integration tests: it links the libraries once.

mod kb;
mod model;
mod eval;
mod http;
mod support;
