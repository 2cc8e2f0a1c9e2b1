-- open_without_time --
-- Open deliveries that would never be claimed, and ended ones that would be.
SELECT id AS subject, status AS detail FROM delivery
WHERE (status IN ('queued', 'deferred') OR status = 'sent' AND lease_owner IS NOT NULL) <> (next_at IS NOT NULL)
LIMIT :limit

-- leased_but_ended --
-- Ended deliveries that still have a lease.
SELECT id AS subject, status AS detail FROM delivery WHERE lease_owner IS NOT NULL AND next_at IS NULL LIMIT :limit

-- unknown_status --
-- Words that are no status.
SELECT id AS subject, status AS detail FROM delivery
WHERE status NOT IN (
  'queued', 'sent', 'deferred', 'delivered', 'soft_bounced', 'hard_bounced', 'invalid', 'rejected', 'suppressed',
  'cancelled'
) LIMIT :limit

-- open_without_content --
-- Mail that waits but cannot be sent.
SELECT d.id AS subject, d.message_id AS detail FROM delivery d
WHERE d.next_at IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM content c WHERE c.id = d.message_id)
  AND NOT EXISTS (SELECT 1 FROM content c WHERE c.id = d.id)
LIMIT :limit

-- delivery_without_message --
-- Deliveries of nothing.
SELECT d.id AS subject, d.message_id AS detail FROM delivery d
WHERE NOT EXISTS (SELECT 1 FROM message m WHERE m.id = d.message_id) LIMIT :limit

-- message_without_delivery --
-- Messages for nobody: an accepted recipient is missing.
SELECT m.id AS subject, m.app AS detail FROM message m
WHERE NOT EXISTS (SELECT 1 FROM delivery d WHERE d.message_id = m.id) LIMIT :limit

-- attempt_without_delivery --
-- Attempts of nothing.
SELECT a.delivery_id AS subject, CAST(a.seq AS TEXT) AS detail FROM attempt a
WHERE NOT EXISTS (SELECT 1 FROM delivery d WHERE d.id = a.delivery_id) LIMIT :limit

-- reference_without_message --
-- Bookings of nothing.
SELECT r.message_id AS subject, r.value AS detail FROM reference r
WHERE NOT EXISTS (SELECT 1 FROM message m WHERE m.id = r.message_id) LIMIT :limit

-- content_without_message --
-- Raw mail of nothing.
SELECT c.id AS subject, c.encoding AS detail FROM content c
WHERE NOT EXISTS (SELECT 1 FROM message m WHERE m.id = c.id) AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.id = c.id)
  AND NOT EXISTS (SELECT 1 FROM report r WHERE r.id = c.id)
LIMIT :limit

-- delivered_without_time --
-- Delivered, but nobody knows when.
SELECT id AS subject, status AS detail FROM delivery
WHERE (status = 'delivered' AND delivered_at IS NULL) OR (next_at IS NULL AND ended_at IS NULL) LIMIT :limit

-- contents --
-- The next raw mails, to read each once.
SELECT id FROM content WHERE id > :after ORDER BY id LIMIT :limit

-- content_count --
-- How many raw mails there are.
SELECT COUNT(*) AS count FROM content
