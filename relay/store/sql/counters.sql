-- recount --
-- Correct the counter of errors.
UPDATE address SET error_count = CASE WHEN error_count + :by < 0 THEN 0 ELSE error_count + :by END
WHERE address = :address
RETURNING error_count

-- correct_last_error --
-- The last error was read anew.
UPDATE address SET last_category = :category WHERE address = :address AND last_delivery_id = :delivery_id

-- errors_between --
-- What failed in a time and still counts.
SELECT d.id, d.status, d.category, d.blame, d.rule, d.ended_at FROM delivery d
WHERE d.address_key = :address AND d.status IN ('soft_bounced', 'hard_bounced', 'invalid')
  AND d.ended_at >= :since AND d.ended_at < :until
  AND NOT EXISTS (SELECT 1 FROM forgiven f WHERE f.delivery_id = d.id)
ORDER BY d.seq

-- unsent_since --
-- What did not go out or come through to one address, unless somebody sent it again.
SELECT d.id FROM delivery d
WHERE d.address_key = :address AND d.status IN ('soft_bounced', 'hard_bounced', 'invalid', 'suppressed')
  AND d.ended_at >= :since
  AND NOT EXISTS (
    SELECT 1 FROM delivery r
    WHERE r.message_id = d.message_id AND r.seq > d.seq AND r.resend_of = COALESCE(d.resend_of, d.id)
  )
ORDER BY d.seq

-- last_arrival --
-- When mail last arrived.
SELECT MAX(delivered_at) AS last_delivered_at FROM delivery WHERE address_key = :address AND status = 'delivered'

-- forgive --
-- An error that counts no more.
INSERT INTO forgiven (delivery_id, at) VALUES (:id, :at) ON CONFLICT (delivery_id) DO NOTHING
