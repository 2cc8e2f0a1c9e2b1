-- near --
-- Open deliveries whose message's deadline comes within the notice (:until), more than half of whose time is over, and
-- of which the desk does not know yet. What an app in hold mode keeps is nobody's mail.
SELECT d.id FROM message m JOIN delivery d ON d.message_id = m.id
WHERE m.expires_at > :now AND m.expires_at <= :until
  AND m.accepted_at + (m.expires_at - m.accepted_at) / 2 <= :now
  AND d.next_at IS NOT NULL AND d.warned_at IS NULL AND (d.held IS NULL OR d.held <> :app_hold)
ORDER BY m.expires_at, d.seq LIMIT :limit

-- warn --
-- Say of one delivery that the desk knows; nothing when it has ended, or another process was faster.
UPDATE delivery SET warned_at = :now WHERE id = :id AND next_at IS NOT NULL AND warned_at IS NULL

-- warned --
-- What is said about one of them.
SELECT d.id, d.address, d.address_key, d.message_id, m.app FROM delivery d JOIN message m ON m.id = d.message_id
WHERE d.id = :id

-- other_late --
-- Another mail to an address that came too late, or still may, since its notice was opened; the newest.
SELECT d.id FROM delivery d
WHERE d.address_key = :address AND d.message_id <> :message_id
  AND d.status IN ('queued', 'deferred', 'soft_bounced')
  AND (d.warned_at >= :since OR d.rule = :rule AND d.ended_at >= :since)
ORDER BY d.seq DESC LIMIT 1

-- turn_to --
-- Let a notice be about another mail, after that which was its proof has arrived.
UPDATE notice SET count = CASE WHEN count > 1 THEN count - 1 ELSE 1 END, delivery_id = :delivery_id,
  event_at = (SELECT m.event_at FROM delivery d JOIN message m ON m.id = d.message_id WHERE d.id = :delivery_id)
WHERE id = :id AND state = 'open'
