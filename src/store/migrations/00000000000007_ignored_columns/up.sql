-- Headings of columns that somebody said hold nothing of a knowledge base: later
-- imports pass over them too.
CREATE TABLE ignored_columns (
    kb INTEGER NOT NULL REFERENCES kbs (id),
    heading TEXT NOT NULL,
    PRIMARY KEY (kb, heading)
);
