-- recent --
-- The newest messages of each app, among the newest of all, so that an app that is silent for long costs nothing.
SELECT app, id, accepted_at, subject, booking, kind, repairs
FROM (SELECT newest.*, ROW_NUMBER() OVER (PARTITION BY app ORDER BY seq DESC) AS place
      FROM (SELECT seq, app, id, accepted_at, subject, booking, kind, repairs FROM message
            ORDER BY seq DESC LIMIT :among) AS newest) AS ranked
WHERE place <= :each AND (CAST(:app AS TEXT) IS NULL OR app = :app)
ORDER BY app, place

-- refused --
-- What was refused since a time, by app and reason, among the newest refusals.
SELECT app, reason, COUNT(*) AS count, MAX(at) AS last_at
FROM (SELECT app, reason, at FROM refusal ORDER BY seq DESC LIMIT :among) AS newest
WHERE at >= :since GROUP BY app, reason ORDER BY count DESC, reason
