-- contents --
-- The next raw mails in the order of their ids, which is that of time, with whether something of theirs is still open.
SELECT c.id, COALESCE(m.accepted_at, d.created_at, r.at) AS at,
       CASE WHEN EXISTS (
         SELECT 1 FROM delivery o
         WHERE o.message_id = COALESCE(m.id, d.message_id, r.message_id) AND o.next_at IS NOT NULL
       ) THEN 1 ELSE 0 END AS is_open
FROM content c
LEFT JOIN message m ON m.id = c.id
LEFT JOIN delivery d ON d.id = c.id
LEFT JOIN report r ON r.id = c.id
WHERE c.id > :after ORDER BY c.id LIMIT :limit

-- drop_content --
-- Forget one raw mail.
DELETE FROM content WHERE id = :id

-- messages --
-- The next messages in the order they came, with whether one of their deliveries is open or newer than :before.
-- The newest rows of all stay: their numbers would be given again, and a reader would take the new rows for read.
SELECT m.seq, m.id, m.accepted_at,
       CASE WHEN m.seq >= (SELECT MAX(seq) FROM message) OR EXISTS (
         SELECT 1 FROM delivery d WHERE d.message_id = m.id
         AND (d.next_at IS NOT NULL OR d.created_at >= :before OR d.seq >= (SELECT MAX(seq) FROM delivery))
       ) THEN 1 ELSE 0 END AS is_kept
FROM message m WHERE m.seq > :after ORDER BY m.seq LIMIT :limit

-- delivery_seqs --
-- The rows of the log of one message.
SELECT seq FROM delivery WHERE message_id = :id

-- drop_contents_of_message --
-- All raw mails of a message: its own, those of its resends, those of what came back for it.
DELETE FROM content WHERE id = :id OR id IN (SELECT id FROM delivery WHERE message_id = :id)
  OR id IN (SELECT id FROM report WHERE message_id = :id)

-- drop_attempts --
DELETE FROM attempt WHERE delivery_id IN (SELECT id FROM delivery WHERE message_id = :id)

-- drop_incident_deliveries --
DELETE FROM incident_delivery WHERE delivery_id IN (SELECT id FROM delivery WHERE message_id = :id)

-- drop_reports --
DELETE FROM report WHERE message_id = :id

-- drop_references --
DELETE FROM reference WHERE message_id = :id

-- drop_events --
DELETE FROM event WHERE message_id = :id

-- drop_forgiven --
DELETE FROM forgiven WHERE delivery_id IN (SELECT id FROM delivery WHERE message_id = :id)

-- drop_dsn_due --
DELETE FROM dsn_due WHERE message_id = :id

-- drop_deliveries --
DELETE FROM delivery WHERE message_id = :id

-- drop_message --
DELETE FROM message WHERE id = :id

-- old_refusals --
-- What intake refused long ago; the newest row stays, so that its number is not given again.
DELETE FROM refusal WHERE seq IN (
  SELECT seq FROM refusal WHERE at < :before AND seq < (SELECT MAX(seq) FROM refusal) ORDER BY seq LIMIT :limit
)

-- old_events --
-- What people did that belongs to no message.
DELETE FROM event WHERE seq IN (
  SELECT seq FROM event
  WHERE at < :before AND message_id IS NULL AND seq < (SELECT MAX(seq) FROM event) ORDER BY seq LIMIT :limit
)

-- old_reports --
-- Returned mail that was never found to be about a message of ours.
DELETE FROM report WHERE id IN (SELECT id FROM report WHERE at < :before AND message_id IS NULL LIMIT :limit)

-- old_notices --
DELETE FROM notice WHERE id IN (SELECT id FROM notice WHERE state <> 'open' AND closed_at < :before LIMIT :limit)

-- old_incidents --
DELETE FROM incident WHERE id IN (SELECT id FROM incident WHERE closed_at < :before LIMIT :limit)

-- old_blocks --
-- Blocks that ended long ago; their history is part of the log.
DELETE FROM suppression WHERE id IN (
  SELECT id FROM suppression WHERE lifted_at < :before OR until_at < :before LIMIT :limit
)

-- old_redirects --
DELETE FROM redirect WHERE id IN (
  SELECT id FROM redirect WHERE ended_at < :before OR until_at < :before LIMIT :limit
)

-- old_form_tokens --
DELETE FROM form_token WHERE token IN (SELECT token FROM form_token WHERE used_at < :before LIMIT :limit)

-- old_audit --
-- What people did long ago; the newest row stays, so that its number is not given again.
DELETE FROM audit WHERE seq IN (
  SELECT seq FROM audit WHERE at < :before AND seq < (SELECT MAX(seq) FROM audit) ORDER BY seq LIMIT :limit
)

-- old_sessions --
DELETE FROM session WHERE token_hash IN (
  SELECT token_hash FROM session WHERE seen_at <= :idle_since OR created_at <= :created_since LIMIT :limit
)

-- old_invitations --
DELETE FROM invitation WHERE token_hash IN (
  SELECT token_hash FROM invitation WHERE used_at IS NOT NULL OR expires_at <= :now LIMIT :limit
)

-- old_sign_in_failures --
DELETE FROM sign_in_failure WHERE key IN (
  SELECT key FROM sign_in_failure WHERE at <= :failed_since LIMIT :limit
) AND at <= :failed_since

-- addresses --
-- The next addresses, with whether anything still needs them: a delivery, an error, a block, a notice.
SELECT a.address,
       CASE WHEN a.error_count > 0 OR a.last_delivered_at >= :before
         OR EXISTS (SELECT 1 FROM delivery d WHERE d.address_key = a.address)
         OR EXISTS (SELECT 1 FROM suppression s WHERE s.value = a.address AND s.lifted_at IS NULL)
         OR EXISTS (SELECT 1 FROM notice n WHERE n.address = a.address)
       THEN 1 ELSE 0 END AS is_kept
FROM address a WHERE a.address > :after ORDER BY a.address LIMIT :limit

-- drop_address --
DELETE FROM address WHERE address = :address
