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
