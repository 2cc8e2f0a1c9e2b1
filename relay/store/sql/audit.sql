-- insert --
-- What somebody did.
INSERT INTO audit (at, by, via, ip, action, object_kind, object, text, note)
VALUES (:at, :by, :via, :ip, :action, :object_kind, :object, :text, :note)

-- actions --
-- Every action there is a row of, for the filter.
SELECT DISTINCT action FROM audit ORDER BY action
