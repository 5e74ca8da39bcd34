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
