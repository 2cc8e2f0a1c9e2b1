-- subject --
-- The delivery that a report is about; nobody else changes it until this is decided.
SELECT d.id, d.message_id, d.address, d.address_key, d.status, d.attempts, d.marks, d.created_at, d.delivered_at,
       d.ended_at, d.code, d.enhanced, d.reply, d.dsn, m.store_content, m.app
FROM delivery d JOIN message m ON m.id = d.message_id
WHERE d.id = :id
FOR UPDATE OF d
