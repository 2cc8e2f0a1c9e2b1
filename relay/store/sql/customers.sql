-- of_number --
-- The addresses that take mail under a customer number, in the apps that gave that number to one of them.
SELECT DISTINCT a.address FROM reference r
JOIN message m ON m.id = r.message_id
JOIN delivery d ON d.message_id = m.id
JOIN address a ON a.address = d.address_key
WHERE r.value_key = :number_key AND r.kind = 'customer' AND a.customer = :number
  AND m.app IN (
    SELECT m2.app FROM reference r2
    JOIN message m2 ON m2.id = r2.message_id
    JOIN delivery d2 ON d2.message_id = m2.id
    WHERE r2.value_key = :number_key AND r2.kind = 'customer' AND d2.address_key = :address
  )
ORDER BY a.address LIMIT 20
