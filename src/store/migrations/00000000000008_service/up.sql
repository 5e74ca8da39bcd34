-- Every change of a knowledge base's service document; the last one holds the
-- draft's. The numbers are those of `revisions` too, so that one history tells
-- of both.
CREATE TABLE service_revisions (
    kb INTEGER NOT NULL REFERENCES kbs (id),
    number BIGINT NOT NULL,
    -- The document afterwards; NULL when it is the shipped one again.
    content TEXT,
    -- RFC 3339, UTC.
    at TEXT NOT NULL,
    author TEXT NOT NULL,
    reason TEXT,
    -- Whether customers got it at once, without a publication.
    live BOOLEAN NOT NULL,
    PRIMARY KEY (kb, number)
);
