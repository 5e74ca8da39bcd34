-- Moments are milliseconds since 1970 (UTC).

-- People who sign in. One that went keeps a row: a server that had people never
-- becomes one without.
CREATE TABLE people (
    id TEXT PRIMARY KEY NOT NULL,
    tenant TEXT NOT NULL,
    -- What they sign in with, in small letters.
    name TEXT NOT NULL,
    display_name TEXT NOT NULL,
    -- ask, agent, author, admin
    role TEXT NOT NULL,
    -- The knowledge bases that they may know of, a JSON list; NULL for all.
    kbs TEXT,
    -- password; provider: by OpenID Connect, as an admin said; mapped: by OpenID
    -- Connect, made and kept by what the provider says of them.
    sign_in TEXT NOT NULL,
    -- Argon2id as a PHC string; NULL for somebody who has no password (yet).
    password TEXT,
    -- Who they are at the provider.
    subject TEXT,
    created_at BIGINT NOT NULL,
    password_at BIGINT,
    -- Signed in last.
    signed_in_at BIGINT,
    disabled_at BIGINT,
    deleted_at BIGINT
);
CREATE UNIQUE INDEX people_by_name ON people (tenant, name) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX people_by_subject ON people (tenant, subject) WHERE deleted_at IS NULL AND subject IS NOT NULL;

-- A session that has ended has no row.
CREATE TABLE sessions (
    id TEXT PRIMARY KEY NOT NULL,
    person TEXT NOT NULL REFERENCES people (id),
    -- SHA-256 of the whole token.
    digest BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    -- To the minute.
    seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    -- After so many milliseconds without a request it has ended too.
    idle BIGINT NOT NULL,
    source TEXT NOT NULL,
    -- What the browser says it is.
    agent TEXT NOT NULL
);
CREATE INDEX sessions_by_person ON sessions (person);

-- Links that work once.
CREATE TABLE links (
    id TEXT PRIMARY KEY NOT NULL,
    -- SHA-256 of the whole token.
    digest BLOB NOT NULL,
    -- Whose password it sets; NULL: it makes the first admin.
    person TEXT REFERENCES people (id),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);

-- Failed attempts to sign in, by name and by address.
CREATE TABLE attempts (
    -- SHA-256, for people type passwords into the wrong field.
    whose TEXT PRIMARY KEY NOT NULL,
    failures BIGINT NOT NULL,
    last_at BIGINT NOT NULL
);

-- Who is on the way to the provider and back.
CREATE TABLE departures (
    -- SHA-256 of the state in the address.
    state BLOB PRIMARY KEY NOT NULL,
    -- SHA-256 of what the browser keeps in a cookie.
    browser BLOB NOT NULL,
    nonce TEXT NOT NULL,
    verifier TEXT NOT NULL,
    -- Where the browser goes in the end.
    back TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
