-- claim_fresh --
-- Lease the oldest due deliveries that were never tried.
UPDATE delivery SET lease_owner = :owner, next_at = :until
WHERE lease_owner IS NULL AND seq IN (
  SELECT seq FROM delivery
  WHERE next_at IS NOT NULL AND held IS NULL AND lease_owner IS NULL AND attempts = 0 AND next_at <= :now
  ORDER BY next_at LIMIT :limit
)
RETURNING *

-- claim_due --
-- Lease the oldest due deliveries that were tried before.
UPDATE delivery SET lease_owner = :owner, next_at = :until
WHERE lease_owner IS NULL AND seq IN (
  SELECT seq FROM delivery
  WHERE next_at IS NOT NULL AND held IS NULL AND lease_owner IS NULL AND attempts > 0 AND next_at <= :now
  ORDER BY next_at LIMIT :limit
)
RETURNING *

-- claim_siblings --
-- Lease the due deliveries that share message and domain with one just claimed (:ids), so that they go together.
UPDATE delivery SET lease_owner = :owner, next_at = :until
WHERE lease_owner IS NULL AND seq IN (
  SELECT sibling.seq FROM json_each(:ids) AS claimed
  JOIN delivery AS own ON own.id = claimed.value
  -- The plus keeps SQLite from walking through all that waits for the domain, once for each claimed row.
  JOIN delivery AS sibling ON sibling.message_id = own.message_id AND +sibling.domain = own.domain
  WHERE sibling.lease_owner IS NULL AND sibling.held IS NULL AND sibling.next_at <= :now
  LIMIT 100
)
RETURNING *

-- messages --
-- The messages of a JSON list of ids.
SELECT message.* FROM json_each(:ids) AS wanted JOIN message ON message.id = wanted.value

-- contents --
-- The raw mails of a JSON list of ids.
SELECT id, encoding, checksum, raw FROM content WHERE id IN (SELECT value FROM json_each(:ids))

-- renew --
-- Keep leases; those that are not returned are no longer ours.
UPDATE delivery SET next_at = :until
WHERE lease_owner = :owner AND id IN (SELECT value FROM json_each(:ids))
RETURNING id

-- release --
-- Give leases back unused.
UPDATE delivery SET lease_owner = NULL, next_at = :next_at, waits_for_site = :waits_for_site,
  status = CASE WHEN status <> 'sent' THEN status WHEN attempts = 0 THEN 'queued' ELSE 'deferred' END
WHERE lease_owner = :owner AND id IN (SELECT value FROM json_each(:ids))

-- hold_claimed --
-- Give leases back and hold them.
UPDATE delivery SET lease_owner = NULL, held = :held,
  status = CASE WHEN status <> 'sent' THEN status WHEN attempts = 0 THEN 'queued' ELSE 'deferred' END
WHERE lease_owner = :owner AND id IN (SELECT value FROM json_each(:ids))

-- wake_site --
-- Make due what waited for a site that works again.
UPDATE delivery SET next_at = :now, waits_for_site = 0
WHERE next_at IS NOT NULL AND waits_for_site = 1 AND lease_owner IS NULL
  AND domain IN (SELECT value FROM json_each(:domains))

-- thread_bookings --
-- The bookings of the messages a reply or follow-up refers to (:ids are Message-IDs).
SELECT DISTINCT message.booking FROM json_each(:ids) AS wanted
JOIN message ON message.message_id = wanted.value AND message.message_id <> ''
WHERE message.app = :app AND message.booking IS NOT NULL
LIMIT 2
