-- Moments are milliseconds since 1970 (UTC).

CREATE TABLE tenants (
    name TEXT PRIMARY KEY NOT NULL,
    created_at BIGINT NOT NULL,
    -- What it may use, JSON.
    limits TEXT NOT NULL,
    -- The name of one that went is never given again: what was kept under it
    -- elsewhere must not become somebody else's.
    deleted_at BIGINT
);

-- A key is never removed: a server that had keys never becomes one without.
CREATE TABLE keys (
    id TEXT PRIMARY KEY NOT NULL,
    tenant TEXT NOT NULL,
    -- ask, agent, author, admin
    role TEXT NOT NULL,
    -- The knowledge bases that it is for, a JSON list; NULL for all.
    kbs TEXT,
    name TEXT NOT NULL,
    -- SHA-256 of the whole key.
    digest BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    -- The key that was made in its place.
    replaced_by TEXT,
    -- To the minute.
    used_at BIGINT,
    -- What it may use, JSON.
    limits TEXT NOT NULL,
    -- The origins whose pages may use it, a JSON list; empty for those that the server allows.
    origins TEXT NOT NULL
);
CREATE INDEX keys_by_tenant ON keys (tenant, created_at);

-- How many questions were asked in a month (+08:00).
CREATE TABLE questions (
    month TEXT NOT NULL,
    tenant TEXT NOT NULL,
    -- A key's id; empty for the tenant as a whole.
    key TEXT NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (month, tenant, key)
);

-- Who did what: a chain for each tenant, in which every link holds the hash of the one before.
CREATE TABLE audit (
    tenant TEXT NOT NULL,
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    who TEXT,
    name TEXT NOT NULL,
    source TEXT NOT NULL,
    request TEXT,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    before TEXT,
    after TEXT,
    reason TEXT,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (tenant, seq)
);
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is only added to'); END;

-- Where a chain begins whose old links were taken away.
CREATE TABLE audit_begins (
    tenant TEXT PRIMARY KEY NOT NULL,
    seq BIGINT NOT NULL,
    hash TEXT NOT NULL
);
