//! One binary for all integration tests: it links the libraries once.

mod support;
