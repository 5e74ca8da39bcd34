//! One binary for all integration tests: it links the libraries once.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a failing unwrap is a failing test")]

mod access;
mod adapt;
mod audited;
mod authoring;
mod backup;
mod bodies;
mod checkup;
mod codes;
mod columns;
mod corpora;
mod crash;
mod desk;
mod desk_crash;
mod dialogue;
mod eval;
mod events;
mod goals;
mod http;
mod kb;
mod laws;
mod learning;
mod lexicon;
mod live;
mod look_alikes;
mod masking;
mod mend;
mod model;
mod openapi;
mod people;
mod platforms;
mod receiver;
mod release;
mod reports;
mod reports_files;
mod requests;
mod scripts;
mod service;
mod serving;
mod sheets;
mod sound;
mod store;
mod support;
mod tidy;
mod views;
