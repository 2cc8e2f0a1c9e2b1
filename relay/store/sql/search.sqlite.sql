-- indexed_to --
-- The last row of the log that the index holds.
SELECT CAST(value AS INTEGER) AS seq FROM meta WHERE key = 'search_indexed_to'

-- save_indexed_to --
-- Remember how far the index has come.
INSERT INTO meta (key, value) VALUES ('search_indexed_to', CAST(:seq AS TEXT))
ON CONFLICT (key) DO UPDATE SET value = excluded.value

-- insert --
-- One row of the log into the index.
INSERT INTO search (rowid, words) VALUES (:seq, :words)
