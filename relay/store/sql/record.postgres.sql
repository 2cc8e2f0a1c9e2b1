-- subjects --
-- All that deciding about deliveries (a JSON list of ids) needs, in one look; is_only: the message has no other one.
-- Nobody else changes them until this is decided; in one order for all, so that no two wait for each other.
SELECT d.id, d.status, d.lease_owner, d.address, d.address_key, d.domain, d.name, d.message_id, d.resend_of, d.dsn,
       d.warned_at,
       EXISTS (SELECT 1 FROM notice n WHERE n.address = d.address_key AND n.state = 'open') AS has_notice,
       m.app, m.store_content, m.phone, m.customer,
       NOT EXISTS (SELECT 1 FROM delivery e WHERE e.message_id = d.message_id AND e.id <> d.id) AS is_only,
       a.address AS known, a.error_count, a.last_delivered_at, a.name AS known_name, a.phone AS known_phone,
       a.customer AS known_customer, o.last_delivered_at AS domain_delivered_at
FROM delivery d
JOIN message m ON m.id = d.message_id
LEFT JOIN address a ON a.address = d.address_key
LEFT JOIN domain o ON o.domain = d.domain
WHERE d.id = ANY (ARRAY(SELECT json_array_elements_text(:ids::json)))
ORDER BY d.seq
FOR UPDATE OF d
