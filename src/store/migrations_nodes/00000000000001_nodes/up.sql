-- Moments are milliseconds since 1970 (UTC).

-- Servers that share these records. Each says again and again that it is there; one that
-- has not for some seconds is taken for gone.
CREATE TABLE nodes (
    -- Where the others reach it.
    url TEXT PRIMARY KEY NOT NULL,
    -- The version of zhida.
    version TEXT NOT NULL,
    -- What another node shows it, so that it believes for whom that one asks.
    token TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL
);
