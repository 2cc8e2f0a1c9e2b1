-- insert --
-- Keep a view; zero rows changed: another has its name.
INSERT INTO saved_view (name, name_key, text, span, is_oldest_first, apps, by, saved_at)
VALUES (:name, :name_key, :text, :span, :is_oldest_first, :apps, :by, :saved_at)
ON CONFLICT (name_key) DO NOTHING

-- every --
SELECT * FROM saved_view ORDER BY name_key

-- get --
SELECT * FROM saved_view WHERE id = :id

-- rename --
-- Give it another name; zero rows changed: another view has it.
UPDATE saved_view SET name = :name, name_key = :name_key
WHERE id = :id AND NOT EXISTS (SELECT 1 FROM saved_view other WHERE other.name_key = :name_key AND other.id <> :id)

-- delete --
DELETE FROM saved_view WHERE id = :id
