-- position --
-- How far the log has come; transactions from open_from on and before open_to may still bring in lower seqs.
SELECT (SELECT COALESCE(MAX(seq), 0) FROM delivery) AS delivery,
       (SELECT COALESCE(MAX(seq), 0) FROM attempt) AS attempt,
       (SELECT COALESCE(MAX(seq), 0) FROM event) AS event,
       (SELECT COALESCE(MAX(seq), 0) FROM refusal) AS refusal,
       pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS open_from,
       pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS open_to
