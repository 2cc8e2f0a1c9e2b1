-- insert --
INSERT INTO session (token_hash, account_id, created_at, seen_at, ip, agent)
VALUES (:token_hash, :account_id, :at, :at, :ip, :agent)

-- alive --
-- The session of a token, while neither its idle time nor its whole time is over and its account may sign in.
SELECT s.* FROM session s JOIN account a ON a.id = s.account_id
WHERE s.token_hash = :token_hash AND s.seen_at > :idle_since AND s.created_at > :created_since
  AND a.disabled_at IS NULL

-- touch --
-- Seen just now; no row changed: that was written a moment ago.
UPDATE session SET seen_at = :now WHERE token_hash = :token_hash AND seen_at <= :before

-- of_account --
SELECT s.* FROM session s
WHERE s.account_id = :account_id AND s.seen_at > :idle_since AND s.created_at > :created_since
ORDER BY s.seen_at DESC, s.token_hash

-- end --
DELETE FROM session WHERE token_hash = :token_hash AND account_id = :account_id

-- end_all --
DELETE FROM session WHERE account_id = :account_id
