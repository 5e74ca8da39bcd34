//! What tables does `conversations.db` have?
//!
//! Its migrations say what the columns hold.

diesel::table! {
    keeping (name) {
        name -> Text,
        value -> Text,
        changed_at -> BigInt,
    }
}
diesel::table! {
    forgotten (id) {
        id -> Text,
        whose -> Text,
        asked_at -> BigInt,
    }
}
diesel::table! {
    conversations (key) {
        key -> BigInt,
        kb -> Text,
        id -> Text,
        owner -> Text,
        version -> BigInt,
        context -> Nullable<Text>,
        channel -> Nullable<Text>,
        customer -> Nullable<Text>,
        via -> Nullable<Text>,
        address -> Nullable<Text>,
        handoff -> Nullable<Text>,
        last_seq -> BigInt,
        started_at -> BigInt,
        last_at -> BigInt,
    }
}
diesel::table! {
    lines (conversation, seq) {
        conversation -> BigInt,
        seq -> BigInt,
        role -> Text,
        text -> Text,
        at -> BigInt,
        author -> Nullable<Text>,
        trace_id -> Nullable<Text>,
        decision -> Nullable<Text>,
        data -> Nullable<Text>,
        client_id -> Nullable<Text>,
    }
}
diesel::table! {
    handoffs (number) {
        number -> BigInt,
        id -> Text,
        conversation -> BigInt,
        session -> Text,
        kb -> Text,
        state -> Text,
        version -> BigInt,
        reason -> Text,
        rule -> Nullable<Text>,
        question -> Text,
        normalized -> Text,
        candidates -> Text,
        shown -> Text,
        channel -> Nullable<Text>,
        customer -> Nullable<Text>,
        summary -> Text,
        release -> Text,
        place -> BigInt,
        agent -> Nullable<Text>,
        created_at -> BigInt,
        waiting_since -> BigInt,
        claimed_at -> Nullable<BigInt>,
        answered_at -> Nullable<BigInt>,
        ended_at -> Nullable<BigInt>,
        lease_from -> Nullable<BigInt>,
        lease_until -> Nullable<BigInt>,
    }
}
diesel::table! {
    stream (seq) {
        seq -> BigInt,
        kb -> Text,
        kind -> Text,
        handoff -> Text,
        data -> Text,
        at -> BigInt,
    }
}
diesel::table! {
    proposals (handoff, seq, entry) {
        handoff -> Text,
        seq -> BigInt,
        entry -> Text,
        confidence -> Double,
        text -> Text,
        kb -> Text,
        question -> Text,
        verdict -> Text,
        sent -> Nullable<Text>,
        agent -> Nullable<Text>,
        at -> BigInt,
    }
}
diesel::table! {
    tickets (number) {
        number -> BigInt,
        kb -> Text,
        conversation -> Nullable<Text>,
        state -> Text,
        version -> BigInt,
        assignee -> Nullable<Text>,
        channel -> Nullable<Text>,
        fields -> Text,
        summary -> Text,
        client_id -> Nullable<Text>,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}
diesel::table! {
    ticket_notes (ticket, seq) {
        ticket -> BigInt,
        seq -> BigInt,
        author -> Text,
        text -> Text,
        at -> BigInt,
    }
}
diesel::table! {
    webhooks (id) {
        id -> Text,
        name -> Text,
        url -> Text,
        events -> Text,
        kbs -> Text,
        secret -> Text,
        previous -> Nullable<Text>,
        previous_until -> Nullable<BigInt>,
        private -> Bool,
        created_at -> BigInt,
    }
}
diesel::table! {
    channels (id) {
        id -> Text,
        kind -> Text,
        kb -> Text,
        settings -> Text,
        created_at -> BigInt,
    }
}
diesel::table! {
    outbox (seq) {
        seq -> BigInt,
        id -> Text,
        target -> Text,
        lane -> Text,
        kind -> Text,
        kb -> Text,
        body -> Text,
        state -> Text,
        attempts -> Integer,
        rests_from -> BigInt,
        rests_until -> BigInt,
        worker -> Nullable<Text>,
        error -> Nullable<Text>,
        created_at -> BigInt,
    }
}
diesel::table! {
    received (channel, delivery) {
        channel -> Text,
        delivery -> Text,
        at -> BigInt,
    }
}
diesel::table! {
    tokens (channel) {
        channel -> Text,
        value -> Nullable<Text>,
        valid_from -> BigInt,
        valid_until -> BigInt,
        fetcher -> Nullable<Text>,
        fetch_from -> BigInt,
        fetch_until -> BigInt,
    }
}
diesel::table! {
    cursors (channel, account) {
        channel -> Text,
        account -> Text,
        cursor -> Text,
    }
}
diesel::table! {
    quotas (channel, customer) {
        channel -> Text,
        customer -> Text,
        most -> Integer,
        spent -> Integer,
        from_at -> BigInt,
        until_at -> BigInt,
    }
}
diesel::table! {
    canned_replies (id) {
        id -> Text,
        owner -> Nullable<Text>,
        title -> Text,
        text -> Text,
        updated_at -> BigInt,
    }
}
diesel::table! {
    notes (conversation, seq) {
        conversation -> BigInt,
        seq -> BigInt,
        author -> Text,
        text -> Text,
        at -> BigInt,
    }
}
diesel::table! {
    presence (agent) {
        agent -> Text,
        state -> Text,
        seen_at -> BigInt,
    }
}
diesel::allow_tables_to_appear_in_same_query!(conversations, handoffs, lines, notes);
