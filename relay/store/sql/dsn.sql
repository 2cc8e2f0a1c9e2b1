-- plan --
-- A sender is to be told of one delivery; each thing is told once.
INSERT INTO dsn_due (delivery_id, action, message_id, at) VALUES (:delivery_id, :action, :message_id, :at)
ON CONFLICT (delivery_id, action) DO NOTHING

-- waiting --
-- What is to be told, the longest due first: one notification for each message and action.
SELECT x.message_id, x.action FROM dsn_due x JOIN delivery d ON d.id = x.delivery_id
ORDER BY x.at LIMIT :limit

-- told_of --
-- The deliveries of one message that one notification tells of.
SELECT d.* FROM dsn_due x JOIN delivery d ON d.id = x.delivery_id
WHERE x.message_id = :message_id AND x.action = :action ORDER BY d.seq LIMIT :limit

-- late --
-- The deliveries made before :before whose sender wants to know that they take long.
SELECT d.* FROM delivery d
WHERE d.next_at IS NOT NULL AND substr(d.dsn, 1, 5) = 'delay' AND d.created_at <= :before
ORDER BY d.created_at, d.seq LIMIT :limit

-- last_attempts --
-- The newest tries of a delivery.
SELECT * FROM attempt WHERE delivery_id = :delivery_id ORDER BY seq DESC LIMIT 10

-- take --
-- It is told now; zero rows when another process did.
DELETE FROM dsn_due WHERE delivery_id = :delivery_id AND action = :action

-- tell_delay --
-- That it takes long is told now; zero rows when it ended meanwhile, or another process told it.
UPDATE delivery SET dsn = :rest WHERE id = :id AND dsn = :dsn AND next_at IS NOT NULL

-- forget_delay --
-- Another server told of the delay.
UPDATE delivery SET dsn = :rest WHERE id = :id AND dsn = :dsn
