-- m0001_relay_core --
-- The tables of the relay core. Times are INTEGER microseconds UTC; every time column ends in _at.

CREATE TABLE message (
  seq          INTEGER PRIMARY KEY,
  id           TEXT NOT NULL UNIQUE,
  accepted_at  INTEGER NOT NULL,
  app          TEXT NOT NULL,
  mail_from    TEXT NOT NULL,
  header_from  TEXT NOT NULL,
  from_name    TEXT NOT NULL,
  reply_to     TEXT NOT NULL,
  subject      TEXT NOT NULL,
  message_id   TEXT NOT NULL,
  size         INTEGER NOT NULL,
  kind         TEXT,
  booking      TEXT,
  customer     TEXT,
  phone        TEXT,
  expires_at   INTEGER,
  event_at     INTEGER,
  listener     TEXT NOT NULL,
  client_ip    TEXT NOT NULL,
  helo         TEXT NOT NULL,
  auth_user    TEXT,
  tls          TEXT,
  is_8bit      INTEGER NOT NULL,
  is_smtputf8  INTEGER NOT NULL,
  ret          TEXT,
  envid        TEXT,
  repairs      TEXT NOT NULL,          -- words joined by spaces
  duplicate_of TEXT,
  store_content TEXT NOT NULL
) STRICT;
CREATE INDEX message_by_message_id ON message (message_id) WHERE message_id <> '';

