-- insert --
INSERT INTO invitation (token_hash, account_id, purpose, expires_at)
VALUES (:token_hash, :account_id, :purpose, :expires_at)

-- open --
-- An invitation that can still be used.
SELECT * FROM invitation WHERE token_hash = :token_hash AND used_at IS NULL AND expires_at > :now

-- use --
-- No row changed: somebody was faster, or it is too late.
UPDATE invitation SET used_at = :now WHERE token_hash = :token_hash AND used_at IS NULL AND expires_at > :now

-- end_all --
-- What an account was given before counts no more.
DELETE FROM invitation WHERE account_id = :account_id AND used_at IS NULL

-- end_first --
DELETE FROM invitation WHERE account_id IS NULL AND used_at IS NULL
