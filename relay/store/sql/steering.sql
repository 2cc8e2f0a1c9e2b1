-- list --
-- What people have ordered for a while.
SELECT * FROM steering ORDER BY since_at, kind, scope, value

-- save --
-- An order, in the place of one of its kind on the same.
INSERT INTO steering (kind, scope, value, target, reason, by, since_at, until_at)
VALUES (:kind, :scope, :value, :target, :reason, :by, :since_at, :until_at)
ON CONFLICT (kind, scope, value) DO UPDATE SET target = excluded.target, reason = excluded.reason, by = excluded.by,
  since_at = excluded.since_at, until_at = excluded.until_at

-- delete --
-- The end of an order.
DELETE FROM steering WHERE kind = :kind AND scope = :scope AND value = :value

-- drop_past --
-- Orders whose time is over.
DELETE FROM steering WHERE until_at IS NOT NULL AND until_at <= :now
