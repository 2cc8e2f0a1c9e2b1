-- get --
-- What is known about one address.
SELECT * FROM address WHERE address = :address

-- reset --
-- Count from zero again; what the last error was stays true and stays.
UPDATE address SET error_count = 0, reset_at = :now WHERE address = :address

-- beginning_with --
-- Known addresses from :low up to :high.
SELECT address FROM address WHERE address >= :low AND address < :high ORDER BY address LIMIT :limit

-- correct --
-- The customer of :address is reached at another; what is known about it stays.
INSERT INTO address (address, shown, error_count, name, corrected_to, corrected_to_key, corrected_at)
VALUES (:address, :shown, 0, '', :corrected_to, :corrected_to_key, :now)
ON CONFLICT (address) DO UPDATE SET
  corrected_to = excluded.corrected_to, corrected_to_key = excluded.corrected_to_key,
  corrected_at = excluded.corrected_at

-- forget_correction --
-- This address is current again.
UPDATE address SET corrected_to = NULL, corrected_to_key = NULL, corrected_at = NULL WHERE address = :address

-- corrected_from --
-- The addresses whose customers are reached at this one now.
SELECT address FROM address WHERE corrected_to_key = :address ORDER BY corrected_at
