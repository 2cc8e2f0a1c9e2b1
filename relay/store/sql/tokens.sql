-- insert --
-- No row: a token that is in use has this name.
INSERT INTO token (token_hash, name, name_key, prefix, role, apps, created_at, by)
VALUES (:token_hash, :name, :name_key, :prefix, :role, :apps, :created_at, :by)
ON CONFLICT (name_key) WHERE revoked_at IS NULL DO NOTHING

-- alive --
SELECT * FROM token WHERE token_hash = :token_hash AND revoked_at IS NULL

-- named --
SELECT * FROM token WHERE name_key = :name_key AND revoked_at IS NULL

-- every --
SELECT * FROM token ORDER BY revoked_at IS NOT NULL, name_key, created_at

-- touch --
UPDATE token SET last_used_at = :now
WHERE token_hash = :token_hash AND (last_used_at IS NULL OR last_used_at <= :before)

-- revoke --
UPDATE token SET revoked_at = :now WHERE name_key = :name_key AND revoked_at IS NULL
