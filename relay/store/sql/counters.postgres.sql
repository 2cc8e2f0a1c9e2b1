-- forgiven_among --
-- Which of these errors count no more.
SELECT delivery_id FROM forgiven WHERE delivery_id IN (SELECT json_array_elements_text(:ids::json))
