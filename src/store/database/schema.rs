//! What tables are there?
//!
//! Those of `zhida.db`.

diesel::table! {
    kbs (id) {
        id -> Integer,
        name -> Text,
        current -> Nullable<Integer>,
        revision -> BigInt,
        live_from -> BigInt,
        live_to -> BigInt,
        keep -> Nullable<Integer>,
        max_wrong -> Nullable<Double>,
    }
}
diesel::table! {
    queries (kb, position) {
        kb -> Integer,
        position -> BigInt,
        content -> Text,
    }
}
diesel::table! {
    revisions (kb, number) {
        kb -> Integer,
        number -> BigInt,
        entry -> Text,
        action -> Text,
        content -> Nullable<Text>,
        previous -> Nullable<BigInt>,
        at -> Text,
        author -> Text,
        reason -> Nullable<Text>,
        live -> Bool,
    }
}
diesel::table! {
    entries (kb, id) {
        kb -> Integer,
        id -> Text,
        position -> BigInt,
        revision -> BigInt,
    }
}
diesel::table! {
    lexicon (kb, position) {
        kb -> Integer,
        position -> BigInt,
        revision -> BigInt,
    }
}
diesel::table! {
    lexicon_revisions (kb, number) {
        kb -> Integer,
        number -> BigInt,
        action -> Text,
        before -> Nullable<Text>,
        content -> Nullable<Text>,
        at -> Text,
        author -> Text,
        reason -> Nullable<Text>,
    }
}
diesel::table! {
    service_revisions (kb, number) {
        kb -> Integer,
        number -> BigInt,
        content -> Nullable<Text>,
        at -> Text,
        author -> Text,
        reason -> Nullable<Text>,
        live -> Bool,
    }
}
diesel::table! {
    claims (kb, kind, text) {
        kb -> Integer,
        kind -> Text,
        text -> Text,
        entry -> Text,
    }
}
diesel::table! {
    releases (kb, number) {
        kb -> Integer,
        number -> Integer,
        at -> Text,
        author -> Text,
        reason -> Nullable<Text>,
        forced -> Bool,
        findings -> Nullable<Text>,
        revision -> BigInt,
        removed -> Nullable<Text>,
        digest -> Nullable<Text>,
    }
}
diesel::table! {
    servings (kb, number) {
        kb -> Integer,
        number -> BigInt,
        action -> Text,
        release -> Integer,
        at -> Text,
        author -> Text,
        reason -> Nullable<Text>,
    }
}
diesel::table! {
    deletions (kb) {
        kb -> Integer,
        name -> Text,
        at -> Text,
        author -> Text,
        reason -> Nullable<Text>,
        swept -> Bool,
    }
}
diesel::table! {
    suggestions (kb, id) {
        kb -> Integer,
        id -> Text,
        position -> BigInt,
        body -> Text,
        verdict -> Nullable<Text>,
        kind -> Text,
        entry -> Nullable<Text>,
        text -> Text,
        count -> BigInt,
        revision -> Nullable<BigInt>,
        at -> Nullable<Text>,
        author -> Nullable<Text>,
        reason -> Nullable<Text>,
    }
}
diesel::table! {
    ignored_columns (kb, heading) {
        kb -> Integer,
        heading -> Text,
        field -> Nullable<Text>,
    }
}
diesel::table! {
    evaluations (kb, number) {
        kb -> Integer,
        number -> BigInt,
        at -> Text,
        author -> Text,
        summary -> Text,
        body -> Text,
    }
}
diesel::table! {
    schedules (kb, number) {
        kb -> Integer,
        number -> BigInt,
        action -> Text,
        release -> Nullable<Integer>,
        due -> BigInt,
        zone -> Integer,
        who -> Nullable<Text>,
        author -> Text,
        reason -> Nullable<Text>,
        at -> Text,
        state -> Text,
        claimed -> Nullable<BigInt>,
        outcome -> Nullable<Text>,
        ended -> Nullable<Text>,
    }
}
diesel::allow_tables_to_appear_in_same_query!(entries, revisions);
diesel::allow_tables_to_appear_in_same_query!(lexicon, lexicon_revisions);
diesel::allow_tables_to_appear_in_same_query!(kbs, schedules);
