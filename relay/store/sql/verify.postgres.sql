-- integrity --
-- The server looks after its files itself; what we can say is that our tables answer.
SELECT CASE WHEN to_regclass('delivery') IS NULL THEN 'the tables are missing' ELSE 'ok' END AS integrity_check
