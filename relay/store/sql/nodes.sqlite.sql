-- beat --
-- A known process lives.
UPDATE node SET seen_at = :now WHERE owner = :owner RETURNING seen_at

-- join --
-- A process that the store does not know.
INSERT INTO node (owner, node, role, version, sources, started_at, seen_at)
VALUES (:owner, :node, :role, :version, :sources, :now, :now)
RETURNING seen_at

-- list --
-- All processes.
SELECT node.*, :now AS looked_at FROM node ORDER BY node, role, owner