CREATE TABLE content (
  id       TEXT PRIMARY KEY,            -- message id; of a resend with changed content, its delivery id
  encoding TEXT NOT NULL,               -- zlib | identity
  checksum INTEGER NOT NULL,            -- CRC-32 of the content, so that a damaged one is never sent
  raw      BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE delivery (
  seq          INTEGER PRIMARY KEY,
  id           TEXT NOT NULL UNIQUE,
  message_id   TEXT NOT NULL,
  address      TEXT NOT NULL,
  address_key  TEXT NOT NULL,           -- normalised address: what blocks and counters go by
  domain       TEXT NOT NULL,
  name         TEXT NOT NULL,
  intended     TEXT,
  status       TEXT NOT NULL,
  category     TEXT,
  blame        TEXT,
  rule         TEXT,
  attempts     INTEGER NOT NULL,
  created_at   INTEGER NOT NULL,
  next_at      INTEGER,                 -- due; while leased: when the lease runs out; NULL once ended
  lease_owner  TEXT,
  waits_for_site INTEGER NOT NULL,      -- 1: next_at was moved because its site is backing off or full
  held         TEXT,
  code         INTEGER,
  enhanced     TEXT,
  reply        TEXT,
  mx           TEXT,
  delivered_at INTEGER,
  ended_at     INTEGER,
  resend_of    TEXT,
  form         TEXT NOT NULL,
  notify       TEXT,
  orcpt        TEXT,
  by           TEXT,
  is_unknown   INTEGER NOT NULL,
  marks        TEXT NOT NULL
) STRICT;
CREATE INDEX delivery_by_message ON delivery (message_id);
CREATE INDEX delivery_by_address ON delivery (address_key, seq);
CREATE INDEX delivery_new ON delivery (next_at) WHERE next_at IS NOT NULL AND held IS NULL AND lease_owner IS NULL AND attempts = 0;
CREATE INDEX delivery_due ON delivery (next_at) WHERE next_at IS NOT NULL AND held IS NULL AND lease_owner IS NULL AND attempts > 0;
CREATE INDEX delivery_leased ON delivery (next_at) WHERE lease_owner IS NOT NULL;
CREATE INDEX delivery_by_time ON delivery (created_at);
-- The statuses people look for; the way queued -> delivered costs nothing here.
CREATE INDEX delivery_by_status ON delivery (status, seq) WHERE status NOT IN ('queued', 'delivered', 'sent');
CREATE INDEX delivery_open_by_domain ON delivery (domain) WHERE next_at IS NOT NULL;

CREATE TABLE attempt (
  seq          INTEGER PRIMARY KEY,
  delivery_id  TEXT NOT NULL,
  number       INTEGER NOT NULL,
  started_at   INTEGER NOT NULL,
  took_ms      INTEGER NOT NULL,
  mx           TEXT,
  ip           TEXT,
  source       TEXT,
  tls          TEXT,
  tls_decision TEXT,
  stage        TEXT NOT NULL,
  code         INTEGER,
  enhanced     TEXT,
  text         TEXT NOT NULL,
  class        TEXT,
  category     TEXT,
  blame        TEXT,
  rule         TEXT,
  timings      TEXT NOT NULL,           -- JSON object: step -> milliseconds
  conversation TEXT,
  is_unknown   INTEGER NOT NULL,
  reused       INTEGER NOT NULL
) STRICT;
CREATE INDEX attempt_by_delivery ON attempt (delivery_id);

CREATE TABLE reference (
  seq        INTEGER PRIMARY KEY,
  message_id TEXT NOT NULL,
  kind       TEXT NOT NULL,
  value      TEXT NOT NULL,
  value_key  TEXT NOT NULL,             -- NFKC, upper case, no spaces or hyphens
  source     TEXT NOT NULL,
  rule       TEXT NOT NULL,
  confidence INTEGER NOT NULL
) STRICT;
CREATE INDEX reference_by_value ON reference (value_key, kind);
CREATE INDEX reference_by_message ON reference (message_id);

CREATE TABLE address (
  address      TEXT PRIMARY KEY,
  shown        TEXT NOT NULL,
  error_count  INTEGER NOT NULL,
  last_error_at INTEGER,
  last_category TEXT,
  last_reply   TEXT,
  last_delivery_id TEXT,
  last_delivered_at INTEGER,
  name         TEXT NOT NULL,
  phone        TEXT,
  customer     TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE suppression (
  id          INTEGER PRIMARY KEY,
  scope       TEXT NOT NULL,            -- address | domain
  value       TEXT NOT NULL,
  reason      TEXT NOT NULL,
  source      TEXT NOT NULL,
  category    TEXT,
  note        TEXT NOT NULL,
  by          TEXT NOT NULL,
  since_at    INTEGER NOT NULL,
  until_at    INTEGER,
  delivery_id TEXT,
  reply       TEXT NOT NULL,
  app         TEXT,                     -- NULL: holds for all apps
  lifted_at   INTEGER,
  lifted_by   TEXT,
  lifted_note TEXT
) STRICT;
CREATE INDEX suppression_active ON suppression (value) WHERE lifted_at IS NULL;

CREATE TABLE event (
  seq         INTEGER PRIMARY KEY,
  at          INTEGER NOT NULL,
  kind        TEXT NOT NULL,
  text        TEXT NOT NULL,
  message_id  TEXT,
  delivery_id TEXT,
  address     TEXT,
  by          TEXT NOT NULL
) STRICT;
CREATE INDEX event_by_message ON event (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX event_by_address ON event (address) WHERE address IS NOT NULL;

CREATE TABLE refusal (
  seq       INTEGER PRIMARY KEY,
  at        INTEGER NOT NULL,
  listener  TEXT NOT NULL,
  client_ip TEXT NOT NULL,
  stage     TEXT NOT NULL,
  code      INTEGER NOT NULL,
  enhanced  TEXT NOT NULL,
  text      TEXT NOT NULL,
  reason    TEXT NOT NULL,
  app       TEXT,
  helo      TEXT NOT NULL,
  auth_user TEXT,
  mail_from TEXT,
  rcpt_to   TEXT
) STRICT;

CREATE TABLE site (
  key        TEXT PRIMARY KEY,          -- the MX set, or host:port of a route
  step       INTEGER NOT NULL,          -- back-off step, 0 = healthy
  until_at   INTEGER,                   -- no attempt before
  category   TEXT,
  reply      TEXT,
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE domain (
  domain            TEXT PRIMARY KEY,
  last_delivered_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE pause (
  id       INTEGER PRIMARY KEY,
  scope    TEXT NOT NULL,               -- all | site | domain | app
  value    TEXT NOT NULL,
  reason   TEXT NOT NULL,
  by       TEXT NOT NULL,
  since_at INTEGER NOT NULL,
  until_at INTEGER
) STRICT;

CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- m0002_search --
-- Parts of anything, three letters and more: rowid is delivery.seq. Contentless and without positions, so that it stays
-- small; it only proposes rows, and the words are looked for again in the rows themselves.

CREATE VIRTUAL TABLE search USING fts5 (words, content='', columnsize=0, detail=none, tokenize='trigram');

-- m0003_nodes --
-- The processes that work on a shared store; empty in a store of one machine.

CREATE TABLE node (
  owner      TEXT PRIMARY KEY,          -- what its leases bear
  node       TEXT NOT NULL,             -- host name
  role       TEXT NOT NULL,             -- delivery | intake
  version    TEXT NOT NULL,
  sources    TEXT NOT NULL,             -- addresses it sends from, joined by spaces
  started_at INTEGER NOT NULL,
  seen_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- m0004_understanding --
-- What answers and returned mail lead to: reports, notices, incidents, corrected addresses, and what was erased.

CREATE TABLE report (
  id          TEXT PRIMARY KEY,           -- the returned mail; its content has the same id
  at          INTEGER NOT NULL,
  digest      TEXT NOT NULL UNIQUE,       -- of the mail, so that one that comes twice counts once
  kind        TEXT NOT NULL,              -- bounce | complaint | auto-reply | delay | delivered | none
  found_by    TEXT NOT NULL,              -- token | message_id | '' when no delivery of ours was found
  is_read     INTEGER NOT NULL,           -- 0: a person has to look at it
  delivery_id TEXT,
  message_id  TEXT,
  address     TEXT,                       -- normalised
  class       TEXT,
  category    TEXT,
  rule        TEXT,
  status      TEXT,                       -- enhanced code
  reply       TEXT NOT NULL,
  mail_from   TEXT NOT NULL,
  subject     TEXT NOT NULL
) STRICT;
CREATE INDEX report_by_message ON report (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX report_by_address ON report (address) WHERE address IS NOT NULL;
CREATE INDEX report_unread ON report (at) WHERE is_read = 0;

CREATE TABLE notice (
  id          INTEGER PRIMARY KEY,
  address     TEXT NOT NULL,              -- normalised
  cause       TEXT NOT NULL,              -- a key of the catalogue: no-mailbox, no-domain …
  state       TEXT NOT NULL,              -- open | resolved | cleared
  shown       TEXT NOT NULL,              -- the address as it was used
  count       INTEGER NOT NULL,           -- deliveries since it was last opened
  opened_at   INTEGER NOT NULL,
  last_at     INTEGER NOT NULL,
  closed_at   INTEGER,
  delivery_id TEXT NOT NULL,              -- the newest that has an answer: the proof
  app         TEXT NOT NULL,
  assigned    TEXT,
  by          TEXT NOT NULL,              -- who ended it; '' = by itself
  note        TEXT NOT NULL,
  suggestion  TEXT,                       -- an address that may have been meant
  suggested_at INTEGER,                   -- when one was last looked for; NULL: not yet
  UNIQUE (address, cause)
) STRICT;
CREATE INDEX notice_open ON notice (last_at) WHERE state = 'open';

CREATE TABLE incident (
  id          INTEGER PRIMARY KEY,
  kind        TEXT NOT NULL,              -- our_fault | content | smarthost | resolver
  domain      TEXT NOT NULL,              -- of the recipients; '' for all
  app         TEXT NOT NULL,              -- whose smarthost refuses us; else ''
  category    TEXT NOT NULL,
  rule        TEXT NOT NULL,
  reply       TEXT NOT NULL,              -- the first one
  count       INTEGER NOT NULL,           -- deliveries in it
  since_at    INTEGER NOT NULL,
  last_at     INTEGER NOT NULL,
  paused_at   INTEGER,                    -- when it last paused its domain or app; NULL: never
  closed_at   INTEGER,
  by          TEXT NOT NULL,
  note        TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX incident_open ON incident (kind, domain, app) WHERE closed_at IS NULL;

CREATE TABLE incident_delivery (
  incident_id INTEGER NOT NULL,
  delivery_id TEXT NOT NULL,
  at          INTEGER NOT NULL,
  is_counted  INTEGER NOT NULL,           -- 1: it raised its address's error counter
  resent_at   INTEGER,                    -- sent again because of this incident
  PRIMARY KEY (incident_id, delivery_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX incident_by_time ON incident_delivery (incident_id, at);
CREATE INDEX incident_of_delivery ON incident_delivery (delivery_id);

CREATE TABLE redirect (
  id          INTEGER PRIMARY KEY,
  address     TEXT NOT NULL,              -- normalised: what was asked for
  new_address TEXT NOT NULL,              -- as it goes on the wire
  since_at    INTEGER NOT NULL,
  until_at    INTEGER,
  by          TEXT NOT NULL,
  note        TEXT NOT NULL,
  ended_at    INTEGER,
  ended_by    TEXT
) STRICT;
CREATE INDEX redirect_active ON redirect (address) WHERE ended_at IS NULL;
-- The resends, few beside all deliveries: what is younger than its message.
CREATE INDEX delivery_resent ON delivery (created_at) WHERE resend_of IS NOT NULL;

ALTER TABLE address ADD COLUMN corrected_to TEXT;      -- the customer's current address, as a person gave it
ALTER TABLE address ADD COLUMN corrected_to_key TEXT;  -- the same, normalised
ALTER TABLE address ADD COLUMN corrected_at INTEGER;
CREATE INDEX address_corrected ON address (corrected_to_key) WHERE corrected_to_key IS NOT NULL;
ALTER TABLE address ADD COLUMN reset_at INTEGER;       -- what ended before counts no more
ALTER TABLE suppression ADD COLUMN rule TEXT;          -- that decided, for an automatic block
CREATE INDEX suppression_automatic ON suppression (since_at) WHERE lifted_at IS NULL AND source = 'automatic';

CREATE TABLE forgiven (
  delivery_id TEXT PRIMARY KEY,           -- an error that was taken back from its address's counter
  at          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE form_token (
  token   TEXT PRIMARY KEY,               -- what a double submit repeats
  used_at INTEGER NOT NULL,
  result  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE erased (
  address_hash TEXT PRIMARY KEY,          -- keyed hash of a normalised address that was erased
  at           INTEGER NOT NULL,
  by           TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What is taken out of the index is wiped there and then, not at some later merge.
INSERT INTO search (search, rank) VALUES ('secure-delete', 1);

-- m0005_tls --
-- MTA-STS policies that were fetched: they hold until they expire, also when they cannot be fetched again.

CREATE TABLE sts_policy (
  domain     TEXT PRIMARY KEY,
  id         TEXT NOT NULL,  -- of the TXT record it was fetched for
  mode       TEXT NOT NULL,  -- enforce | testing | none
  mx         TEXT NOT NULL,  -- names and patterns, joined by spaces
  max_age_s  INTEGER NOT NULL,
  fetched_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- m0006_steering --
-- What people order for a while: a slower pace, another host. All delivery processes keep to it.

CREATE TABLE steering (
  kind     TEXT NOT NULL,               -- slow | reroute
  scope    TEXT NOT NULL,               -- all | site | domain | app
  value    TEXT NOT NULL,
  target   TEXT NOT NULL,               -- a rate, or host:port
  reason   TEXT NOT NULL,
  by       TEXT NOT NULL,
  since_at INTEGER NOT NULL,
  until_at INTEGER,
  PRIMARY KEY (kind, scope, value)
) STRICT, WITHOUT ROWID;

-- m0007_dsn --
-- Telling senders by mail what became of theirs.

-- What is still to be told of a delivery: words of delay, failure, success; "report": it is such a notification itself.
ALTER TABLE delivery ADD COLUMN dsn TEXT;
-- Of whom it is to be told that it takes long; empty where nobody asks.
CREATE INDEX delivery_delay ON delivery (created_at) WHERE next_at IS NOT NULL AND substr(dsn, 1, 5) = 'delay';

CREATE TABLE dsn_due (
  delivery_id TEXT NOT NULL,
  action      TEXT NOT NULL,              -- failed | delayed | delivered | relayed
  message_id  TEXT NOT NULL,
  at          INTEGER NOT NULL,
  PRIMARY KEY (delivery_id, action)
) STRICT, WITHOUT ROWID;
CREATE INDEX dsn_due_by_message ON dsn_due (message_id);
CREATE INDEX dsn_due_by_time ON dsn_due (at);

-- m0008_deadlines --
-- The desk hears of mail that may come too late: what has a deadline is found by it, and each delivery is told of once.

ALTER TABLE delivery ADD COLUMN warned_at INTEGER;  -- when a notice was raised because its deadline was near
CREATE INDEX message_expires ON message (expires_at) WHERE expires_at IS NOT NULL;

-- m0009_accounts --
-- Who may sign in, who is signed in, and what they did.

CREATE TABLE account (
  id               TEXT PRIMARY KEY,
  name             TEXT NOT NULL,             -- for signing in, and as `by` everywhere
  name_key         TEXT NOT NULL,             -- the same without the case of letters
  shown            TEXT NOT NULL,             -- the person's name in full; '' = as name
  role             TEXT NOT NULL,             -- viewer | support | operator | admin
  may_read_content INTEGER NOT NULL,
  apps             TEXT NOT NULL,             -- the only apps it sees, joined by spaces; '' = all
  password_hash    TEXT NOT NULL,             -- '' = none yet
  totp_secret      TEXT,                      -- base 32; NULL = no second step
  totp_last_step   INTEGER,                   -- of the last code that was used; NULL beside a secret = not confirmed yet
  language         TEXT NOT NULL,             -- '' = as the instance, like the two below
  zone             TEXT NOT NULL,
  theme            TEXT NOT NULL,
  keys_off         INTEGER NOT NULL,          -- 1: no letter keys in the pages
  created_at       INTEGER NOT NULL,
  disabled_at      INTEGER,
  last_seen_at     INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX account_by_name ON account (name_key);

CREATE TABLE session (
  token_hash TEXT PRIMARY KEY,                -- SHA-256 of what the browser has
  account_id TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  seen_at    INTEGER NOT NULL,
  ip         TEXT NOT NULL,
  agent      TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_of_account ON session (account_id);

CREATE TABLE invitation (
  token_hash TEXT PRIMARY KEY,
  account_id TEXT,                            -- NULL: for whoever makes the first account
  purpose    TEXT NOT NULL,                   -- welcome | reset | first_admin | demo | second_step
  expires_at INTEGER NOT NULL,
  used_at    INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE token (
  token_hash   TEXT PRIMARY KEY,
  name         TEXT NOT NULL,
  name_key     TEXT NOT NULL,
  prefix       TEXT NOT NULL,                 -- the first letters of the token, to know it again by
  role         TEXT NOT NULL,
  apps         TEXT NOT NULL,
  created_at   INTEGER NOT NULL,
  last_used_at INTEGER,
  revoked_at   INTEGER,
  by           TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX token_by_name ON token (name_key) WHERE revoked_at IS NULL;

CREATE TABLE audit (
  seq         INTEGER PRIMARY KEY,
  at          INTEGER NOT NULL,
  by          TEXT NOT NULL,                  -- an account's name, or the command line's user
  via         TEXT NOT NULL,                  -- page | cli | api
  ip          TEXT NOT NULL,
  action      TEXT NOT NULL,
  object_kind TEXT NOT NULL,                  -- account | token | message | delivery | address | …; '' = none
  object      TEXT NOT NULL,                  -- its id, name or address
  text        TEXT NOT NULL,
  note        TEXT NOT NULL
) STRICT;
CREATE INDEX audit_by_person ON audit (by, seq);
CREATE INDEX audit_by_action ON audit (action, seq);
CREATE INDEX audit_by_object ON audit (object, seq) WHERE object <> '';

CREATE TABLE sign_in_failure (
  key TEXT NOT NULL,                          -- a hash of account and client, or of the client alone
  at  INTEGER NOT NULL
) STRICT;
CREATE INDEX sign_in_failure_by_key ON sign_in_failure (key, at);
CREATE INDEX sign_in_failure_by_time ON sign_in_failure (at);

-- m0010_search --
-- What the log is filtered by, each in the order of the log. Only the domain is written for every mail; the others hold
-- what is rare.

CREATE INDEX delivery_by_domain ON delivery (domain, seq);
-- With the domain in it: the failures of one big domain are found and counted without a look at the rows.
DROP INDEX delivery_by_status;
CREATE INDEX delivery_by_status ON delivery (status, seq, domain) WHERE status NOT IN ('queued', 'delivered', 'sent');
CREATE INDEX delivery_by_category ON delivery (category, seq) WHERE category IS NOT NULL;
CREATE INDEX delivery_sent ON delivery (status, seq) WHERE status = 'sent';
CREATE INDEX delivery_marked ON delivery (seq) WHERE marks <> '';
CREATE INDEX suppression_by_value ON suppression (value);  -- with the lifted ones: the history of an address
CREATE INDEX delivery_spam ON delivery (seq) WHERE marks LIKE '%spam%';
-- What the block of a domain held back.
CREATE INDEX delivery_suppressed ON delivery (domain, ended_at) WHERE status = 'suppressed';

-- m0011_views --
-- What people keep of how they look at the log: filters under a name, and how high the rows are.

CREATE TABLE saved_view (
  id              INTEGER PRIMARY KEY,
  name            TEXT NOT NULL,  -- as it is shown
  name_key        TEXT NOT NULL,  -- the same without the case of letters
  text            TEXT NOT NULL,  -- what stands in the search box
  span            TEXT NOT NULL,  -- 24h | 7d | 30d | today | yesterday; '' = whenever
  is_oldest_first INTEGER NOT NULL,
  apps            TEXT NOT NULL,  -- those the text names, joined by spaces: who may see no such mail sees no such view
  by              TEXT NOT NULL,
  saved_at        INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX saved_view_by_name ON saved_view (name_key);

ALTER TABLE account ADD COLUMN is_compact INTEGER NOT NULL DEFAULT 0;  -- 1: low rows in long tables

-- m0012_oidc --
-- Accounts of people for whom a provider vouches: who it is are these two together, and nothing else finds the account.

ALTER TABLE account ADD COLUMN issuer TEXT NOT NULL DEFAULT '';
ALTER TABLE account ADD COLUMN subject TEXT NOT NULL DEFAULT '';  -- '' = a local account
CREATE UNIQUE INDEX account_by_subject ON account (issuer, subject) WHERE subject <> '';

-- m0013_urgency --
-- What a notice's mail was about decides where the notice stands: with the time in it, its page is read off an index.

ALTER TABLE notice ADD COLUMN event_at INTEGER;  -- of the mail that is the proof
UPDATE notice SET event_at =
  (SELECT m.event_at FROM delivery d JOIN message m ON m.id = d.message_id WHERE d.id = notice.delivery_id);
CREATE INDEX notice_coming ON notice (event_at, id) WHERE state = 'open';
CREATE INDEX notice_waiting ON notice (opened_at, id) WHERE state = 'open';
