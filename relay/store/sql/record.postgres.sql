-- subject --
-- All that deciding about one delivery needs, in one look; nobody else changes the delivery until this is decided.
SELECT d.status, d.lease_owner, d.address, d.address_key, d.domain, d.name, d.message_id,
       m.app, m.store_content, m.phone, m.customer,
       a.address AS known, a.error_count, a.last_delivered_at, a.name AS known_name, a.phone AS known_phone,
       a.customer AS known_customer, o.last_delivered_at AS domain_delivered_at
FROM delivery d
JOIN message m ON m.id = d.message_id
LEFT JOIN address a ON a.address = d.address_key
LEFT JOIN domain o ON o.domain = d.domain
WHERE d.id = :id
FOR UPDATE OF d
