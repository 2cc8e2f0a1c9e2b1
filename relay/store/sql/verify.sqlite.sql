-- integrity --
-- The file itself.
PRAGMA integrity_check(100)
