-- What labelled questions came to, run by run.
CREATE TABLE evaluations (
    kb INTEGER NOT NULL REFERENCES kbs (id),
    -- Counts up from 1 within a knowledge base.
    number BIGINT NOT NULL,
    -- RFC 3339, UTC.
    at TEXT NOT NULL,
    author TEXT NOT NULL,
    -- What a list shows, as JSON.
    summary TEXT NOT NULL,
    -- All of it, as JSON.
    body TEXT NOT NULL,
    PRIMARY KEY (kb, number)
);
