-- subject --
-- The delivery that a report is about.
SELECT d.id, d.message_id, d.address, d.address_key, d.status, d.attempts, d.marks, d.created_at, d.delivered_at,
       d.ended_at, d.code, d.enhanced, d.reply, d.dsn, m.store_content, m.app
FROM delivery d JOIN message m ON m.id = d.message_id
WHERE d.id = :id

-- known --
-- When a delivery came to be, and how much came back for it.
SELECT d.created_at, (SELECT COUNT(*) FROM report r WHERE r.message_id = d.message_id AND r.delivery_id = d.id) AS reports
FROM delivery d WHERE d.id = :id

-- by_message_id --
-- The deliveries of the mails with this Message-ID, newest first.
SELECT d.id, d.address_key FROM message m JOIN delivery d ON d.message_id = m.id
WHERE m.message_id = :message_id AND m.message_id <> '' AND m.accepted_at >= :since
ORDER BY d.seq DESC LIMIT 1000

-- looked_into --
-- When a person last looked into an address and let mail to it flow again.
SELECT MAX(at) AS looked_at FROM event WHERE address = :address AND kind IN ('reset', 'unblock') AND by <> ''

-- insert --
-- A returned mail; no row when it is known already.
INSERT INTO report (
  id, at, digest, kind, found_by, is_read, delivery_id, message_id, address, class, category, rule, status, reply,
  mail_from, subject
) VALUES (
  :id, :at, :digest, :kind, :found_by, :is_read, :delivery_id, :message_id, :address, :class, :category, :rule,
  :status, :reply, :mail_from, :subject
)
ON CONFLICT (digest) DO NOTHING
RETURNING id

-- mark --
-- The marks beside a delivery's status.
UPDATE delivery SET marks = :marks WHERE id = :id

-- get --
-- One report.
SELECT * FROM report WHERE id = :id

-- of_delivery --
-- What came back for one delivery, oldest first.
SELECT r.* FROM report r JOIN delivery d ON d.message_id = r.message_id
WHERE d.id = :id AND r.delivery_id = d.id ORDER BY r.at, r.id

-- of_message --
-- What came back for one message, oldest first.
SELECT * FROM report WHERE message_id = :id ORDER BY at, id

-- unread --
-- What a person has to look at, newest first.
SELECT * FROM report WHERE is_read = 0 ORDER BY at DESC, id DESC LIMIT :limit

-- newest --
-- What came back last.
SELECT * FROM report ORDER BY id DESC LIMIT :limit

-- close --
-- A person has looked at it.
UPDATE report SET is_read = 1 WHERE id = :id AND is_read = 0
