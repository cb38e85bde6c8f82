-- The tables of both dialects: postgres.go writes BIGINT for INTEGER, BYTEA for
-- BLOB and an identity for AUTOINCREMENT, and adds what postgres.sql has. Times
-- are microseconds since 1970, UTC.
-- Read them beside a running bridge with: sqlite3 -readonly queue.db
CREATE TABLE IF NOT EXISTS meta ( -- format: version of these tables; store: name of this store
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS connector (
  id   INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE
);

CREATE TABLE IF NOT EXISTS ledger ( -- events, over the lifetime of the store: the sums of a connector's rows
  connector  INTEGER NOT NULL,
  bridge     TEXT NOT NULL,               -- which row: empty in SQLite; in PostgreSQL each bridge has several
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

CREATE TABLE IF NOT EXISTS record ( -- a stored batch, or some small ones of one commit: the small state
  seq       INTEGER PRIMARY KEY,
  connector INTEGER NOT NULL,
  received  INTEGER NOT NULL,
  events    INTEGER NOT NULL,  -- in its body
  pending   INTEGER NOT NULL,  -- of them: without an outcome
  size      INTEGER NOT NULL,  -- bytes of its events
  stored    INTEGER NOT NULL,  -- bytes of its body
  owner     INTEGER NOT NULL DEFAULT 0,  -- of the bridges that share the store: the one that has claimed it; 0: none
  backfilled INTEGER NOT NULL DEFAULT 0, -- 1: out of storage exports; claimed where nothing else is pending
  settled   INTEGER NOT NULL DEFAULT 0,  -- when the last of its events got an outcome
  outcome   BLOB               -- a byte an event: 0 pending, 1 delivered, 2 filtered, 3 dead, 4 erased; NULL: all pending, or all delivered where pending is 0
);
CREATE INDEX IF NOT EXISTS record_pending ON record (connector, seq, backfilled) WHERE pending > 0;

CREATE TABLE IF NOT EXISTS body ( -- its bytes; nothing but an erasure changes them
  seq  INTEGER PRIMARY KEY,
  data BLOB NOT NULL         -- see the package body
);

CREATE TABLE IF NOT EXISTS ids ( -- hashes of event types and ids, 16 bytes each, for the duplicate window; a row a commit
  seq       INTEGER PRIMARY KEY,
  connector INTEGER NOT NULL,
  hashes    BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS ids_connector ON ids (connector, seq);

CREATE TABLE IF NOT EXISTS letter ( -- a dead letter
  number      INTEGER PRIMARY KEY AUTOINCREMENT,
  connector   INTEGER NOT NULL,
  received    INTEGER NOT NULL,
  died        INTEGER NOT NULL,
  reason      TEXT NOT NULL,
  status      INTEGER NOT NULL DEFAULT 0,  -- of RudderStack's response; 0: never sent
  answer      TEXT NOT NULL DEFAULT '',
  attempts    INTEGER NOT NULL DEFAULT 0,
  events      INTEGER NOT NULL,  -- how many the row stands for
  type        TEXT NOT NULL DEFAULT '',
  event_id    TEXT NOT NULL DEFAULT '',
  user_id     TEXT NOT NULL DEFAULT '',
  external_id TEXT NOT NULL DEFAULT '',
  altered     INTEGER NOT NULL DEFAULT 0, -- 1: the event's bytes do not match their checksum, and are not delivered
  event       BLOB               -- as Braze sent it; NULL: cannot be read any more
);
CREATE INDEX IF NOT EXISTS letter_connector ON letter (connector, number);
CREATE INDEX IF NOT EXISTS letter_reason ON letter (connector, reason, number);
CREATE INDEX IF NOT EXISTS letter_type ON letter (connector, type, number);

CREATE TABLE IF NOT EXISTS replay ( -- an order to deliver history again
  number    INTEGER PRIMARY KEY AUTOINCREMENT,
  connector INTEGER NOT NULL,
  request   TEXT NOT NULL,   -- JSON: from, till, types, rate
  started   INTEGER NOT NULL,
  ended     INTEGER NOT NULL DEFAULT 0,
  next_seq  INTEGER NOT NULL,  -- the record that it goes on with
  last_seq  INTEGER NOT NULL,  -- the newest record that belongs to it
  replayed  INTEGER NOT NULL DEFAULT 0,
  refused   INTEGER NOT NULL DEFAULT 0,
  skipped   INTEGER NOT NULL DEFAULT 0,
  owner     INTEGER NOT NULL DEFAULT 0   -- of the bridges that share the store: the one that runs it
);
CREATE INDEX IF NOT EXISTS replay_connector ON replay (connector, number);
