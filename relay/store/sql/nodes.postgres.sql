-- beat --
-- A known process lives; by the server's clock.
UPDATE node SET seen_at = clock_timestamp() WHERE owner = :owner RETURNING seen_at

-- join --
-- A process that the store does not know.
INSERT INTO node (owner, node, role, version, sources, started_at, seen_at)
VALUES (:owner, :node, :role, :version, :sources, clock_timestamp(), clock_timestamp())
RETURNING seen_at

-- list --
-- All processes.
SELECT node.*, clock_timestamp() AS looked_at FROM node ORDER BY node, role, owner
