-- save --
-- Remember a policy in the place of the one before.
INSERT INTO sts_policy (domain, id, mode, mx, max_age_s, fetched_at, expires_at)
VALUES (:domain, :id, :mode, :mx, :max_age_s, :fetched_at, :expires_at)
ON CONFLICT (domain) DO UPDATE SET
  id = excluded.id, mode = excluded.mode, mx = excluded.mx, max_age_s = excluded.max_age_s,
  fetched_at = excluded.fetched_at, expires_at = excluded.expires_at

-- load --
-- The policy of one domain.
SELECT * FROM sts_policy WHERE domain = :domain

-- stale --
-- Policies that should be fetched anew before they expire.
SELECT * FROM sts_policy WHERE fetched_at < :fetched_before ORDER BY domain LIMIT :limit

-- drop_expired --
DELETE FROM sts_policy WHERE expires_at < :now
