-- take --
-- Take a token; zero rows changed: it was used before.
INSERT INTO form_token (token, used_at, result) VALUES (:token, :now, '') ON CONFLICT (token) DO NOTHING

-- save --
-- Keep what came of it.
UPDATE form_token SET result = :result WHERE token = :token

-- result --
-- What came of the first use.
SELECT result FROM form_token WHERE token = :token
