-- by_status --
-- Deliveries made since a time, by status.
SELECT status, COUNT(*) AS count FROM delivery
WHERE created_at >= :since AND (dsn IS NULL OR dsn <> 'report') GROUP BY status

-- by_category --
-- The reasons of deliveries made since a time that failed or wait, the most first.
SELECT category, status, COUNT(*) AS count FROM delivery
WHERE created_at >= :since AND category IS NOT NULL AND (dsn IS NULL OR dsn <> 'report')
GROUP BY category, status ORDER BY count DESC

-- by_domain --
-- How each domain took the deliveries made since a time, the most first.
SELECT domain, COUNT(*) AS total,
       SUM(CASE WHEN status = 'delivered' THEN 1 ELSE 0 END) AS delivered,
       SUM(CASE WHEN status IN ('soft_bounced', 'hard_bounced', 'invalid', 'rejected') THEN 1 ELSE 0 END) AS failed,
       SUM(CASE WHEN status IN ('queued', 'deferred') THEN 1 ELSE 0 END) AS pending
FROM delivery WHERE created_at >= :since AND (dsn IS NULL OR dsn <> 'report')
GROUP BY domain ORDER BY total DESC, domain LIMIT :limit

-- by_app --
-- How much each app handed in since a time.
SELECT m.app, COUNT(*) AS count FROM delivery d JOIN message m ON m.id = d.message_id
WHERE d.created_at >= :since AND (d.dsn IS NULL OR d.dsn <> 'report') GROUP BY m.app ORDER BY count DESC, m.app

-- last_errors --
-- The newest deliveries of one status with the reason they have it.
SELECT d.seq, d.domain, d.category, d.ended_at, m.app FROM delivery d JOIN message m ON m.id = d.message_id
WHERE d.status = :status AND d.status NOT IN ('queued', 'delivered', 'sent') AND d.category IS NOT NULL
  AND (d.dsn IS NULL OR d.dsn <> 'report')
ORDER BY d.seq DESC LIMIT :limit

-- last_delivered --
-- When any server last took mail. A domain's own row is renewed once a day only; the newest deliveries say it exactly,
-- and where none of them arrived the rows of the domains still do.
SELECT MAX(last_delivered_at) AS last_delivered_at FROM (
  SELECT MAX(last_delivered_at) AS last_delivered_at FROM domain
  UNION ALL
  SELECT MAX(delivered_at) FROM (SELECT delivered_at FROM delivery ORDER BY seq DESC LIMIT 500) AS newest
) AS found

-- due_since --
-- What has been due longest without anybody trying it.
SELECT next_at FROM delivery
WHERE next_at IS NOT NULL AND held IS NULL AND lease_owner IS NULL AND attempts = 0
ORDER BY next_at LIMIT 1

-- first_apps --
-- Whether anything was handed to us, by an app or as a test of our own.
SELECT DISTINCT app FROM (SELECT app FROM message ORDER BY seq LIMIT 1000) AS first
