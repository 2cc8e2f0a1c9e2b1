-- take_pending --
-- The next deliveries for the index; what another node is just taking in is left to it.
DELETE FROM search_pending WHERE seq = ANY (ARRAY(
  SELECT seq FROM search_pending ORDER BY seq LIMIT :limit FOR UPDATE SKIP LOCKED
))
RETURNING seq

-- insert --
-- One row of the log into the index.
INSERT INTO search (seq, words) VALUES (:seq, :words)
