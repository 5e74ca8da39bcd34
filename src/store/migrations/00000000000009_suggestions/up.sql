-- What customers' questions suggest, and what authors made of it.
CREATE TABLE suggestions (
    kb INTEGER NOT NULL REFERENCES kbs (id),
    id TEXT NOT NULL,
    -- The order in which they are shown.
    position BIGINT NOT NULL,
    -- All of it as JSON, as long as nothing is decided; then it is gone.
    body TEXT NOT NULL,
    -- accepted, ignored, never; NULL while it is open.
    verdict TEXT,
    kind TEXT NOT NULL,
    entry TEXT,
    text TEXT NOT NULL,
    -- How often it had been asked when it was decided.
    count BIGINT NOT NULL,
    -- The revision that holds what was accepted.
    revision BIGINT,
    at TEXT,
    author TEXT,
    reason TEXT,
    PRIMARY KEY (kb, id)
);
