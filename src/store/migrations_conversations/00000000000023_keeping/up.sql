-- What all nodes keep of what happens, alike: `settings` as they lie in a file, and
-- `customers`, the key that names are made with under which customers are kept.
CREATE TABLE keeping (
    name TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL,
    changed_at BIGINT NOT NULL
) WITHOUT ROWID;

-- Whom every node forgets in what happened there, and what. A request goes after some
-- weeks: it names somebody.
CREATE TABLE forgotten (
    id TEXT PRIMARY KEY NOT NULL,
    -- Whose, as JSON.
    whose TEXT NOT NULL,
    -- What happens later is not meant, in milliseconds since 1970 (UTC).
    asked_at BIGINT NOT NULL
) WITHOUT ROWID;
