-- insert_message --
-- One submission.
INSERT INTO message (
  id, accepted_at, app, mail_from, header_from, from_name, reply_to, subject, message_id, size, kind, booking, customer,
  phone, expires_at, event_at, listener, client_ip, helo, auth_user, tls, is_8bit, is_smtputf8, ret, envid, repairs,
  duplicate_of, store_content
) VALUES (
  :id, :accepted_at, :app, :mail_from, :header_from, :from_name, :reply_to, :subject, :message_id, :size, :kind,
  :booking, :customer, :phone, :expires_at, :event_at, :listener, :client_ip, :helo, :auth_user, :tls, :is_8bit,
  :is_smtputf8, :ret, :envid, :repairs, :duplicate_of, :store_content
)

-- insert_delivery --
-- One message for one recipient.
INSERT INTO delivery (
  id, message_id, address, address_key, domain, name, intended, status, category, blame, rule, attempts, created_at,
  next_at, lease_owner, waits_for_site, held, code, enhanced, reply, mx, delivered_at, ended_at, resend_of, form,
  notify, orcpt, dsn, by, is_unknown, marks
) VALUES (
  :id, :message_id, :address, :address_key, :domain, :name, :intended, :status, :category, :blame, :rule, :attempts,
  :created_at, :next_at, NULL, 0, :held, :code, :enhanced, :reply, :mx, :delivered_at, :ended_at, :resend_of, :form,
  :notify, :orcpt, :dsn, :by, :is_unknown, :marks
)

-- insert_reference --
-- A booking, customer … found in the mail.
INSERT INTO reference (message_id, kind, value, value_key, source, rule, confidence)
VALUES (:message_id, :kind, :value, :value_key, :source, :rule, :confidence)

-- before_accept --
-- In one look: the first message of the app with the same Message-ID, not older than :since; whether any address is
-- redirected.
SELECT
  (SELECT id FROM message
   WHERE message_id = :message_id AND message_id <> '' AND app = :app AND accepted_at >= :since
   ORDER BY seq LIMIT 1) AS earlier,
  EXISTS (SELECT 1 FROM redirect WHERE ended_at IS NULL AND (until_at IS NULL OR until_at > :now)) AS has_redirects

-- message --
-- One message by its id.
SELECT * FROM message WHERE id = :id

-- delivery --
-- One delivery by its id.
SELECT * FROM delivery WHERE id = :id

-- deliveries_of --
-- All deliveries of one message, oldest first.
SELECT * FROM delivery WHERE message_id = :message_id ORDER BY seq

-- put_content --
-- The raw mail of a message, or of one resend.
INSERT INTO content (id, encoding, checksum, raw) VALUES (:id, :encoding, :checksum, :raw)

-- content --
-- A raw mail.
SELECT id, encoding, checksum, raw FROM content WHERE id = :id

-- has_content --
-- Whether a raw mail is kept.
SELECT 1 AS yes FROM content WHERE id = :id

-- lock_message --
-- Let two who end or add deliveries of one message do so one after the other, where several may write at once.
UPDATE message SET store_content = store_content WHERE id = :message_id

-- drop_content --
-- The raw mail of a message whose deliveries have all ended, with those of its resends.
DELETE FROM content
WHERE (id = :message_id OR id IN (SELECT id FROM delivery WHERE message_id = :message_id AND resend_of IS NOT NULL))
  AND NOT EXISTS (SELECT 1 FROM delivery WHERE message_id = :message_id AND next_at IS NOT NULL)
  AND NOT EXISTS (SELECT 1 FROM dsn_due WHERE message_id = :message_id)

-- mark_sent --
-- The content has left us and its answer takes long; the lease goes on until the answer is there.
UPDATE delivery SET status = 'sent'
WHERE id = :id AND lease_owner = :owner AND status IN ('queued', 'deferred')

-- take_over --
-- Leases that ran out (:now), or every lease (:everyone = 1): nobody works on these any more.
UPDATE delivery SET lease_owner = NULL, next_at = :now, is_unknown = 1,
  status = CASE WHEN status <> 'sent' THEN status WHEN attempts = 0 THEN 'queued' ELSE 'deferred' END
WHERE lease_owner IS NOT NULL AND (next_at <= :now OR :everyone = 1)
RETURNING id, message_id, lease_owner

-- take_over_from --
-- The leases of one process that died.
UPDATE delivery SET lease_owner = NULL, next_at = :now, is_unknown = 1,
  status = CASE WHEN status <> 'sent' THEN status WHEN attempts = 0 THEN 'queued' ELSE 'deferred' END
WHERE lease_owner = :owner
RETURNING id, message_id, lease_owner

-- release_owner --
-- All leases of one process that stops in order.
UPDATE delivery SET lease_owner = NULL, next_at = :now,
  status = CASE WHEN status <> 'sent' THEN status WHEN attempts = 0 THEN 'queued' ELSE 'deferred' END
WHERE lease_owner = :owner

-- next_due --
-- When there will be something to do: new, due again, a lease that runs out, a pause that ends.
SELECT MIN(due) AS due_at FROM (
  SELECT MIN(next_at) AS due FROM delivery
  WHERE next_at IS NOT NULL AND held IS NULL AND lease_owner IS NULL AND attempts = 0
  UNION ALL
  SELECT MIN(next_at) FROM delivery
  WHERE next_at IS NOT NULL AND held IS NULL AND lease_owner IS NULL AND attempts > 0
  UNION ALL
  SELECT MIN(next_at) FROM delivery WHERE lease_owner IS NOT NULL
  UNION ALL
  SELECT MIN(until_at) FROM pause
) AS everything
