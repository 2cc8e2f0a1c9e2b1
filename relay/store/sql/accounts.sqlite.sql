-- take --
-- The account as it stands now; nobody else writes meanwhile.
SELECT * FROM account WHERE id = :id

-- other_admin --
-- Another account that can still make accounts.
SELECT id FROM account WHERE role = 'admin' AND disabled_at IS NULL AND id <> :id ORDER BY id LIMIT 1
