-- What is to be published or rolled back at some time, and what came of it.
CREATE TABLE schedules (
    kb INTEGER NOT NULL REFERENCES kbs (id),
    -- Counts up from 1 within a knowledge base.
    number BIGINT NOT NULL,
    -- publish, rollback
    action TEXT NOT NULL,
    -- The release that is rolled back to; NULL: the draft is published.
    release INTEGER,
    -- Seconds since 1970 (UTC).
    due BIGINT NOT NULL,
    -- The offset that it was said in, in seconds.
    zone INTEGER NOT NULL,
    -- The id of the key or person; NULL on the machine itself.
    who TEXT,
    author TEXT NOT NULL,
    reason TEXT,
    -- RFC 3339, UTC.
    at TEXT NOT NULL,
    -- waiting, running, done, refused, failed, cancelled
    state TEXT NOT NULL,
    -- When a process took it up or was last heard of, in seconds since 1970.
    claimed BIGINT,
    -- What came of it, in words.
    outcome TEXT,
    -- When it ended, RFC 3339, UTC.
    ended TEXT,
    PRIMARY KEY (kb, number)
);
