-- among --
-- Which deliveries of a JSON list are blocked, and by what.
SELECT d.id AS blocked_id, s.* FROM json_each(:ids) AS wanted
JOIN delivery d ON d.id = wanted.value
JOIN message m ON m.id = d.message_id
JOIN suppression s ON s.value IN (d.address_key, d.domain)
WHERE s.lifted_at IS NULL AND (s.until_at IS NULL OR s.until_at > :now) AND (s.app IS NULL OR s.app = m.app)
  AND s.value = CASE s.scope WHEN 'address' THEN d.address_key ELSE d.domain END
ORDER BY CASE s.scope WHEN 'address' THEN 0 ELSE 1 END, s.id

-- active_among --
-- The active blocks on any value of a JSON list.
SELECT s.* FROM json_each(:values) AS wanted
JOIN suppression s ON s.value = wanted.value
WHERE s.lifted_at IS NULL AND (s.until_at IS NULL OR s.until_at > :now)
ORDER BY s.id
