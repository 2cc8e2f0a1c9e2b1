-- proven_among --
-- Which domains of a JSON list took mail.
SELECT d.domain, d.last_delivered_at FROM json_array_elements_text(:domains::json) AS wanted (value)
JOIN domain d ON d.domain = wanted.value
