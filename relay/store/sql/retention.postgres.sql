-- unindex --
-- Take one row of the log out of the search index.
DELETE FROM search WHERE seq = :seq

-- unindex_pending --
-- Nor is it to come in any more.
DELETE FROM search_pending WHERE seq = :seq
