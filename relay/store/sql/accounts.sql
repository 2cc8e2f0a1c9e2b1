-- insert --
INSERT INTO account (
  id, name, name_key, shown, role, may_read_content, apps, password_hash, totp_secret, totp_last_step, language, zone,
  theme, keys_off, is_compact, created_at, disabled_at, last_seen_at, issuer, subject
) VALUES (
  :id, :name, :name_key, :shown, :role, :may_read_content, :apps, :password_hash, :totp_secret, :totp_last_step,
  :language, :zone, :theme, :keys_off, :is_compact, :created_at, :disabled_at, :last_seen_at, :issuer, :subject
) ON CONFLICT (name_key) DO NOTHING

-- get --
SELECT * FROM account WHERE id = :id

-- named --
SELECT * FROM account WHERE name_key = :name_key

-- of_subject --
-- The account of somebody for whom a provider vouches.
SELECT * FROM account WHERE issuer = :issuer AND subject = :subject AND subject <> ''

-- every --
SELECT * FROM account ORDER BY name_key

-- any --
SELECT 1 AS yes FROM account LIMIT 1

-- change --
-- What an admin decides about an account.
UPDATE account SET shown = :shown, role = :role, may_read_content = :may_read_content, apps = :apps WHERE id = :id

-- prefer --
-- What everybody decides for themselves.
UPDATE account SET language = :language, zone = :zone, theme = :theme, keys_off = :keys_off,
  is_compact = :is_compact
WHERE id = :id

-- disable --
UPDATE account SET disabled_at = :at WHERE id = :id AND disabled_at IS NULL

-- enable --
UPDATE account SET disabled_at = NULL WHERE id = :id AND disabled_at IS NOT NULL

-- set_password --
UPDATE account SET password_hash = :password_hash WHERE id = :id

-- connect --
-- From now on a provider vouches, and nothing else lets in; no row changed: it vouches for another account already.
UPDATE account
SET issuer = :issuer, subject = :subject, password_hash = '', totp_secret = NULL, totp_last_step = NULL
WHERE id = :id AND NOT EXISTS (
  SELECT 1 FROM account WHERE issuer = :issuer AND subject = :subject AND id <> :id
)

-- disconnect --
UPDATE account SET issuer = '', subject = '' WHERE id = :id

-- set_totp --
UPDATE account SET totp_secret = :secret, totp_last_step = NULL WHERE id = :id

-- use_step --
-- Take a code; no row changed: it, or a newer one, was used before.
UPDATE account SET totp_last_step = :step
WHERE id = :id AND totp_secret = :secret AND (totp_last_step IS NULL OR totp_last_step < :step)

-- seen --
UPDATE account SET last_seen_at = :at WHERE id = :id
