-- claim_fresh --
-- Lease the oldest due deliveries that were never tried; those another node is just taking are left to it.
UPDATE delivery SET lease_owner = :owner, next_at = :until
WHERE lease_owner IS NULL AND seq = ANY (ARRAY(
  SELECT seq FROM delivery
  WHERE next_at IS NOT NULL AND held IS NULL AND lease_owner IS NULL AND attempts = 0 AND next_at <= :now
  ORDER BY next_at LIMIT :limit FOR UPDATE SKIP LOCKED
))
RETURNING *

-- claim_due --
-- Lease the oldest due deliveries that were tried before.
UPDATE delivery SET lease_owner = :owner, next_at = :until
WHERE lease_owner IS NULL AND seq = ANY (ARRAY(
  SELECT seq FROM delivery
  WHERE next_at IS NOT NULL AND held IS NULL AND lease_owner IS NULL AND attempts > 0 AND next_at <= :now
  ORDER BY next_at LIMIT :limit FOR UPDATE SKIP LOCKED
))
RETURNING *

-- claim_siblings --
-- Lease the due deliveries that share message and domain with one just claimed (:ids), so that they go together.
UPDATE delivery SET lease_owner = :owner, next_at = :until
WHERE lease_owner IS NULL AND seq = ANY (ARRAY(
  -- By the messages, whatever the planner believes: a join may walk through all that waits, for each claimed row.
  SELECT sibling.seq FROM delivery AS sibling
  WHERE sibling.message_id = ANY (ARRAY(
    SELECT message_id FROM delivery WHERE id = ANY (ARRAY(SELECT json_array_elements_text(:ids::json)))
  ))
    AND sibling.lease_owner IS NULL AND sibling.held IS NULL AND sibling.next_at <= :now
    AND (sibling.message_id, sibling.domain) IN (
      SELECT message_id, domain FROM delivery WHERE id = ANY (ARRAY(SELECT json_array_elements_text(:ids::json)))
    )
  LIMIT 100 FOR UPDATE OF sibling SKIP LOCKED
))
RETURNING *

-- messages --
-- The messages of a JSON list of ids.
SELECT * FROM message WHERE id = ANY (ARRAY(SELECT json_array_elements_text(:ids::json)))

-- contents --
-- The raw mails of a JSON list of ids.
SELECT id, encoding, checksum, raw FROM content WHERE id = ANY (ARRAY(SELECT json_array_elements_text(:ids::json)))

-- renew --
-- Keep leases; those that are not returned are no longer ours.
UPDATE delivery SET next_at = :until
WHERE lease_owner = :owner AND id = ANY (ARRAY(SELECT json_array_elements_text(:ids::json)))
RETURNING id

-- release --
-- Give leases back unused.
UPDATE delivery SET lease_owner = NULL, next_at = :next_at, waits_for_site = :waits_for_site,
  status = CASE WHEN status <> 'sent' THEN status WHEN attempts = 0 THEN 'queued' ELSE 'deferred' END
WHERE lease_owner = :owner AND id = ANY (ARRAY(SELECT json_array_elements_text(:ids::json)))

-- hold_claimed --
-- Give leases back and hold them.
UPDATE delivery SET lease_owner = NULL, held = :held,
  status = CASE WHEN status <> 'sent' THEN status WHEN attempts = 0 THEN 'queued' ELSE 'deferred' END
WHERE lease_owner = :owner AND id = ANY (ARRAY(SELECT json_array_elements_text(:ids::json)))

-- wake_site --
-- Make due what waited for a site that works again.
UPDATE delivery SET next_at = :now, waits_for_site = 0
WHERE next_at IS NOT NULL AND waits_for_site = 1 AND lease_owner IS NULL
  AND domain = ANY (ARRAY(SELECT json_array_elements_text(:domains::json)))

-- thread_bookings --
-- The bookings of the messages a reply or follow-up refers to (:ids are Message-IDs).
SELECT DISTINCT message.booking FROM json_array_elements_text(:ids::json) AS wanted (value)
JOIN message ON message.message_id = wanted.value AND message.message_id <> ''
WHERE message.app = :app AND message.booking IS NOT NULL
LIMIT 2

-- insert_delivery --
-- One message for one recipient; the search index takes it in later.
WITH made AS (
  INSERT INTO delivery (
    id, message_id, address, address_key, domain, name, intended, status, category, blame, rule, attempts, created_at,
    next_at, lease_owner, waits_for_site, held, code, enhanced, reply, mx, delivered_at, ended_at, resend_of, form,
    notify, orcpt, dsn, by, is_unknown, marks
  ) VALUES (
    :id, :message_id, :address, :address_key, :domain, :name, :intended, :status, :category, :blame, :rule, :attempts,
    :created_at, :next_at, NULL, 0, :held, :code, :enhanced, :reply, :mx, :delivered_at, :ended_at, :resend_of, :form,
    :notify, :orcpt, :dsn, :by, :is_unknown, :marks
  ) RETURNING seq
)
INSERT INTO search_pending (seq) SELECT seq FROM made

-- take_over --
-- Leases that ran out (:now), or every lease (:everyone = 1); those another node is just taking over are left to it.
UPDATE delivery SET lease_owner = NULL, next_at = :now, is_unknown = 1,
  status = CASE WHEN status <> 'sent' THEN status WHEN attempts = 0 THEN 'queued' ELSE 'deferred' END
WHERE seq = ANY (ARRAY(
  SELECT seq FROM delivery
  WHERE lease_owner IS NOT NULL AND (next_at <= :now OR :everyone = 1)
  FOR UPDATE SKIP LOCKED
))
RETURNING id, message_id, lease_owner
