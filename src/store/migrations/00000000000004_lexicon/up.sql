-- Every change of a line of the lexicon; the numbers are those of `revisions`
-- too, so that one history tells of both.
CREATE TABLE lexicon_revisions (
    kb INTEGER NOT NULL REFERENCES kbs (id),
    number BIGINT NOT NULL,
    -- add, change, remove
    action TEXT NOT NULL,
    -- The line before as JSON; NULL when it is new.
    before TEXT,
    -- The line afterwards as JSON; NULL when it was removed.
    content TEXT,
    -- RFC 3339, UTC.
    at TEXT NOT NULL,
    author TEXT NOT NULL,
    reason TEXT,
    PRIMARY KEY (kb, number)
);

-- The lexicon of the draft: each line with the revision that holds it.
CREATE TABLE lexicon (
    kb INTEGER NOT NULL REFERENCES kbs (id),
    -- The authors' order.
    position BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (kb, position)
);
