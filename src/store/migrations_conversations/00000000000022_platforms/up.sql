-- What platforms let us in with: one for all processes, since a new one can make the
-- one before worthless. The value is sealed.
CREATE TABLE tokens (
    channel TEXT PRIMARY KEY NOT NULL,
    value TEXT,
    -- It is good within this span.
    valid_from BIGINT NOT NULL,
    valid_until BIGINT NOT NULL,
    -- Who fetches a new one, and within which span nobody else does.
    fetcher TEXT,
    fetch_from BIGINT NOT NULL,
    fetch_until BIGINT NOT NULL
) WITHOUT ROWID;

-- Up to where what is fetched from a platform was taken in.
CREATE TABLE cursors (
    channel TEXT NOT NULL,
    account TEXT NOT NULL,
    cursor TEXT NOT NULL,
    PRIMARY KEY (channel, account)
) WITHOUT ROWID;

-- How much may still be said to a customer who says nothing.
CREATE TABLE quotas (
    channel TEXT NOT NULL,
    customer TEXT NOT NULL,
    most INTEGER NOT NULL,
    spent INTEGER NOT NULL,
    from_at BIGINT NOT NULL,
    until_at BIGINT NOT NULL,
    PRIMARY KEY (channel, customer)
) WITHOUT ROWID;
CREATE INDEX quotas_by_time ON quotas (until_at);
