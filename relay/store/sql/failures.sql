-- page --
-- Ended failures of one status with the attempt whose answer decided, if one did.
SELECT d.seq, d.id, d.message_id, d.address, d.address_key, d.status, d.category, d.blame, d.rule, d.code, d.enhanced,
  d.reply, d.ended_at, m.mail_from, t.seq AS attempt, t.class, t.stage, t.mx
FROM delivery d
JOIN message m ON m.id = d.message_id
LEFT JOIN attempt t ON t.seq = (
  SELECT MAX(a.seq) FROM attempt a
  WHERE a.delivery_id = d.id AND a.text = d.reply AND COALESCE(a.code, 0) = COALESCE(d.code, 0)
)
WHERE d.status = :status AND d.status NOT IN ('queued', 'delivered', 'sent')
  AND d.seq > :after AND d.ended_at >= :since
ORDER BY d.seq LIMIT :limit

-- update --
-- A failure that is read differently now; zero rows when it is no longer what was read.
UPDATE delivery SET status = :status, category = :category, blame = :blame, rule = :rule
WHERE id = :id AND status = :old_status AND COALESCE(rule, '') = :old_rule

-- last_lifted --
-- When a block on one address was last lifted.
SELECT MAX(lifted_at) AS last_lifted_at FROM suppression WHERE value = :address AND scope = 'address'
