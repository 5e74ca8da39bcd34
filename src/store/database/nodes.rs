//! What tables do the records of servers have?
//!
//! Their migrations say what the columns hold.

diesel::table! {
    nodes (url) {
        url -> Text,
        version -> Text,
        token -> Text,
        started_at -> BigInt,
        seen_at -> BigInt,
    }
}
