-- overview --
-- What is open, by domain, the most first.
SELECT d.domain, COUNT(*) AS waiting,
       SUM(CASE WHEN d.held IS NOT NULL THEN 1 ELSE 0 END) AS held,
       SUM(CASE WHEN d.lease_owner IS NOT NULL THEN 1 ELSE 0 END) AS sending,
       MIN(d.created_at) AS oldest_at,
       MIN(CASE WHEN d.held IS NULL AND d.lease_owner IS NULL THEN d.next_at END) AS next_at,
       MAX(d.attempts) AS attempts
FROM delivery d WHERE d.next_at IS NOT NULL
GROUP BY d.domain ORDER BY waiting DESC, d.domain LIMIT :limit

-- last_reply --
-- What was last said about a domain's open deliveries.
SELECT d.mx, d.code, d.enhanced, d.reply, d.category FROM delivery d
WHERE d.next_at IS NOT NULL AND d.domain = :domain AND d.reply IS NOT NULL
ORDER BY d.attempts DESC, d.seq DESC LIMIT 1

-- totals --
-- How much is open altogether.
SELECT COUNT(*) AS waiting, SUM(CASE WHEN attempts = 0 THEN 1 ELSE 0 END) AS fresh,
       SUM(CASE WHEN held IS NOT NULL THEN 1 ELSE 0 END) AS held, MIN(created_at) AS oldest_at
FROM delivery WHERE next_at IS NOT NULL
