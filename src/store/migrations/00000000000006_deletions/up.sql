-- Knowledge bases that were deleted. Their numbers are never given again, so
-- that whoever still serves one cannot take a new one of its name for it.
CREATE TABLE deletions (
    kb INTEGER NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    -- RFC 3339, UTC.
    at TEXT NOT NULL,
    author TEXT NOT NULL,
    reason TEXT,
    -- Whether its folder is gone as well.
    swept BOOLEAN NOT NULL
);
