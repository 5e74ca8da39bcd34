-- The SHA-256 of the release's manifest, in hex: what it is fetched by from the depot.
-- NULL for releases of older versions until somebody puts them there.
ALTER TABLE releases ADD COLUMN digest TEXT;
