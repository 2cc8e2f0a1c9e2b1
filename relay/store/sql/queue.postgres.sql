-- flush --
-- Make due now; what is leased or held stays as it is.
UPDATE delivery SET next_at = :now, waits_for_site = 0
WHERE next_at IS NOT NULL AND lease_owner IS NULL AND held IS NULL
  AND id = ANY (ARRAY(SELECT json_array_elements_text(:ids::json)))

-- hold --
-- Do not claim these.
UPDATE delivery SET held = :held
WHERE next_at IS NOT NULL AND held IS NULL
  AND id = ANY (ARRAY(SELECT json_array_elements_text(:ids::json)))

-- release --
-- Claim these again, and now.
UPDATE delivery SET held = NULL, next_at = CASE WHEN lease_owner IS NULL THEN :now ELSE next_at END
WHERE next_at IS NOT NULL AND held IS NOT NULL AND id = ANY (ARRAY(SELECT json_array_elements_text(:ids::json)))

-- cancel --
-- End these by the word of a person.
UPDATE delivery SET status = 'cancelled', next_at = NULL, lease_owner = NULL, held = NULL, waits_for_site = 0,
  ended_at = :now
WHERE next_at IS NOT NULL AND id = ANY (ARRAY(SELECT json_array_elements_text(:ids::json)))
