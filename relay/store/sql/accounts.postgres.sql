-- take --
-- The account as it stands now; who wants to change it, or let somebody in, waits until this transaction ends.
SELECT * FROM account WHERE id = :id FOR UPDATE

-- other_admin --
-- Another account that can still make accounts, and will when this transaction ends.
SELECT id FROM account WHERE role = 'admin' AND disabled_at IS NULL AND id <> :id ORDER BY id LIMIT 1 FOR UPDATE
