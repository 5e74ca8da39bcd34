-- At most this share wrong among the answered; NULL for the default.
ALTER TABLE kbs ADD COLUMN max_wrong DOUBLE PRECISION;
