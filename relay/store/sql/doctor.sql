-- senders --
-- Who sent the newest messages, and what kinds; the busiest first.
SELECT app, header_from, mail_from, kind, COUNT(*) AS count, MAX(id) AS newest
FROM (SELECT app, header_from, mail_from, kind, id FROM message ORDER BY seq DESC LIMIT :limit) AS recent
GROUP BY app, header_from, mail_from, kind ORDER BY count DESC, newest DESC

-- oldest --
-- The first delivery that is kept.
SELECT seq, created_at FROM delivery ORDER BY seq LIMIT 1

-- newest --
-- The last delivery there is.
SELECT seq, created_at FROM delivery ORDER BY seq DESC LIMIT 1

-- first_since --
-- The first delivery since a time.
SELECT seq, created_at FROM delivery WHERE created_at >= :since ORDER BY created_at LIMIT 1
