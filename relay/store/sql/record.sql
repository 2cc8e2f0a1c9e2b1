-- has_attempt --
-- Whether this very try is recorded.
SELECT 1 AS yes FROM attempt
WHERE delivery_id = :delivery_id AND number = :number AND started_at = :started_at LIMIT 1

-- insert_attempt --
-- One try at one host.
INSERT INTO attempt (
  delivery_id, number, started_at, took_ms, mx, ip, source, tls, tls_decision, stage, code, enhanced, text, class,
  category, blame, rule, timings, conversation, is_unknown, reused
) VALUES (
  :delivery_id, :number, :started_at, :took_ms, :mx, :ip, :source, :tls, :tls_decision, :stage, :code, :enhanced,
  :text, :class, :category, :blame, :rule, :timings, :conversation, :is_unknown, :reused
)

-- update_delivery --
-- Where the delivery stands now; zero rows when its status is no longer :old_status.
UPDATE delivery SET
  status = :status, category = :category, blame = :blame, rule = :rule, attempts = :attempts, next_at = :next_at,
  lease_owner = NULL, waits_for_site = 0, held = CASE WHEN :next_at IS NULL THEN NULL ELSE held END,
  code = :code, enhanced = :enhanced, reply = :reply, mx = COALESCE(:mx, mx), delivered_at = COALESCE(:delivered_at, delivered_at),
  ended_at = :ended_at, is_unknown = CASE WHEN :is_unknown = 1 THEN 1 ELSE is_unknown END
WHERE id = :id AND status = :old_status

-- save_address --
-- What is known about an address after a delivery ended or was tried; the counter only grows here.
INSERT INTO address (
  address, shown, error_count, last_error_at, last_category, last_reply, last_delivery_id, last_delivered_at, name,
  phone, customer
) VALUES (
  :address, :shown, :added, :last_error_at, :last_category, :last_reply, :last_delivery_id, :last_delivered_at, :name,
  :phone, :customer
)
ON CONFLICT (address) DO UPDATE SET
  shown = excluded.shown,
  error_count = address.error_count + excluded.error_count,
  last_error_at = COALESCE(excluded.last_error_at, address.last_error_at),
  last_category = CASE WHEN excluded.last_error_at IS NULL THEN address.last_category ELSE excluded.last_category END,
  last_reply = CASE WHEN excluded.last_error_at IS NULL THEN address.last_reply ELSE excluded.last_reply END,
  last_delivery_id =
    CASE WHEN excluded.last_error_at IS NULL THEN address.last_delivery_id ELSE excluded.last_delivery_id END,
  last_delivered_at = COALESCE(excluded.last_delivered_at, address.last_delivered_at),
  name = CASE WHEN excluded.name = '' THEN address.name ELSE excluded.name END,
  phone = COALESCE(excluded.phone, address.phone),
  customer = COALESCE(excluded.customer, address.customer)

-- save_domain --
-- A domain took mail.
INSERT INTO domain (domain, last_delivered_at) VALUES (:domain, :at)
ON CONFLICT (domain) DO UPDATE SET last_delivered_at = excluded.last_delivered_at
