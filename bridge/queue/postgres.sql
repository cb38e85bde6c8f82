-- The tables of a store on PostgreSQL, as in sqlite.sql; what is different:
-- several bridges share them, records are claimed by one bridge at a time, and
-- bodies are in a table for each span of time, which is dropped as a whole.

CREATE TABLE IF NOT EXISTS bridge (   -- a running bridge; what it claims is its own until alive_until
  id          BIGINT PRIMARY KEY,
  name        TEXT NOT NULL,
  alive_until TIMESTAMPTZ NOT NULL
);
CREATE SEQUENCE IF NOT EXISTS bridge_id;
CREATE SEQUENCE IF NOT EXISTS record_seq;
CREATE SEQUENCE IF NOT EXISTS letter_number;
CREATE SEQUENCE IF NOT EXISTS replay_number;
CREATE SEQUENCE IF NOT EXISTS connector_id;

CREATE TABLE IF NOT EXISTS connector (
  id   BIGINT PRIMARY KEY DEFAULT nextval('connector_id'),
  name TEXT NOT NULL UNIQUE
);

CREATE TABLE IF NOT EXISTS ledger (   -- a row for each bridge; the sum is the ledger
  connector  BIGINT NOT NULL,
  bridge     TEXT NOT NULL,
  received   BIGINT NOT NULL DEFAULT 0,
  duplicates BIGINT NOT NULL DEFAULT 0,
  accepted   BIGINT NOT NULL DEFAULT 0,
  filtered   BIGINT NOT NULL DEFAULT 0,
  delivered  BIGINT NOT NULL DEFAULT 0,
  dead       BIGINT NOT NULL DEFAULT 0,
  purged     BIGINT NOT NULL DEFAULT 0,
  replayed   BIGINT NOT NULL DEFAULT 0,
  backfilled BIGINT NOT NULL DEFAULT 0,
  history    BIGINT NOT NULL DEFAULT 0,
  last_seq   BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (connector, bridge)
);

CREATE TABLE IF NOT EXISTS record (
  seq       BIGINT PRIMARY KEY,
  connector BIGINT NOT NULL,
  received  BIGINT NOT NULL,
  events    BIGINT NOT NULL,
  pending   BIGINT NOT NULL,
  size      BIGINT NOT NULL,
  stored    BIGINT NOT NULL,
  owner     BIGINT NOT NULL DEFAULT 0,  -- the bridge that has claimed it; 0: none
  backfilled BIGINT NOT NULL DEFAULT 0,
  settled   BIGINT NOT NULL DEFAULT 0,
  outcome   BYTEA
);
CREATE INDEX IF NOT EXISTS record_claim ON record (connector, backfilled, seq) WHERE pending > 0 AND owner = 0;
CREATE INDEX IF NOT EXISTS record_pending ON record (connector, seq) WHERE pending > 0;
CREATE INDEX IF NOT EXISTS record_owner ON record (owner) WHERE pending > 0 AND owner <> 0;

CREATE TABLE IF NOT EXISTS ids (
  seq       BIGINT PRIMARY KEY,
  connector BIGINT NOT NULL,
  events    BIGINT NOT NULL,
  hashes    BYTEA NOT NULL
);
CREATE INDEX IF NOT EXISTS ids_connector ON ids (connector, seq);

CREATE TABLE IF NOT EXISTS batch (    -- a batch that comes again, to whichever bridge, is known by its hash
  connector BIGINT NOT NULL,
  hash      BYTEA NOT NULL,
  seq       BIGINT NOT NULL,
  PRIMARY KEY (connector, hash)
);
CREATE INDEX IF NOT EXISTS batch_seq ON batch (connector, seq);

CREATE TABLE IF NOT EXISTS letter (
  number      BIGINT PRIMARY KEY DEFAULT nextval('letter_number'),
  connector   BIGINT NOT NULL,
  seq         BIGINT NOT NULL,
  idx         BIGINT NOT NULL,
  received    BIGINT NOT NULL,
  died        BIGINT NOT NULL,
  reason      TEXT NOT NULL,
  status      BIGINT NOT NULL,
  answer      TEXT NOT NULL,
  attempts    BIGINT NOT NULL,
  events      BIGINT NOT NULL,
  type        TEXT NOT NULL,
  event_id    TEXT NOT NULL,
  user_id     TEXT NOT NULL,
  external_id TEXT NOT NULL,
  event       BYTEA
);
CREATE INDEX IF NOT EXISTS letter_connector ON letter (connector, number);
CREATE INDEX IF NOT EXISTS letter_reason ON letter (connector, reason, number);
CREATE INDEX IF NOT EXISTS letter_type ON letter (connector, type, number);

CREATE TABLE IF NOT EXISTS replay (
  number    BIGINT PRIMARY KEY DEFAULT nextval('replay_number'),
  connector BIGINT NOT NULL,
  request   TEXT NOT NULL,
  started   BIGINT NOT NULL,
  ended     BIGINT NOT NULL DEFAULT 0,
  next_seq  BIGINT NOT NULL,
  last_seq  BIGINT NOT NULL,
  replayed  BIGINT NOT NULL DEFAULT 0,
  refused   BIGINT NOT NULL DEFAULT 0,
  skipped   BIGINT NOT NULL DEFAULT 0,
  owner     BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS replay_connector ON replay (connector, number);
