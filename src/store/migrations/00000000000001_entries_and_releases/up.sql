-- Plain SQL that PostgreSQL understands as well.

CREATE TABLE kbs (
    id INTEGER NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    -- The release that is served.
    current INTEGER,
    -- The number of the last revision.
    revision BIGINT NOT NULL,
    -- Live edits after this revision are served on top of the release.
    live_from BIGINT NOT NULL,
    -- The last live edit.
    live_to BIGINT NOT NULL
);

-- Every change of every entry; nothing is ever taken away here.
CREATE TABLE revisions (
    kb INTEGER NOT NULL REFERENCES kbs (id),
    -- Counts up from 1 within a knowledge base.
    number BIGINT NOT NULL,
    entry TEXT NOT NULL,
    -- add, change, remove, enable, disable
    action TEXT NOT NULL,
    -- The entry afterwards as JSON; NULL when it was removed.
    content TEXT,
    -- The revision that holds the entry as it was before.
    previous BIGINT,
    -- RFC 3339, UTC.
    at TEXT NOT NULL,
    author TEXT NOT NULL,
    reason TEXT,
    -- Whether it is served without being published.
    live BOOLEAN NOT NULL,
    PRIMARY KEY (kb, number)
);
CREATE INDEX revisions_of_an_entry ON revisions (kb, entry, number);

-- The draft: each entry with the revision that holds its content.
CREATE TABLE entries (
    kb INTEGER NOT NULL REFERENCES kbs (id),
    id TEXT NOT NULL,
    -- The author's order.
    position BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (kb, id)
);
CREATE INDEX entries_in_order ON entries (kb, position);

-- Whose question, whose keyword: no two entries of a draft share one.
CREATE TABLE claims (
    kb INTEGER NOT NULL REFERENCES kbs (id),
    -- question, keyword
    kind TEXT NOT NULL,
    -- What the exact matcher compares.
    text TEXT NOT NULL,
    entry TEXT NOT NULL,
    PRIMARY KEY (kb, kind, text)
);
CREATE INDEX claims_of_an_entry ON claims (kb, entry);

-- What is known of every release; its heavy files lie in its folder.
CREATE TABLE releases (
    kb INTEGER NOT NULL REFERENCES kbs (id),
    number INTEGER NOT NULL,
    at TEXT NOT NULL,
    author TEXT NOT NULL,
    reason TEXT,
    -- Whether it was published in spite of errors.
    forced BOOLEAN NOT NULL,
    -- What the check had found, as JSON.
    findings TEXT,
    -- The last revision that is in it.
    revision BIGINT NOT NULL,
    -- When its folder was removed.
    removed TEXT,
    PRIMARY KEY (kb, number)
);

-- What was served from when on, and by whose decision.
CREATE TABLE servings (
    kb INTEGER NOT NULL REFERENCES kbs (id),
    number BIGINT NOT NULL,
    -- publish, rollback
    action TEXT NOT NULL,
    release INTEGER NOT NULL,
    at TEXT NOT NULL,
    author TEXT NOT NULL,
    reason TEXT,
    PRIMARY KEY (kb, number)
);
