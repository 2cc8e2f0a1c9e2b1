-- set --
-- A person says which booking a message belongs to.
UPDATE message SET booking = :booking WHERE id = :id

-- drop_reference --
-- What was found before, and is not so.
DELETE FROM reference WHERE message_id = :id AND kind = 'booking' AND value = :booking
