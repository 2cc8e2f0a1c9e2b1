-- message_of --
-- The message that an id names, as a message or as a delivery.
SELECT * FROM message WHERE id = :id
UNION ALL
SELECT m.* FROM delivery d JOIN message m ON m.id = d.message_id WHERE d.id = :id
LIMIT 1

-- attempts_of --
-- All attempts of one message's deliveries, oldest first.
SELECT a.* FROM attempt a JOIN delivery d ON d.id = a.delivery_id WHERE d.message_id = :message_id ORDER BY a.seq

-- references_of --
-- What was found in one message.
SELECT * FROM reference WHERE message_id = :message_id ORDER BY seq

-- time_bounds --
-- The first and last row of the log made between two times.
SELECT MIN(seq) AS low, MAX(seq) AS high FROM delivery WHERE created_at >= :since AND created_at < :until

-- ends --
-- The first and last row of the log.
SELECT COALESCE((SELECT MIN(seq) FROM delivery), 1) AS low, COALESCE((SELECT MAX(seq) FROM delivery), 0) AS high,
       (SELECT created_at FROM delivery ORDER BY seq LIMIT 1) AS first_at,
       (SELECT created_at FROM delivery ORDER BY seq DESC LIMIT 1) AS last_at

-- changed --
-- The deliveries that are new, were tried, or have a new event since a position and up to another.
SELECT d.seq FROM delivery d WHERE d.seq > :delivery AND d.seq <= :delivery_to
UNION
SELECT d.seq FROM attempt a JOIN delivery d ON d.id = a.delivery_id WHERE a.seq > :attempt AND a.seq <= :attempt_to
UNION
SELECT d.seq FROM event e JOIN delivery d ON d.id = e.delivery_id WHERE e.seq > :event AND e.seq <= :event_to
ORDER BY 1 LIMIT :limit

-- booking_dates --
-- When the first message of all was accepted: older bookings cannot have entries.
SELECT MIN(accepted_at) AS first_at FROM message WHERE seq = (SELECT MIN(seq) FROM message)
