-- insert --
INSERT INTO sign_in_failure (key, at) VALUES (:key, :at)

-- count --
-- How many failures there are, as far as it matters.
SELECT COUNT(*) AS n FROM (SELECT 1 AS yes FROM sign_in_failure WHERE key = :key AND at > :since LIMIT :limit) AS few
