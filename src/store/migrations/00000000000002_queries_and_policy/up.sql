-- The labelled questions that every publication is asked.
CREATE TABLE queries (
    kb INTEGER NOT NULL REFERENCES kbs (id),
    position BIGINT NOT NULL,
    -- One as JSON.
    content TEXT NOT NULL,
    PRIMARY KEY (kb, position)
);

-- How many releases a publication leaves; NULL for all.
ALTER TABLE kbs ADD COLUMN keep INTEGER;
