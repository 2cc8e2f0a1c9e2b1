-- list --
-- All pauses, oldest first.
SELECT * FROM pause ORDER BY id

-- insert --
-- A new pause.
INSERT INTO pause (scope, value, reason, by, since_at, until_at)
VALUES (:scope, :value, :reason, :by, :since_at, :until_at)
RETURNING *

-- delete --
-- The end of a pause.
DELETE FROM pause WHERE id = :id

-- hold_all --
-- Hold what is open: everything.
UPDATE delivery SET held = :held WHERE next_at IS NOT NULL AND held IS NULL AND lease_owner IS NULL AND next_at <= :due

-- hold_domain --
-- Hold what is open for one domain.
UPDATE delivery SET held = :held
WHERE next_at IS NOT NULL AND held IS NULL AND lease_owner IS NULL AND next_at <= :due AND domain = :value

-- hold_app --
-- Hold what is open of one app.
UPDATE delivery SET held = :held
WHERE next_at IS NOT NULL AND held IS NULL AND lease_owner IS NULL AND next_at <= :due
  AND message_id IN (SELECT id FROM message WHERE app = :value AND id = delivery.message_id)

-- hold_site --
-- Hold what is open and was last tried at a host of this site (a comma-joined list of hosts).
UPDATE delivery SET held = :held
WHERE next_at IS NOT NULL AND held IS NULL AND lease_owner IS NULL AND next_at <= :due
  AND mx IS NOT NULL AND ',' || :value || ',' LIKE '%,' || mx || ',%'

-- free --
-- Make due what a pause with this text held.
UPDATE delivery SET held = NULL, next_at = :now WHERE next_at IS NOT NULL AND held = :held
