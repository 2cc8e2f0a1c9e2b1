-- list --
-- All sites that are backing off or did.
SELECT * FROM site ORDER BY key

-- keys --
-- Which sites these are; delivery asks every second.
SELECT key FROM site

-- save --
-- Where the back-off of a site stands.
INSERT INTO site (key, step, until_at, category, reply, updated_at)
VALUES (:key, :step, :until_at, :category, :reply, :updated_at)
ON CONFLICT (key) DO UPDATE SET step = excluded.step, until_at = excluded.until_at, category = excluded.category,
  reply = excluded.reply, updated_at = excluded.updated_at

-- delete --
-- A site that is well again needs no row.
DELETE FROM site WHERE key = :key

-- forgive --
-- End the back-off of the sites a host belongs to: a person wants its mail tried now. Delivery sees that the row is gone.
DELETE FROM site WHERE key LIKE '%' || :mx || '%'

-- domain_delivered --
-- When a domain last took mail.
SELECT last_delivered_at FROM domain WHERE domain = :domain
