-- insert --
-- Something a person did or a late report said.
INSERT INTO event (at, kind, text, message_id, delivery_id, address, by)
VALUES (:at, :kind, :text, :message_id, :delivery_id, :address, :by)

-- of_message --
-- The events of one message, oldest first.
SELECT * FROM event WHERE message_id = :message_id ORDER BY seq

-- of_address --
-- The events of one address, newest first.
SELECT * FROM event WHERE address = :address ORDER BY seq DESC LIMIT :limit
