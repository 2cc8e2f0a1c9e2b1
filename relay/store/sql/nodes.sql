-- bury --
-- Processes nobody has heard of since a time.
DELETE FROM node WHERE seen_at < :dead_at RETURNING owner

-- leave --
-- A process that stops in order.
DELETE FROM node WHERE owner = :owner
