-- insert --
-- A new block.
INSERT INTO suppression (scope, value, reason, source, category, note, by, since_at, until_at, delivery_id, reply, app,
  rule)
VALUES (:scope, :value, :reason, :source, :category, :note, :by, :since_at, :until_at, :delivery_id, :reply, :app,
  :rule)
RETURNING *

-- add --
-- The same, of many at a time.
INSERT INTO suppression (scope, value, reason, source, category, note, by, since_at, until_at, delivery_id, reply, app,
  rule)
VALUES (:scope, :value, :reason, :source, :category, :note, :by, :since_at, :until_at, :delivery_id, :reply, :app,
  :rule)

-- active_on --
-- The active blocks on exactly this address or domain.
SELECT * FROM suppression
WHERE value = :value AND scope = :scope AND lifted_at IS NULL AND (until_at IS NULL OR until_at > :now)
ORDER BY id

-- active_for --
-- The blocks that forbid mail of one app to one address, the address's own first.
SELECT * FROM suppression
WHERE value IN (:address, :domain) AND scope = CASE WHEN value = :address THEN 'address' ELSE 'domain' END
  AND lifted_at IS NULL AND (until_at IS NULL OR until_at > :now) AND (app IS NULL OR app = :app)
ORDER BY CASE WHEN scope = 'address' THEN 0 ELSE 1 END, id

-- lift --
-- End the active blocks on one value; :automatic_only = 1 spares those of people and of complaints.
UPDATE suppression SET lifted_at = :now, lifted_by = :by, lifted_note = :note
WHERE value = :value AND scope = :scope AND lifted_at IS NULL AND (until_at IS NULL OR until_at > :now)
  AND (:any_app = 1 OR app = :app)
  AND (:automatic_only = 0 OR source = 'automatic'
    OR (source = 'import' AND reason IN ('invalid_address', 'invalid_domain', 'errors')))
RETURNING *

-- lift_one --
-- End one block.
UPDATE suppression SET lifted_at = :now, lifted_by = :by, lifted_note = :note
WHERE id = :id AND lifted_at IS NULL
RETURNING *

-- page --
-- The active blocks in the order they were made.
SELECT * FROM suppression
WHERE id > :after AND lifted_at IS NULL AND (until_at IS NULL OR until_at > :now)
ORDER BY id LIMIT :limit

-- history --
-- All blocks there ever were on one value, newest first.
SELECT * FROM suppression WHERE value = :value AND scope = :scope ORDER BY id DESC

-- listed --
-- One block.
SELECT * FROM suppression WHERE id = :id

-- extend --
-- Another end for a block that stands.
UPDATE suppression SET until_at = :until WHERE id = :id AND lifted_at IS NULL
RETURNING *
