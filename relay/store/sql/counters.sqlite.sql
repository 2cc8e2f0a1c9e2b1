-- forgiven_among --
-- Which of these errors count no more.
SELECT delivery_id FROM forgiven WHERE delivery_id IN (SELECT value FROM json_each(:ids))
