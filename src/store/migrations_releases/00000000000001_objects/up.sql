-- Moments are milliseconds since 1970 (UTC), by the clock of this database.

-- What lies here, and where.
CREATE TABLE objects (
    place TEXT PRIMARY KEY NOT NULL,
    -- Under which its pieces were written.
    writing TEXT NOT NULL,
    -- How long it is.
    bytes BIGINT NOT NULL,
    written_at BIGINT NOT NULL
) WITHOUT ROWID;

-- What objects consist of, and what may become one: it is none before all of it is here.
CREATE TABLE pieces (
    writing TEXT NOT NULL,
    -- Of how many bytes it comes after.
    position BIGINT NOT NULL,
    -- How long it is.
    bytes BIGINT NOT NULL,
    content BLOB NOT NULL,
    written_at BIGINT NOT NULL,
    PRIMARY KEY (writing, position)
);
