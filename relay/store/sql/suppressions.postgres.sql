-- among --
-- Which deliveries of a JSON list are blocked, and by what.
-- By the values, whatever the planner believes: a join may read all blocks there are for each delivery.
SELECT d.id AS blocked_id, s.* FROM suppression s
JOIN delivery d ON s.value = CASE s.scope WHEN 'address' THEN d.address_key ELSE d.domain END
WHERE d.id = ANY (ARRAY(SELECT json_array_elements_text(:ids::json)))
  AND s.value = ANY (ARRAY(
    SELECT unnest(ARRAY[address_key, domain]) FROM delivery
    WHERE id = ANY (ARRAY(SELECT json_array_elements_text(:ids::json)))
  ))
  AND s.lifted_at IS NULL AND (s.until_at IS NULL OR s.until_at > :now)
  AND (s.app IS NULL OR s.app = (SELECT app FROM message WHERE message.id = d.message_id))
ORDER BY CASE s.scope WHEN 'address' THEN 0 ELSE 1 END, s.id

-- active_among --
-- The active blocks on any value of a JSON list.
SELECT s.* FROM json_array_elements_text(:values::json) AS wanted (value)
JOIN suppression s ON s.value = wanted.value
WHERE s.lifted_at IS NULL AND (s.until_at IS NULL OR s.until_at > :now)
ORDER BY s.id
