-- address --
SELECT * FROM address WHERE address = :address

-- blocks --
SELECT * FROM suppression WHERE scope = 'address' AND value = :address ORDER BY id

-- notices --
SELECT * FROM notice WHERE address = :address ORDER BY id

-- redirects --
SELECT * FROM redirect WHERE address = :address OR lower(new_address) = :address ORDER BY id

-- events --
-- Of the address, and of the messages that it is in.
SELECT * FROM event WHERE address = :address OR message_id IN (
  SELECT message_id FROM delivery WHERE address_key = :address
) ORDER BY seq

-- deliveries --
-- To it, and what was meant for it and went elsewhere.
SELECT * FROM delivery WHERE address_key = :address OR lower(COALESCE(intended, '')) = :address ORDER BY seq

-- message --
SELECT * FROM message WHERE id = :id

-- references --
SELECT kind, value, source, rule, confidence FROM reference WHERE message_id = :id ORDER BY seq

-- attempts --
SELECT * FROM attempt WHERE delivery_id = :id ORDER BY seq

-- reports --
SELECT * FROM report WHERE address = :address OR message_id IN (
  SELECT message_id FROM delivery WHERE address_key = :address
) ORDER BY id

-- refusals --
SELECT * FROM refusal WHERE lower(rcpt_to) = :address OR lower(mail_from) = :address ORDER BY seq
