-- touch --
-- The open incident of this kind; no row when there is none.
UPDATE incident SET last_at = :at WHERE kind = :kind AND domain = :domain AND app = :app AND closed_at IS NULL
RETURNING *

-- join --
-- A new incident of this kind, or the one that another node opened meanwhile.
INSERT INTO incident (kind, domain, app, category, rule, reply, count, since_at, last_at, paused_at, closed_at, by, note)
VALUES (:kind, :domain, :app, :category, :rule, :reply, 0, :at, :at, NULL, NULL, '', '')
ON CONFLICT (kind, domain, app) WHERE closed_at IS NULL DO UPDATE SET last_at = excluded.last_at
RETURNING *

-- add --
-- One more delivery in it; zero rows when it was in it before.
INSERT INTO incident_delivery (incident_id, delivery_id, at, is_counted, resent_at)
VALUES (:id, :delivery_id, :at, 0, NULL)
ON CONFLICT (incident_id, delivery_id) DO NOTHING

-- count_one --
-- It grew.
UPDATE incident SET count = count + 1 WHERE id = :id

-- mark_counted --
-- This one raised its address's error counter.
UPDATE incident_delivery SET is_counted = 1 WHERE incident_id = :id AND delivery_id = :delivery_id

-- recent --
-- How many came since a time; no more than :most are counted.
SELECT COUNT(*) AS recent FROM (
  SELECT 1 FROM incident_delivery WHERE incident_id = :id AND at > :since LIMIT :most
) AS few

-- mark_paused --
-- It stopped what it is about.
UPDATE incident SET paused_at = :at WHERE id = :id

-- forgive --
-- Note that they are no errors of their addresses.
INSERT INTO forgiven (delivery_id, at)
SELECT delivery_id, :now FROM incident_delivery WHERE incident_id = :id AND is_counted = 1
ON CONFLICT (delivery_id) DO NOTHING

-- take_back_errors --
-- Take back what its deliveries added to error counters.
UPDATE address SET error_count = CASE WHEN error_count > own.errors THEN error_count - own.errors ELSE 0 END
FROM (
  SELECT d.address_key AS key, COUNT(*) AS errors FROM incident_delivery i JOIN delivery d ON d.id = i.delivery_id
  WHERE i.incident_id = :id AND i.is_counted = 1
    AND NOT EXISTS (SELECT 1 FROM forgiven f WHERE f.delivery_id = i.delivery_id)
  GROUP BY d.address_key
) AS own
WHERE address.address = own.key

-- take_back_blocks --
-- Lift the automatic blocks that its deliveries caused.
UPDATE suppression SET lifted_at = :now, lifted_by = :by, lifted_note = :note
WHERE lifted_at IS NULL AND source = 'automatic' AND since_at >= :since
  AND delivery_id IN (SELECT delivery_id FROM incident_delivery WHERE incident_id = :id AND is_counted = 1)

-- forget_counted --
-- What was taken back is taken back once.
UPDATE incident_delivery SET is_counted = 0 WHERE incident_id = :id AND is_counted = 1

-- get --
-- One incident.
SELECT * FROM incident WHERE id = :id

-- list --
-- The open ones, or all, the newest first.
SELECT * FROM incident WHERE closed_at IS NULL OR :with_closed = 1 ORDER BY id DESC LIMIT :limit

-- close --
-- End it.
UPDATE incident SET closed_at = :now, by = :by, note = :note WHERE id = :id AND closed_at IS NULL

-- deliveries --
-- What is in it, the newest first.
SELECT d.id, d.message_id, d.address, d.status, d.ended_at, d.code, d.reply, i.at, i.resent_at, m.app, m.subject, m.booking
FROM incident_delivery i JOIN delivery d ON d.id = i.delivery_id JOIN message m ON m.id = d.message_id
WHERE i.incident_id = :id ORDER BY i.at DESC, d.seq DESC LIMIT :limit

-- apps --
-- Whose mail is in it.
SELECT DISTINCT m.app FROM incident_delivery i JOIN delivery d ON d.id = i.delivery_id
JOIN message m ON m.id = d.message_id WHERE i.incident_id = :id

-- to_resend --
-- What failed in it and has not been sent again: of one mail and recipient only the newest failure, and none of which
-- a copy arrived or is under way.
SELECT d.id FROM incident_delivery i JOIN delivery d ON d.id = i.delivery_id
WHERE i.incident_id = :id AND i.resent_at IS NULL AND (:only = '' OR i.delivery_id = :only)
  AND d.status IN ('soft_bounced', 'hard_bounced', 'invalid', 'rejected')
  AND NOT EXISTS (
    SELECT 1 FROM delivery o WHERE o.message_id = d.message_id AND o.id <> d.id
      AND COALESCE(o.resend_of, o.id) = COALESCE(d.resend_of, d.id)
      AND (o.status IN ('delivered', 'sent', 'queued', 'deferred') OR (o.seq > d.seq AND o.id IN (
        SELECT delivery_id FROM incident_delivery WHERE incident_id = :id)))
  )
ORDER BY d.seq

-- mark_resent --
-- Claim the right to send one again; zero rows when somebody was quicker.
UPDATE incident_delivery SET resent_at = :now
WHERE incident_id = :id AND delivery_id = :delivery_id AND resent_at IS NULL

-- waiting --
-- How many open deliveries its pause holds.
SELECT COUNT(*) AS waiting FROM delivery WHERE next_at IS NOT NULL AND held = :held

-- ended_resolver --
-- Incidents of our name servers none of whose mail is still to be sent.
SELECT i.* FROM incident i WHERE i.closed_at IS NULL AND i.kind = 'resolver' AND i.last_at < :before AND NOT EXISTS (
  SELECT 1 FROM incident_delivery x JOIN delivery d ON d.id = x.delivery_id
  WHERE x.incident_id = i.id AND d.next_at IS NOT NULL
)
