-- Moments are milliseconds since 1970 (UTC). What comes after what is said by
-- numbers that only grow, never by a clock.

CREATE TABLE conversations (
    key INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    kb TEXT NOT NULL,
    -- The client's own name for it.
    id TEXT NOT NULL,
    -- bot, queued, agent, closed
    owner TEXT NOT NULL,
    -- Grows with every change; a change is made only on the version it was meant for.
    version BIGINT NOT NULL,
    -- What the next message is read in the light of, JSON.
    context TEXT,
    channel TEXT,
    -- What the client says of the customer, JSON.
    customer TEXT,
    -- The adapter that it came through, and where it is there, JSON.
    via TEXT,
    address TEXT,
    -- The handoff that is open.
    handoff TEXT,
    -- The number of the last line.
    last_seq BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    UNIQUE (kb, id)
);
CREATE INDEX conversations_by_id ON conversations (id);
CREATE INDEX conversations_by_age ON conversations (last_at);

-- What was said, and who took over: one sequence for each conversation.
CREATE TABLE lines (
    conversation BIGINT NOT NULL REFERENCES conversations (key) ON DELETE CASCADE,
    seq BIGINT NOT NULL,
    -- customer, bot, agent, event
    role TEXT NOT NULL,
    text TEXT NOT NULL,
    at BIGINT NOT NULL,
    author TEXT,
    trace_id TEXT,
    decision TEXT,
    -- JSON
    data TEXT,
    -- The client's name for the message: the same one is not heard twice.
    client_id TEXT,
    PRIMARY KEY (conversation, seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX lines_by_client_id ON lines (conversation, client_id) WHERE client_id IS NOT NULL;

CREATE TABLE handoffs (
    -- The order of the queue.
    number INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    id TEXT NOT NULL UNIQUE,
    conversation BIGINT NOT NULL REFERENCES conversations (key) ON DELETE CASCADE,
    -- The client's name for the conversation.
    session TEXT NOT NULL,
    kb TEXT NOT NULL,
    -- waiting, claimed, answered, closed, returned, expired
    state TEXT NOT NULL,
    version BIGINT NOT NULL,
    reason TEXT NOT NULL,
    rule TEXT,
    question TEXT NOT NULL,
    normalized TEXT NOT NULL,
    -- JSON lists
    candidates TEXT NOT NULL,
    shown TEXT NOT NULL,
    channel TEXT,
    customer TEXT,
    summary TEXT NOT NULL,
    release TEXT NOT NULL,
    -- Its place in the queue when it came.
    place BIGINT NOT NULL,
    agent TEXT,
    created_at BIGINT NOT NULL,
    waiting_since BIGINT NOT NULL,
    claimed_at BIGINT,
    answered_at BIGINT,
    ended_at BIGINT,
    lease_from BIGINT,
    lease_until BIGINT
);
CREATE INDEX handoffs_by_state ON handoffs (state, kb, number);
CREATE INDEX handoffs_by_conversation ON handoffs (conversation);
CREATE INDEX handoffs_by_end ON handoffs (ended_at);

-- What happens at the desk, in the order in which it happened.
CREATE TABLE stream (
    seq INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    kb TEXT NOT NULL,
    kind TEXT NOT NULL,
    handoff TEXT NOT NULL,
    data TEXT NOT NULL,
    at BIGINT NOT NULL
);

CREATE TABLE proposals (
    handoff TEXT NOT NULL,
    -- The customer's line that it answers.
    seq BIGINT NOT NULL,
    entry TEXT NOT NULL,
    confidence DOUBLE PRECISION NOT NULL,
    text TEXT NOT NULL,
    kb TEXT NOT NULL,
    -- The customer's words.
    question TEXT NOT NULL,
    -- proposed, taken, edited, ignored
    verdict TEXT NOT NULL,
    sent TEXT,
    agent TEXT,
    at BIGINT NOT NULL,
    PRIMARY KEY (handoff, seq, entry)
) WITHOUT ROWID;
CREATE INDEX proposals_by_time ON proposals (kb, at);

CREATE TABLE tickets (
    number INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    kb TEXT NOT NULL,
    conversation TEXT,
    -- open, pending, solved, closed
    state TEXT NOT NULL,
    version BIGINT NOT NULL,
    assignee TEXT,
    channel TEXT,
    -- What was filled in, JSON.
    fields TEXT NOT NULL,
    summary TEXT NOT NULL,
    client_id TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX tickets_by_state ON tickets (kb, state, number);
CREATE UNIQUE INDEX tickets_by_client_id ON tickets (kb, client_id) WHERE client_id IS NOT NULL;
CREATE TABLE ticket_notes (
    ticket BIGINT NOT NULL REFERENCES tickets (number) ON DELETE CASCADE,
    seq BIGINT NOT NULL,
    author TEXT NOT NULL,
    text TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (ticket, seq)
) WITHOUT ROWID;

CREATE TABLE webhooks (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    -- JSON lists; empty means all.
    events TEXT NOT NULL,
    kbs TEXT NOT NULL,
    secret TEXT NOT NULL,
    previous TEXT,
    previous_until BIGINT,
    private BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE channels (
    id TEXT PRIMARY KEY NOT NULL,
    kind TEXT NOT NULL,
    kb TEXT NOT NULL,
    -- JSON, by the kind's own rules.
    settings TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- What must be told to somebody, or was received and must be worked on.
CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    -- The receiver's key for telling a second delivery from a second message.
    id TEXT NOT NULL,
    -- webhook:ID, channel:ID, inbox:ID
    target TEXT NOT NULL,
    -- Rows of one lane go one after the other.
    lane TEXT NOT NULL,
    kind TEXT NOT NULL,
    kb TEXT NOT NULL,
    body TEXT NOT NULL,
    -- due, dead
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    -- It is due outside of this span.
    rests_from BIGINT NOT NULL,
    rests_until BIGINT NOT NULL,
    worker TEXT,
    error TEXT,
    created_at BIGINT NOT NULL
);
CREATE INDEX outbox_by_target ON outbox (state, target, lane, seq);
CREATE INDEX outbox_by_rest ON outbox (state, rests_until);

-- Deliveries that were received already.
CREATE TABLE received (
    channel TEXT NOT NULL,
    delivery TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (channel, delivery)
) WITHOUT ROWID;
CREATE INDEX received_by_time ON received (at);
