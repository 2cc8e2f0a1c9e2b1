-- get --
-- What is known about one address.
SELECT * FROM address WHERE address = :address

-- reset --
-- Count from zero again; what the last error was stays true and stays.
UPDATE address SET error_count = 0 WHERE address = :address

-- beginning_with --
-- Known addresses from :low up to :high.
SELECT address FROM address WHERE address >= :low AND address < :high ORDER BY address LIMIT :limit
