-- messages --
-- What the mails of a booking say of it: its time, and the customer's phone.
SELECT m.id, m.app, m.event_at, m.phone, m.customer FROM message m
WHERE m.id IN (SELECT message_id FROM reference WHERE value_key = :booking AND kind = 'booking')
ORDER BY m.seq DESC LIMIT 200

-- found --
-- Where the number of a booking was found.
SELECT message_id, value, source, rule FROM reference WHERE value_key = :booking AND kind = 'booking'
ORDER BY seq DESC LIMIT 200

-- kinds --
-- For how many bookings of an app each kind of mail came, among the newest mail there is.
SELECT m.kind, COUNT(DISTINCT m.booking) AS bookings FROM message m
WHERE m.seq > (SELECT COALESCE(MAX(seq), 0) FROM message) - :newest AND m.app = :app AND m.booking IS NOT NULL
GROUP BY m.kind

-- bookings_of_app --
-- How many bookings of an app have mail, among the newest mail there is.
SELECT COUNT(DISTINCT m.booking) AS bookings FROM message m
WHERE m.seq > (SELECT COALESCE(MAX(seq), 0) FROM message) - :newest AND m.app = :app AND m.booking IS NOT NULL

-- beginning_with --
-- Bookings from :low up to :high, with the app each came from.
SELECT r.value_key, MAX(r.value) AS value, m.app FROM reference r JOIN message m ON m.id = r.message_id
WHERE r.value_key >= :low AND r.value_key < :high AND r.kind = 'booking'
GROUP BY r.value_key, m.app ORDER BY r.value_key LIMIT 500
