-- overview --
-- What is open, by domain, the most first; of domains whose name fits, where something is so.
SELECT d.domain, COUNT(*) AS waiting,
       SUM(CASE WHEN d.held IS NOT NULL THEN 1 ELSE 0 END) AS held,
       SUM(CASE WHEN d.lease_owner IS NOT NULL THEN 1 ELSE 0 END) AS sending,
       MIN(d.created_at) AS oldest_at,
       MIN(CASE WHEN d.held IS NULL AND d.lease_owner IS NULL THEN d.next_at END) AS next_at,
       MAX(d.attempts) AS attempts
FROM delivery d WHERE d.next_at IS NOT NULL AND d.domain LIKE :name ESCAPE '\'
GROUP BY d.domain
HAVING CAST(:state AS TEXT) = '' OR (:state = 'held' AND SUM(CASE WHEN d.held IS NOT NULL THEN 1 ELSE 0 END) > 0)
  OR (:state = 'sending' AND SUM(CASE WHEN d.lease_owner IS NOT NULL THEN 1 ELSE 0 END) > 0)
  OR (:state = 'delayed' AND MAX(d.attempts) > 0) OR (:state = 'new' AND MIN(d.attempts) = 0)
ORDER BY waiting DESC, d.domain LIMIT :limit

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

-- waiting --
-- What is open for one domain, the oldest first.
SELECT d.seq, d.id, d.message_id AS message, d.address, d.name, d.status, d.category, d.attempts, d.created_at, d.held,
       CASE WHEN d.lease_owner IS NULL THEN d.next_at END AS next_at, m.subject, m.booking, m.app
FROM delivery d JOIN message m ON m.id = d.message_id
WHERE d.next_at IS NOT NULL AND d.domain = :domain AND d.seq > :after ORDER BY d.seq LIMIT :limit
