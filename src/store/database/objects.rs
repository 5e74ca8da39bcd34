//! What tables do releases have that lie with the records?
//!
//! Their migrations say what the columns hold.

diesel::table! {
    objects (place) {
        place -> Text,
        writing -> Text,
        bytes -> BigInt,
        written_at -> BigInt,
    }
}
diesel::table! {
    pieces (writing, position) {
        writing -> Text,
        position -> BigInt,
        bytes -> BigInt,
        content -> Binary,
        written_at -> BigInt,
    }
}
diesel::allow_tables_to_appear_in_same_query!(objects, pieces);
