-- position --
-- How far the log has come; nothing that is not visible yet can come in below that (open_from = open_to).
SELECT (SELECT COALESCE(MAX(seq), 0) FROM delivery) AS delivery,
       (SELECT COALESCE(MAX(seq), 0) FROM attempt) AS attempt,
       (SELECT COALESCE(MAX(seq), 0) FROM event) AS event,
       (SELECT COALESCE(MAX(seq), 0) FROM refusal) AS refusal,
       0 AS open_from, 0 AS open_to
