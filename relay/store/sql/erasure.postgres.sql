-- scrub --
-- Give back what deleted and changed rows leave behind; without it the old versions stay until the next autovacuum.
VACUUM message, content, delivery, attempt, reference, event, refusal, report, notice, incident, redirect, address,
  suppression, search, search_pending
