-- What somebody said that a column holds: the field of an entry, blank for a column
-- that is left out although its heading is known. NULL: a column that nobody knows
-- and that is passed over.
ALTER TABLE ignored_columns ADD COLUMN field TEXT;
