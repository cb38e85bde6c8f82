-- The tables of the embedded store. Times are microseconds since 1970, UTC.
-- Read them beside a running bridge with: sqlite3 -readonly queue.db

CREATE TABLE meta (          -- format: version of these tables; store: name of this store
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
);

CREATE TABLE connector (
  id   INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
);

CREATE TABLE ledger (        -- events, over the lifetime of the store
  connector  INTEGER NOT NULL,
  bridge     TEXT NOT NULL,
  received   INTEGER NOT NULL DEFAULT 0,  -- = duplicates + accepted
  duplicates INTEGER NOT NULL DEFAULT 0,
  accepted   INTEGER NOT NULL DEFAULT 0,  -- = filtered + delivered + dead + purged + pending
  filtered   INTEGER NOT NULL DEFAULT 0,
  delivered  INTEGER NOT NULL DEFAULT 0,
  dead       INTEGER NOT NULL DEFAULT 0,
  purged     INTEGER NOT NULL DEFAULT 0,
  replayed   INTEGER NOT NULL DEFAULT 0,
  backfilled INTEGER NOT NULL DEFAULT 0,  -- of accepted: out of storage exports
  history    INTEGER NOT NULL DEFAULT 0,  -- bytes of bodies whose events are all settled
  last_seq   INTEGER NOT NULL DEFAULT 0,  -- newest record
  PRIMARY KEY (connector, bridge)
);

CREATE TABLE record (        -- a stored batch: the small state
  seq       INTEGER PRIMARY KEY,
  connector INTEGER NOT NULL,
  received  INTEGER NOT NULL,
  events    INTEGER NOT NULL,  -- in its body
  pending   INTEGER NOT NULL,  -- of them: without an outcome
  size      INTEGER NOT NULL,  -- bytes of its events
  stored    INTEGER NOT NULL,  -- bytes of its body
  owner     INTEGER NOT NULL DEFAULT 0,
  backfilled INTEGER NOT NULL DEFAULT 0, -- 1: out of storage exports; claimed where nothing else is pending
  settled   INTEGER NOT NULL DEFAULT 0,  -- when the last of its events got an outcome
  outcome   BLOB               -- a byte an event: 0 pending, 1 delivered, 2 filtered, 3 dead, 4 erased; NULL: all pending, or all delivered where pending is 0
);
CREATE INDEX record_pending ON record (connector, seq, backfilled) WHERE pending > 0;

CREATE TABLE body (          -- its bytes; nothing but an erasure changes them
  seq  INTEGER PRIMARY KEY,
  data BLOB NOT NULL         -- see record.go
);

CREATE TABLE ids (           -- hashes of event types and ids, 16 bytes each, for the duplicate window
  seq       INTEGER PRIMARY KEY,
  connector INTEGER NOT NULL,
  events    INTEGER NOT NULL,
  hashes    BLOB NOT NULL
);
CREATE INDEX ids_connector ON ids (connector, seq);

CREATE TABLE letter (        -- a dead letter
  number      INTEGER PRIMARY KEY AUTOINCREMENT,
  connector   INTEGER NOT NULL,
  seq         INTEGER NOT NULL,
  idx         INTEGER NOT NULL,
  received    INTEGER NOT NULL,
  died        INTEGER NOT NULL,
  reason      TEXT NOT NULL,
  status      INTEGER NOT NULL,  -- of RudderStack's response; 0: never sent
  answer      TEXT NOT NULL,
  attempts    INTEGER NOT NULL,
  events      INTEGER NOT NULL,  -- how many the row stands for
  type        TEXT NOT NULL,
  event_id    TEXT NOT NULL,
  user_id     TEXT NOT NULL,
  external_id TEXT NOT NULL,
  event       BLOB               -- as Braze sent it; NULL: cannot be read any more
);
CREATE INDEX letter_connector ON letter (connector, number);
CREATE INDEX letter_reason ON letter (connector, reason, number);
CREATE INDEX letter_type ON letter (connector, type, number);

CREATE TABLE replay (        -- an order to deliver history again
  number    INTEGER PRIMARY KEY AUTOINCREMENT,
  connector INTEGER NOT NULL,
  request   TEXT NOT NULL,   -- JSON: from, till, types, rate
  started   INTEGER NOT NULL,
  ended     INTEGER NOT NULL DEFAULT 0,
  next_seq  INTEGER NOT NULL,  -- the record that it goes on with
  last_seq  INTEGER NOT NULL,  -- the newest record that belongs to it
  replayed  INTEGER NOT NULL DEFAULT 0,
  refused   INTEGER NOT NULL DEFAULT 0,
  skipped   INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX replay_connector ON replay (connector, number);
