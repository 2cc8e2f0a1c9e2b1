-- raise_known --
-- One more mail that did not arrive, of a problem that was there before: one more in an open notice, or a closed one
-- opened again. A mail that was only held back (:is_proof = 0) does not take the place of the one that is the proof.
UPDATE notice SET
  state = 'open',
  shown = :shown,
  count = CASE WHEN state = 'open' THEN count + 1 ELSE 1 END,
  opened_at = CASE WHEN state = 'open' THEN opened_at ELSE :at END,
  last_at = :at,
  closed_at = NULL,
  delivery_id = CASE WHEN :is_proof = 1 OR state <> 'open' THEN :delivery_id ELSE delivery_id END,
  event_at = CASE WHEN :is_proof = 1 OR state <> 'open' THEN
    (SELECT m.event_at FROM delivery d JOIN message m ON m.id = d.message_id WHERE d.id = :delivery_id)
    ELSE event_at END,
  app = :app,
  assigned = CASE WHEN state = 'open' THEN assigned END,
  by = '',
  note = CASE WHEN state = 'open' THEN note ELSE '' END,
  suggested_at = CASE WHEN state = 'open' THEN suggested_at END
WHERE address = :address AND cause = :cause

-- raise_new --
-- The first mail of a problem; it was another node's first one a moment ago when there is a row by now.
INSERT INTO notice (address, cause, state, shown, count, opened_at, last_at, closed_at, delivery_id, app, assigned, by,
  note, suggestion, suggested_at, event_at)
SELECT :address, :cause, 'open', :shown, 1, :at, :at, NULL, :delivery_id, :app, NULL, '', '', NULL, NULL,
  (SELECT m.event_at FROM delivery d JOIN message m ON m.id = d.message_id WHERE d.id = :delivery_id)
WHERE NOT EXISTS (SELECT 1 FROM notice WHERE address = :address AND cause = :cause)
ON CONFLICT (address, cause) DO UPDATE SET count = notice.count + 1, last_at = excluded.last_at

-- open_on --
-- The open notices of one address with the mail that is their proof, the newest first.
SELECT n.*, d.message_id AS proof_message_id, d.delivered_at AS proof_taken_at
FROM notice n LEFT JOIN delivery d ON d.id = n.delivery_id
WHERE n.address = :address AND n.state = 'open' ORDER BY n.last_at DESC, n.id DESC

-- get --
-- One notice.
SELECT * FROM notice WHERE id = :id

-- close --
-- End an open notice; a note that was there stays unless there is a new one.
UPDATE notice SET state = :state, closed_at = :at, by = :by, note = CASE WHEN :note = '' THEN note ELSE :note END
WHERE id = :id AND state = 'open'

-- reopen --
-- Undo its end.
UPDATE notice SET state = 'open', closed_at = NULL, by = '' WHERE id = :id AND state <> 'open'

-- assign --
-- Who takes it.
UPDATE notice SET assigned = :assigned WHERE id = :id AND state = 'open'

-- annotate --
-- What somebody wants the others to know of it.
UPDATE notice SET note = :note WHERE id = :id

-- to_suggest --
-- Open notices for which nobody has looked for a suggestion, or found none when last looking.
SELECT * FROM notice
WHERE state = 'open' AND (suggested_at IS NULL OR (suggestion IS NULL AND suggested_at < :before))
ORDER BY suggested_at IS NOT NULL, last_at DESC LIMIT :limit

-- suggest --
-- What came of the look.
UPDATE notice SET suggestion = COALESCE(:suggestion, suggestion), suggested_at = :at WHERE id = :id AND state = 'open'

-- mails --
-- The mails that a notice is about: what did not reach its address since it was opened, or may come too late; and the
-- one that was marked as spam.
SELECT d.id, d.message_id, d.status, d.ended_at, m.app, m.subject, m.booking, m.accepted_at FROM delivery d
JOIN message m ON m.id = d.message_id
WHERE d.address_key = :address AND (
    d.ended_at >= :since AND d.status IN ('soft_bounced', 'hard_bounced', 'invalid', 'rejected', 'suppressed')
    OR d.next_at IS NOT NULL AND d.warned_at >= :since
    OR d.id = :proof AND d.marks LIKE '%spam%'
  )
ORDER BY d.seq DESC LIMIT :limit

-- copies --
-- What was made to be sent again, anywhere, of mails that did not reach an address since a time, the newest first.
SELECT d.id AS original, r.id, r.message_id, r.address, r.status, r.created_at
FROM delivery d JOIN delivery r ON r.message_id = d.message_id AND r.resend_of = COALESCE(d.resend_of, d.id)
WHERE d.address_key = :address AND d.ended_at >= :since AND r.seq > d.seq
  AND d.status IN ('soft_bounced', 'hard_bounced', 'invalid', 'rejected', 'suppressed', 'cancelled')
ORDER BY r.seq DESC LIMIT :limit

-- missing --
-- A mail that did not reach an address since a time and that no copy sent elsewhere has made up for.
SELECT d.id FROM delivery d
WHERE d.address_key = :address AND d.ended_at >= :since
  AND d.status IN ('soft_bounced', 'hard_bounced', 'invalid', 'rejected', 'suppressed')
  AND NOT EXISTS (SELECT 1 FROM delivery r WHERE r.message_id = d.message_id AND r.status = 'delivered'
    AND r.resend_of = COALESCE(d.resend_of, d.id))
LIMIT 1

-- address_of --
-- Where a delivery went.
SELECT address_key FROM delivery WHERE id = :id

-- delivery --
-- The mail that is a notice's proof.
SELECT * FROM delivery WHERE id = :id

-- message --
-- Its message.
SELECT m.* FROM message m JOIN delivery d ON d.message_id = m.id WHERE d.id = :id

-- relatives --
-- Other addresses that took mail for the same booking or customer, alone; those of the same customer first.
SELECT d.address, d.address_key, d.name, m.header_from,
  MAX(CASE WHEN r.kind = 'customer' THEN 1 ELSE 0 END) AS is_same_customer
FROM reference own
JOIN reference r ON r.value_key = own.value_key AND r.kind = own.kind
JOIN message m ON m.id = r.message_id
JOIN delivery d ON d.message_id = m.id
WHERE own.message_id = :message_id AND own.kind IN ('booking', 'customer')
  AND d.status = 'delivered' AND d.address_key <> :address AND d.intended IS NULL
  AND NOT EXISTS (SELECT 1 FROM delivery e WHERE e.message_id = m.id AND e.id <> d.id AND e.resend_of IS NULL
    AND d.resend_of IS NULL)
GROUP BY d.address, d.address_key, d.name, m.header_from
ORDER BY MAX(CASE WHEN r.kind = 'customer' THEN 1 ELSE 0 END) DESC, MAX(d.delivered_at) DESC LIMIT 5
