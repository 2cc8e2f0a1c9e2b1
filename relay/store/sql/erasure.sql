-- deliveries --
-- Everything that went to an address, or was meant for it.
SELECT id, seq, message_id, next_at FROM delivery WHERE address_key = :address

-- written_by --
-- Messages that somebody else got, but that carry the address themselves (a guest who wrote through a form), the next
-- ones in order.
SELECT seq, id FROM message
WHERE seq > :after AND (lower(header_from) = :address OR lower(reply_to) LIKE :pattern ESCAPE '\' OR lower(mail_from) = :address
  OR lower(subject) LIKE :pattern ESCAPE '\')
ORDER BY seq LIMIT :limit

-- copies --
-- The copies of bounces of its mail that were sent on; such a copy is taken in the moment its report is.
SELECT m.seq, m.id FROM report r JOIN message m ON m.accepted_at = r.at AND m.app = 'returned'
WHERE r.address = :address

-- open_in --
-- The deliveries of a message that have not ended.
SELECT id FROM delivery WHERE message_id = :id AND next_at IS NOT NULL

-- naming_events --
-- What people did at other addresses, in words that name this one: corrections, redirects, resends.
SELECT seq FROM event WHERE lower(text) LIKE :pattern ESCAPE '\'

-- naming_reports --
-- Returned mail of no message of ours that comes from the address, or names it.
SELECT id FROM report WHERE message_id IS NULL AND (
  lower(mail_from) = :address OR lower(reply) LIKE :pattern ESCAPE '\' OR lower(subject) LIKE :pattern ESCAPE '\'
)

-- relatives --
-- Other addresses of whoever has this one: what it was corrected from or to, and those of the same customer number.
SELECT address FROM address WHERE address <> :address AND address NOT LIKE 'erased:%' AND (
  corrected_to_key = :address
  OR address = (SELECT corrected_to_key FROM address own WHERE own.address = :address)
  OR customer = (SELECT customer FROM address own WHERE own.address = :address)
) ORDER BY address LIMIT 20

-- meant_for --
-- Deliveries that a test app or a redirect sent elsewhere instead.
SELECT id, seq, message_id, next_at FROM delivery WHERE intended IS NOT NULL AND lower(intended) = :address

-- log_rows --
-- The rows of the log of one message.
SELECT seq FROM delivery WHERE message_id = :id

-- empty_message --
-- Take from a message what tells whom and what it was about.
UPDATE message SET
  subject = '', message_id = '', reply_to = '', booking = NULL, customer = NULL, phone = NULL, event_at = NULL,
  envid = NULL,
  header_from = CASE WHEN lower(header_from) = :address THEN :instead ELSE header_from END,
  from_name = CASE WHEN lower(header_from) = :address THEN '' ELSE from_name END,
  mail_from = CASE WHEN lower(mail_from) = :address THEN :instead ELSE mail_from END
WHERE id = :id

-- empty_deliveries --
-- The person's own deliveries: what is counted stays, who it was goes.
UPDATE delivery SET
  address = :instead, address_key = :instead, domain = :domain, name = '', intended = NULL, orcpt = NULL,
  mx = NULL, reply = CASE WHEN reply IS NULL THEN NULL ELSE '' END
WHERE message_id = :id AND (address_key = :address OR lower(COALESCE(intended, '')) = :address)

-- empty_attempts --
-- What servers said usually repeats the address.
UPDATE attempt SET text = '', conversation = NULL
WHERE delivery_id IN (SELECT id FROM delivery WHERE message_id = :id)

-- empty_hosts --
-- The server that the person's mail goes to may be the person's own.
UPDATE attempt SET mx = NULL, ip = NULL WHERE delivery_id IN (
  SELECT id FROM delivery
  WHERE message_id = :id AND (address_key = :address OR lower(COALESCE(intended, '')) = :address)
)

-- drop_references --
DELETE FROM reference WHERE message_id = :id

-- empty_events --
UPDATE event SET text = '(erased)', address = CASE WHEN address = :address THEN :instead ELSE address END
WHERE message_id = :id OR address = :address

-- empty_reports --
UPDATE report SET address = NULL, reply = '', mail_from = '', subject = ''
WHERE message_id = :id OR address = :address

-- empty_event --
UPDATE event SET text = '(erased)' WHERE seq = :seq

-- empty_report --
UPDATE report SET address = NULL, reply = '', mail_from = '', subject = '' WHERE id = :id

-- drop_content --
DELETE FROM content WHERE id = :id

-- drop_report_contents --
-- Returned mail about the address that belongs to no message.
DELETE FROM content WHERE id IN (SELECT id FROM report WHERE address = :address)

-- drop_notices --
DELETE FROM notice WHERE address = :address

-- forget_suggestion --
-- The address was thought to be what somebody else had meant.
UPDATE notice SET suggestion = NULL WHERE lower(suggestion) = :address

-- empty_notes --
-- Notices of other addresses that name this one.
UPDATE notice SET note = '' WHERE lower(note) LIKE :pattern ESCAPE '\'

-- empty_block_notes --
-- Blocks of other addresses and of domains that name it.
UPDATE suppression SET note = '', reply = '', lifted_note = NULL
WHERE lower(note) LIKE :pattern ESCAPE '\' OR lower(reply) LIKE :pattern ESCAPE '\'
  OR lower(COALESCE(lifted_note, '')) LIKE :pattern ESCAPE '\'

-- empty_incident_replies --
UPDATE incident SET reply = '' WHERE lower(reply) LIKE :pattern ESCAPE '\'

-- empty_incident_notes --
UPDATE incident SET note = '' WHERE lower(note) LIKE :pattern ESCAPE '\'

-- empty_site_replies --
-- The answer for which a site is left alone may have been about the person.
UPDATE site SET reply = NULL WHERE lower(reply) LIKE :pattern ESCAPE '\'

-- drop_tokens --
-- Answers that are kept for a submit that comes twice.
DELETE FROM form_token WHERE lower(result) LIKE :pattern ESCAPE '\'

-- drop_views --
-- Saved filters that look for the person.
DELETE FROM saved_view WHERE lower(text) LIKE :pattern ESCAPE '\' OR lower(name) LIKE :pattern ESCAPE '\'

-- drop_redirects --
DELETE FROM redirect WHERE address = :address OR lower(new_address) = :address

-- empty_refusals --
UPDATE refusal SET
  rcpt_to = CASE WHEN lower(rcpt_to) = :address THEN NULL ELSE rcpt_to END,
  mail_from = CASE WHEN lower(mail_from) = :address THEN NULL ELSE mail_from END,
  text = ''
WHERE lower(rcpt_to) = :address OR lower(mail_from) = :address OR lower(text) LIKE :pattern ESCAPE '\'

-- empty_audit --
-- What people did with a message: when, who and what stays; what they wrote, or saw of it, goes.
UPDATE audit SET text = '', note = '' WHERE object IN (SELECT id FROM delivery WHERE message_id = :id) OR object = :id

-- empty_audit_naming --
-- What people did with the address itself, or with others in words that name it.
UPDATE audit SET
  object = CASE WHEN lower(object) LIKE :pattern ESCAPE '\' THEN :instead ELSE object END, text = '', note = ''
WHERE lower(object) LIKE :pattern ESCAPE '\' OR lower(text) LIKE :pattern ESCAPE '\'
  OR lower(note) LIKE :pattern ESCAPE '\'

-- empty_incidents --
-- The sample reply of an incident that the person's mail was in.
UPDATE incident SET reply = '' WHERE id IN (
  SELECT i.incident_id FROM incident_delivery i JOIN delivery d ON d.id = i.delivery_id WHERE d.message_id = :id
)

-- forget_correction --
UPDATE address SET corrected_to = NULL, corrected_to_key = NULL, corrected_at = NULL
WHERE corrected_to_key = :address

-- hide_address --
-- Counter and dates stay under the hash, so that they hold when the address comes back.
UPDATE address SET
  address = :hash, shown = '', last_reply = NULL, name = '', phone = NULL, customer = NULL, corrected_to = NULL,
  corrected_to_key = NULL, corrected_at = NULL
WHERE address = :address

-- hide_blocks --
UPDATE suppression SET value = :hash, note = '', reply = '', lifted_note = NULL
WHERE scope = 'address' AND value = :address

-- remember --
-- That the address was erased.
INSERT INTO erased (address_hash, at, by) VALUES (:hash, :at, :by) ON CONFLICT (address_hash) DO NOTHING

-- any --
-- Whether anybody was ever erased.
SELECT 1 AS yes FROM erased LIMIT 1

-- is_erased --
SELECT at FROM erased WHERE address_hash = :hash

-- show_address --
-- The address is used again: its counter is found under it again.
UPDATE address SET address = :address, shown = :address
WHERE address = :hash AND NOT EXISTS (SELECT 1 FROM address other WHERE other.address = :address)

-- show_blocks --
UPDATE suppression SET value = :address WHERE scope = 'address' AND value = :hash

-- forget --
-- The address is known again.
DELETE FROM erased WHERE address_hash = :hash
