//! What tables does `access.db` have?
//!
//! Its migrations say what the columns hold.

diesel::table! {
    tenants (name) {
        name -> Text,
        created_at -> BigInt,
        limits -> Text,
        deleted_at -> Nullable<BigInt>,
    }
}
diesel::table! {
    keys (id) {
        id -> Text,
        tenant -> Text,
        role -> Text,
        kbs -> Nullable<Text>,
        name -> Text,
        digest -> Binary,
        created_at -> BigInt,
        expires_at -> Nullable<BigInt>,
        revoked_at -> Nullable<BigInt>,
        replaced_by -> Nullable<Text>,
        used_at -> Nullable<BigInt>,
        limits -> Text,
        origins -> Text,
    }
}
diesel::table! {
    questions (month, tenant, key) {
        month -> Text,
        tenant -> Text,
        key -> Text,
        count -> BigInt,
    }
}
diesel::table! {
    metered (tenant, day, kb, channel, key, node) {
        tenant -> Text,
        day -> Text,
        kb -> Text,
        channel -> Text,
        key -> Text,
        node -> Text,
        questions -> BigInt,
        answered -> BigInt,
        lost -> BigInt,
    }
}
diesel::table! {
    audit (tenant, seq) {
        tenant -> Text,
        seq -> BigInt,
        at -> BigInt,
        who -> Nullable<Text>,
        name -> Text,
        source -> Text,
        request -> Nullable<Text>,
        action -> Text,
        object -> Text,
        before -> Nullable<Text>,
        after -> Nullable<Text>,
        reason -> Nullable<Text>,
        previous -> Text,
        hash -> Text,
    }
}
diesel::table! {
    audit_begins (tenant) {
        tenant -> Text,
        seq -> BigInt,
        hash -> Text,
    }
}
diesel::table! {
    people (id) {
        id -> Text,
        tenant -> Text,
        name -> Text,
        display_name -> Text,
        role -> Text,
        kbs -> Nullable<Text>,
        sign_in -> Text,
        password -> Nullable<Text>,
        subject -> Nullable<Text>,
        created_at -> BigInt,
        password_at -> Nullable<BigInt>,
        signed_in_at -> Nullable<BigInt>,
        disabled_at -> Nullable<BigInt>,
        deleted_at -> Nullable<BigInt>,
    }
}
diesel::table! {
    sessions (id) {
        id -> Text,
        person -> Text,
        digest -> Binary,
        created_at -> BigInt,
        seen_at -> BigInt,
        expires_at -> BigInt,
        idle -> BigInt,
        source -> Text,
        agent -> Text,
    }
}
diesel::table! {
    links (id) {
        id -> Text,
        digest -> Binary,
        person -> Nullable<Text>,
        created_at -> BigInt,
        expires_at -> BigInt,
        used_at -> Nullable<BigInt>,
    }
}
diesel::table! {
    attempts (whose) {
        whose -> Text,
        failures -> BigInt,
        last_at -> BigInt,
    }
}
diesel::table! {
    departures (state) {
        state -> Binary,
        browser -> Binary,
        nonce -> Text,
        verifier -> Text,
        back -> Text,
        expires_at -> BigInt,
    }
}
diesel::allow_tables_to_appear_in_same_query!(people, sessions, links);
