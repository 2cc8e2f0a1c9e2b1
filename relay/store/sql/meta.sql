-- value --
-- One setting that the store keeps for itself.
SELECT value FROM meta WHERE key = :key

-- keep_first --
-- Write a value that is made once and never changes; whoever comes second reads the first one's.
INSERT INTO meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO NOTHING

-- take_lease --
-- Hold (or go on holding) a right that one process of the store has at a time; the value is "END OWNER", and times in
-- that form sort as text. No row: somebody else holds it.
INSERT INTO meta (key, value) VALUES (:key, :value)
ON CONFLICT (key) DO UPDATE SET value = excluded.value WHERE meta.value < :moment OR meta.value LIKE :mine
RETURNING value

-- keep_last --
-- Write a value in place of the one before.
INSERT INTO meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = excluded.value
