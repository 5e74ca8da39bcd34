-- How much was asked in a day (+08:00), as each folder of events counts it for itself: all of
-- it, which only grows, so that keeping it twice is keeping it once.
CREATE TABLE metered (
    tenant TEXT NOT NULL,
    day TEXT NOT NULL,
    kb TEXT NOT NULL,
    channel TEXT NOT NULL,
    -- A key's id; empty where none was needed.
    key TEXT NOT NULL,
    -- The name of the folder.
    node TEXT NOT NULL,
    questions BIGINT NOT NULL,
    answered BIGINT NOT NULL,
    -- Events that could not be stored; in rows without a knowledge base.
    lost BIGINT NOT NULL,
    PRIMARY KEY (tenant, day, kb, channel, key, node)
);
CREATE INDEX metered_by_node ON metered (node, day);
