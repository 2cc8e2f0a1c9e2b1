-- insert --
-- New mail to an address goes to another from now on.
INSERT INTO redirect (address, new_address, since_at, until_at, by, note)
VALUES (:address, :new_address, :since_at, :until_at, :by, :note)
RETURNING *

-- active_for --
-- The redirect of one address that is in force, the newest if there are several.
SELECT * FROM redirect
WHERE address = :address AND ended_at IS NULL AND (until_at IS NULL OR until_at > :now)
ORDER BY id DESC LIMIT 1

-- active --
-- All redirects in force, oldest first.
SELECT * FROM redirect WHERE ended_at IS NULL AND (until_at IS NULL OR until_at > :now) ORDER BY id

-- every --
-- All redirects there ever were, oldest first.
SELECT * FROM redirect ORDER BY id

-- end --
-- End what is in force for one address.
UPDATE redirect SET ended_at = :now, ended_by = :by
WHERE address = :address AND ended_at IS NULL AND (until_at IS NULL OR until_at > :now)
RETURNING *
