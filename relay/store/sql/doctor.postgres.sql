-- clock --
-- The server's own time.
SELECT clock_timestamp() AS looked_at
