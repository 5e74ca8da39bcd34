-- What people at the desk keep for themselves and each other.

-- Replies that are written once and sent often.
CREATE TABLE canned_replies (
    id TEXT PRIMARY KEY NOT NULL,
    -- Whose they are; nobody's are for everybody.
    owner TEXT,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX canned_replies_by_owner ON canned_replies (owner, title);

-- What is said of a conversation and not in it: no customer sees it, and it goes
-- with the conversation.
CREATE TABLE notes (
    conversation BIGINT NOT NULL REFERENCES conversations (key) ON DELETE CASCADE,
    seq BIGINT NOT NULL,
    author TEXT NOT NULL,
    text TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (conversation, seq)
) WITHOUT ROWID;

-- Who is at the desk.
CREATE TABLE presence (
    agent TEXT PRIMARY KEY NOT NULL,
    -- online, away
    state TEXT NOT NULL,
    seen_at BIGINT NOT NULL
);
